//! Reads the fields of an object, whatever their spelling, and collects all that is wrong.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet},
    fmt::Display,
};

use dcm_core::fault::{Faults, segment};
use serde_json::Value;

use super::tree::{Node, Pointer, TWICE};

/// An array of objects of our own fields may have so many entries that we read them. What is allowed is less.
const MOST_OBJECTS: usize = 1024;

/// What was found on the way through one body.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    faults: RefCell<Faults>,
    unknown: RefCell<Vec<String>>,
}

impl Findings {
    /// Writes the fault down, unless there are enough of them.
    fn fault(&self, pointer: impl Display, detail: impl Display) {
        let mut faults = self.faults.borrow_mut();
        if !faults.is_full() {
            faults.add(pointer.to_string(), detail.to_string());
        }
    }

    fn wrong(&self, pointer: impl Display, expected: &str, found: &Node) {
        self.fault(pointer, format_args!("must be {expected}, not {}", found.kind()));
    }

    /// Notes a field that nobody knows. One more than there may be faults tells that there are more.
    fn unknown(&self, pointer: impl Display) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() <= Faults::MOST {
            unknown.push(pointer.to_string());
        }
    }

    /// What is wrong, and the pointers of the fields that nobody knows.
    pub(crate) fn into_parts(self) -> (Faults, Vec<String>) {
        (self.faults.into_inner(), self.unknown.into_inner())
    }
}

/// An object of our own fields. What nobody has asked for when it is dropped counts as unknown.
pub(crate) struct Object<'a> {
    findings: &'a Findings,
    pointer: String,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    key: &'a str,
    plain: String,
    node: &'a Node,
    known: Cell<bool>,
}

/// A field's name without what spelling may change: case, hyphens and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

impl<'a> Object<'a> {
    /// The body itself.
    pub(crate) fn root(node: &'a Node, findings: &'a Findings) -> Self {
        Self::new(node, String::new(), findings)
    }

    fn new(node: &'a Node, pointer: String, findings: &'a Findings) -> Self {
        let entries: &[(String, Node)] = match node {
            Node::Object(entries) => entries,
            Node::Null => &[],
            other => {
                findings.wrong(&pointer, "an object", other);
                &[]
            }
        };
        let field = |(key, node): &'a (String, Node)| Field { key, plain: plain(key), node, known: Cell::new(false) };
        Self { findings, pointer, fields: entries.iter().map(field).collect() }
    }

