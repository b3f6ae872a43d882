//! Who owns which field: the bookkeeping behind server-side apply and `metadata.managedFields`.
//!
//! A field is the path of keys to a leaf. Maps are taken apart, lists are leaves.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::json;

mod apply;

pub(crate) use apply::{Conflict, apply};

/// The keys to a leaf.
pub(crate) type Path = Vec<String>;

/// How a manager came to own its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    pub(crate) subresource: String,
    pub(crate) api_version: String,
    pub(crate) time: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Manager {
    name: String,
    operation: Operation,
    subresource: String,
    api_version: String,
    time: String,
    fields: BTreeSet<Path>,
}

/// The managers of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Managers(Vec<Manager>);

/// What the server itself writes, and nobody owns.
const SYSTEM: [&str; 10] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

impl Managers {
    /// The managers that an object names.
    pub(crate) fn of(object: &Value) -> Self {
        Self(json::list(object, &["metadata", "managedFields"]).iter().filter_map(Manager::read).collect())
    }

    /// Writes the managers into an object.
    pub(crate) fn write_to(&self, object: &mut Value) {
        // Appliers stand first.
        let (appliers, others): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|manager| manager.operation == Operation::Apply);
        let managers: Vec<Value> = appliers.into_iter().chain(others).map(Manager::value).collect();
        json::set(object, &["metadata", "managedFields"], managers);
    }

    /// What the managers become by a write that is no apply: who changes a field takes it from everyone else.
    pub(crate) fn updated(mut self, old: &Value, new: &Value, writer: &Writer) -> Self {
        let (was, is) = (leaves(old), leaves(new));
        let changed: BTreeSet<Path> = is
            .iter()
            .filter(|path| !was.contains(*path) || value_at(old, path) != value_at(new, path))
            .cloned()
            .collect();
        for manager in &mut self.0 {
            let own = manager.is(writer);
            manager.fields.retain(|path| is.contains(path) && (own || !changed.contains(path)));
        }
        if !changed.is_empty() {
            let manager = self.entry(writer);
            manager.fields.extend(changed);
            manager.time.clone_from(&writer.time);
        }
        self.0.retain(|manager| !manager.fields.is_empty());
        self
    }

    /// Takes fields from everybody that begin with these keys: what the server itself puts in.
    pub(crate) fn disown(mut self, prefix: &[&str]) -> Self {
        for manager in &mut self.0 {
            manager.fields.retain(|path| !path.iter().take(prefix.len()).eq(prefix.iter()));
        }
        self.0.retain(|manager| !manager.fields.is_empty());
        self
    }

    fn entry(&mut self, writer: &Writer) -> &mut Manager {
        let index = self.0.iter().position(|manager| manager.is(writer)).unwrap_or_else(|| {
            self.0.push(Manager {
                name: writer.name.clone(),
                operation: writer.operation,
                subresource: writer.subresource.clone(),
                api_version: writer.api_version.clone(),
                time: writer.time.clone(),
                fields: BTreeSet::new(),
            });
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    /// Whether the same managers own the same fields, whenever they came to it.
    pub(crate) fn own_the_same(&self, other: &Self) -> bool {
        let known = |manager: &Manager| {
            other.0.iter().any(|candidate| {
                candidate.name == manager.name
                    && candidate.operation == manager.operation
                    && candidate.subresource == manager.subresource
                    && candidate.fields == manager.fields
            })
        };
        self.0.len() == other.0.len() && self.0.iter().all(known)
    }
}

impl Manager {
    fn is(&self, writer: &Writer) -> bool {
        self.name == writer.name && self.operation == writer.operation && self.subresource == writer.subresource
    }

    fn read(value: &Value) -> Option<Self> {
        let mut fields = BTreeSet::new();
        read_fields(value.get("fieldsV1")?, &mut Vec::new(), &mut fields);
        Some(Self {
            name: json::text(value, &["manager"]).to_owned(),
            operation: match json::text(value, &["operation"]) {
                "Apply" => Operation::Apply,
                _ => Operation::Update,
            },
            subresource: json::text(value, &["subresource"]).to_owned(),
            api_version: json::text(value, &["apiVersion"]).to_owned(),
            time: json::text(value, &["time"]).to_owned(),
            fields,
        })
    }

    fn value(&self) -> Value {
        let mut fields = Value::Object(Map::new());
        for path in &self.fields {
            let slot = path
                .iter()
                .fold(&mut fields, |slot, key| json::map(slot).entry(format!("f:{key}")).or_insert(json!({})));
            json::map(slot);
        }
        let mut value = json!({
            "manager": self.name,
            "operation": match self.operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        });
        if !self.subresource.is_empty() {
            value["subresource"] = self.subresource.clone().into();
        }
        value
    }
}

fn read_fields(fields: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    let children = fields.as_object().into_iter().flatten();
    let mut leaf = true;
    for (key, child) in children {
        if let Some(key) = key.strip_prefix("f:") {
            leaf = false;
            path.push(key.to_owned());
            read_fields(child, path, found);
            path.pop();
        }
    }
    if leaf && !path.is_empty() {
        found.insert(path.clone());
    }
}

/// The fields of an object that somebody can own.
pub(crate) fn leaves(object: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if !SYSTEM.contains(&key.as_str()) {
                        collect(value, &mut vec!["metadata".to_owned(), key.clone()], &mut found);
                    }
                }
            }
            _ => collect(value, &mut vec![key.clone()], &mut found),
        }
    }
    found
}

/// Maps that are owned as a whole.
const ATOMIC: [&[&str]; 2] = [&["roleRef"], &["spec", "selector"]];

fn is_atomic(path: &[String]) -> bool {
    ATOMIC.iter().any(|atomic| path == *atomic)
}

fn collect(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() && !is_atomic(path) => {
            for (key, value) in map {
                path.push(key.clone());
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Null => {}
        _ => {
            found.insert(path.clone());
        }
    }
}

fn value_at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}