    /// Where the field lies, in the spelling of our answers.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, segment(name))
    }

    /// Notes that a field is wrong.
    fn fault(&self, name: &str, detail: impl Display) {
        self.findings.fault(Pointer::Key(&Pointer::Of(&self.pointer), name), detail);
    }

    /// Notes what else is wrong.
    pub(crate) fn faults(&self, faults: Faults) {
        for fault in faults.as_slice() {
            self.findings.fault(&fault.pointer, &fault.detail);
        }
    }

    /// Whether the field is there, under one of its names.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        let plain_names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        self.fields.iter().any(|field| plain_names.contains(&field.plain))
    }

    /// The field's node; the first of its names is the one of our answers. Null counts as absent.
    fn find(&self, names: &[&str]) -> Option<&'a Node> {
        let plain_names: Vec<String> = names.iter().map(|name| plain(name)).collect();
        let mut found: Option<&Field<'a>> = None;
        for field in &self.fields {
            if plain_names.contains(&field.plain) {
                field.known.set(true);
                match found {
                    Some(first) => {
                        let (one, two) = (short(first.key), short(field.key));
                        let detail = format_args!("{TWICE}, as {one:?} and as {two:?}");
                        self.fault(names.first().copied().unwrap_or_default(), detail);
                    }
                    None => found = Some(field),
                }
            }
        }
        found.map(|field| field.node).filter(|node| !matches!(node, Node::Null))
    }

    fn take<T>(&self, names: &[&str], expected: &str, read: impl FnOnce(&'a Node) -> Option<T>) -> Option<T> {
        let node = self.find(names)?;
        let value = read(node);
        if value.is_none() {
            self.findings.wrong(self.at(names.first().copied().unwrap_or_default()), expected, node);
        }
        value
    }

    /// A text.
    pub(crate) fn text(&self, names: &[&str]) -> Option<String> {
        self.take(names, "a text", |node| match node {
            Node::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// An array of texts.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let list = self.list(&[name])?;
        let at = self.at(name);
        let at = Pointer::Of(&at);
        let mut texts = Vec::with_capacity(list.len());
        for (i, node) in list.iter().enumerate() {
            match node {
                Node::Text(text) => texts.push(text.clone()),
                other => self.findings.wrong(Pointer::Item(&at, i), "a text", other),
            }
        }
        // Where an entry is wrong the rest is as good as there: only the entry is to be named.
        if texts.is_empty() && !list.is_empty() { None } else { Some(texts) }
    }

    fn list(&self, names: &[&str]) -> Option<&'a [Node]> {
        self.take(names, "an array", |node| match node {
            Node::List(list) => Some(list.as_slice()),
            _ => None,
        })
    }

    /// An array of objects of our own fields.
    pub(crate) fn objects(&self, names: &[&str]) -> Option<Vec<Object<'a>>> {
        let list = self.list(names)?;
        let at = self.at(names.first().copied().unwrap_or_default());
        if list.len() > MOST_OBJECTS {
            let detail = format_args!("has {} entries; more than {MOST_OBJECTS} are never allowed", list.len());
            self.findings.fault(&at, detail);
            return None;
        }
        let object = |(i, node): (usize, &'a Node)| {
            let at = format!("{at}/{i}");
            if matches!(node, Node::Null) {
                self.findings.wrong(&at, "an object", node);
            }
            Object::new(node, at, self.findings)
        };
        Some(list.iter().enumerate().map(object).collect())
    }

    /// An object of our own fields; `None` where it is absent.
    pub(crate) fn object(&self, name: &str) -> Option<Object<'a>> {
        let node = self.find(&[name])?;
        Some(Object::new(node, self.at(name), self.findings))
    }

    /// An object of our own fields; without any where it is absent.
    pub(crate) fn object_or_empty(&self, name: &str) -> Object<'a> {
        self.object(name).unwrap_or_else(|| Object {
            findings: self.findings,
            pointer: self.at(name),
            fields: Vec::new(),
        })
    }

    /// An object whose keys are data, with texts as values. `integers` takes integers for texts, as
    /// Kubernetes does for quantities; other numbers might not be kept as they are written.
    pub(crate) fn map(&self, name: &str, integers: bool) -> Option<BTreeMap<String, String>> {
        let entries = self.entries(name)?;
        let at = self.at(name);
        let at = Pointer::Of(&at);
        let mut map = BTreeMap::new();
        for (key, node) in entries {
            let at = Pointer::Key(&at, key);
            let value = match node {
                Node::Text(text) => text.clone(),
                Node::Number(number) if integers && !number.is_f64() => number.to_string(),
                Node::Number(_) | Node::Unfit if integers => {
                    self.findings.fault(at, "is not an integer of 64 bits; write the quantity in quotes");
                    continue;
                }
                other => {
                    self.findings.wrong(at, if integers { "a text or an integer" } else { "a text" }, other);
                    continue;
                }
            };
            if map.insert(key.clone(), value).is_some() {
                self.findings.fault(at, TWICE);
            }
        }
        Some(map)
    }

    fn entries(&self, name: &str) -> Option<&'a [(String, Node)]> {
        self.take(&[name], "an object", |node| match node {
            Node::Object(entries) => Some(entries.as_slice()),
            _ => None,
        })
    }

    /// Any data.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        Some(self.data(self.find(&[name])?, Pointer::Of(&self.at(name))))
    }

    fn data(&self, node: &Node, at: Pointer<'_>) -> Value {
        node.to_value(at, &mut |at, detail| self.findings.fault(at, detail))
    }

    /// An array of objects with one key each, or one object, whose keys are then sorted.
    pub(crate) fn pairs(&self, name: &str) -> Option<Vec<(String, Value)>> {
        let at = self.at(name);
        let at = Pointer::Of(&at);
        match self.find(&[name])? {
            Node::List(list) => {
                let mut pairs = Vec::with_capacity(list.len());
                for (i, node) in list.iter().enumerate() {
                    let at = Pointer::Item(&at, i);
                    match node {
                        Node::Object(entries) => match entries.as_slice() {
                            [(key, node)] => pairs.push((key.clone(), self.data(node, Pointer::Key(&at, key)))),
                            more => {
                                let detail = format_args!("must be an object with one key, not {}", more.len());
                                self.findings.fault(at, detail);
                            }
                        },
                        other => self.findings.wrong(at, "an object with one key", other),
                    }
                }
                Some(pairs)
            }
            node @ Node::Object(_) => {
                let Value::Object(map) = self.data(node, at) else { return None };
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                Some(pairs)
            }
            other => {
                self.findings.wrong(at, "an array of objects with one key each, or one object", other);
                None
            }
        }
    }

    /// Fields of our answers that a request may hold and that say nothing in it.
    pub(crate) fn read_only(&self, names: &[&str]) {
        for name in names {
            let name = plain(name);
            self.fields.iter().filter(|field| field.plain == name).for_each(|field| field.known.set(true));
        }
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        let (mut seen, above) = (HashSet::new(), Pointer::Of(&self.pointer));
        for field in self.fields.iter().filter(|field| !field.known.get()) {
            let at = Pointer::Key(&above, field.key);
            if seen.insert(field.key) {
                self.findings.unknown(at);
            } else {
                self.findings.fault(at, TWICE);
            }
        }
    }
}

/// A key as it may be quoted.
fn short(key: &str) -> &str {
    key.char_indices().nth(64).and_then(|(end, _)| key.get(..end)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(json: &str, read: impl FnOnce(&Object<'_>) -> T) -> (T, Vec<String>, Vec<String>) {
        let node = Node::parse(json.as_bytes(), 64).unwrap();
        let findings = Findings::default();
        let value = read(&Object::root(&node, &findings));
        let (faults, unknown) = findings.into_parts();
        (value, faults.as_slice().iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect(), unknown)
    }

    #[test]
    fn a_field_is_found_whatever_its_case_hyphens_and_underscores() {
        for spelling in ["user-name", "userName", "username", "USER_NAME", "User-name"] {
            let (name, faults, unknown) = read(&format!("{{\"{spelling}\": \"u\"}}"), |o| o.text(&["user-name"]));
            assert_eq!((name.as_deref(), faults.len(), unknown.len()), (Some("u"), 0, 0), "{spelling}");
        }
    }

    #[test]
    fn the_same_field_in_two_spellings_is_a_fault() {
        let (_, faults, _) = read(r#"{"cluster-name": "a", "cluster": "b"}"#, |o| o.text(&["cluster-name", "cluster"]));
        assert_eq!(faults, ["/cluster-name: stands there twice, as \"cluster-name\" and as \"cluster\""]);
        let (_, faults, unknown) = read(r#"{"x": 1, "x": 2}"#, |_| ());
        assert_eq!((faults, unknown), (vec!["/x: stands there twice".to_owned()], vec!["/x".to_owned()]));
    }

    #[test]
    fn a_wrong_type_says_what_was_expected() {
        let (_, faults, _) = read(r#"{"a": 1, "b": {}, "c": ["x", 2], "d": [1]}"#, |o| {
            (o.text(&["a"]), o.texts("b"), o.texts("c"), o.object("d").is_some())
        });
        assert_eq!(
            faults,
            [
                "/a: must be a text, not a number",
                "/b: must be an array, not an object",
                "/c/1: must be a text, not a number",
                "/d: must be an object, not an array",
            ]
        );
    }

    #[test]
    fn keys_of_data_stay_as_they_are() {
        let json = r#"{"labels": {"A-b": "1", "ab": "2"}, "spec": {"pods": 5}, "kv": {"b": 1, "a": null}}"#;
        let ((labels, spec, kv), faults, unknown) =
            read(json, |o| (o.map("labels", false), o.map("spec", true), o.pairs("kv")));
        assert_eq!((faults, unknown), (vec![], vec![]));
        assert_eq!(labels.unwrap().len(), 2);
        assert_eq!(spec.unwrap()["pods"], "5");
        assert_eq!(kv.unwrap(), [("a".to_owned(), Value::Null), ("b".to_owned(), 1.into())]);
    }

    #[test]
    fn quantities_are_texts_or_integers_and_nothing_is_lost() {
        let json = r#"{"spec": {"a": 18446744073709551615, "b": -7, "c": 0.5, "d": 18446744073709551616, "e": 1e400, "f": 1.0}}"#;
        let (spec, faults, _) = read(json, |o| o.map("spec", true));
        assert_eq!(
            spec.unwrap().into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "18446744073709551615".to_owned()), ("b".to_owned(), "-7".to_owned()),]
        );
        let named: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(named, ["/spec/c", "/spec/d", "/spec/e", "/spec/f"]);
        assert!(faults.iter().all(|fault| fault.ends_with("write the quantity in quotes")), "{faults:?}");
    }

    #[test]
    fn of_many_faults_and_unknown_fields_the_first_are_kept() {
        let many = |entry: &str| vec![entry; 100_000].join(",");
        for json in [
            format!("{{\"kv\": [{}]}}", many("1")),
            format!("{{\"kv\": {{{}}}}}", many("\"a\": 1e400")),
            format!("{{\"texts\": [{}]}}", many("1")),
            format!("{{\"map\": {{{}}}}}", many("\"a\": 1")),
            format!("{{{}}}", many("\"KV\": []")),
            format!("{{{}}}", many("\"x\": 1")),
        ] {
            let (_, faults, unknown) = read(&json, |o| (o.pairs("kv"), o.texts("texts"), o.map("map", false)));
            assert_eq!((faults.len(), unknown.len() < 2), (Faults::MOST + 1, true), "{json:.40}");
        }
        let unknown: Vec<String> = (0..100_000).map(|i| format!("\"x{i}\": 1")).collect();
        let (_, faults, unknown) = read(&format!("{{{}}}", unknown.join(",")), |_| ());
        assert_eq!((faults.len(), unknown.len()), (0, Faults::MOST + 1));
        let (objects, faults, _) = read(&format!("{{\"a\": [{}]}}", many("{}")), |o| o.objects(&["a"]).is_some());
        assert_eq!((objects, faults.len()), (false, 1));
    }

    #[test]
    fn pairs_keep_their_order_and_their_repetitions() {
        let (kv, faults, _) = read(r#"{"kv": [{"z": 1}, {"a": 2}, {"z": 3}]}"#, |o| o.pairs("kv"));
        let keys: Vec<String> = kv.unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!((keys, faults), (vec!["z".to_owned(), "a".to_owned(), "z".to_owned()], vec![]));
        let (_, faults, _) = read(r#"{"kv": [{"a": 1, "b": 2}, {}, 3]}"#, |o| o.pairs("kv"));
        assert_eq!(faults.len(), 3, "{faults:?}");
    }

    #[test]
    fn what_is_not_known_is_named_and_what_is_read_only_is_not() {
        let (_, faults, unknown) = read(r#"{"uid": "x", "nmae": 1, "spec": {"nsp": 1}}"#, |o| {
            o.read_only(&["uid"]);
            o.object("spec");
        });
        assert_eq!((faults, unknown), (vec![], vec!["/spec/nsp".to_owned(), "/nmae".to_owned()]));
    }
}
