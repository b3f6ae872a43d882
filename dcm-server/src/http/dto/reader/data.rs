//! Fields that hold data: their keys are the client's, and stay as they are.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{Node, Object, Pointer, TWICE};

impl<'a> Object<'a> {
    /// An object whose keys are data, with texts as values. `integers` takes integers for texts, as
    /// Kubernetes does for quantities; other numbers might not be kept as they are written.
    pub(crate) fn map(&self, name: &str, integers: bool) -> Option<BTreeMap<String, String>> {
        let before = self.present(&[name]).map(texts);
        let Some(node) = self.written(&[name]) else { return before };
        let Node::Object(entries) = node else {
            if matches!(node, Node::Null) {
                self.note_change(before.is_some());
            } else {
                self.findings.wrong(self.at(name), "an object", node);
            }
            return None;
        };
        let at = self.at(name);
        let at = Pointer::Of(&at);
        let (mut map, mut seen) = (before.clone().unwrap_or_default(), HashSet::new());
        for (key, node) in entries {
            let at = Pointer::Key(&at, key);
            let value = match node {
                Node::Text(text) => Some(text.clone()),
                Node::Number(number) if integers && !number.is_f64() => Some(number.to_string()),
                Node::Number(_) | Node::Unfit if integers => {
                    self.findings.fault(at, "is not an integer of 64 bits; write the quantity in quotes");
                    continue;
                }
                Node::Null if self.is_patch() => None,
                other => {
                    self.findings.wrong(at, if integers { "a text or an integer" } else { "a text" }, other);
                    continue;
                }
            };
            if !seen.insert(key.as_str()) {
                self.findings.fault(at, TWICE);
            }
            match value {
                Some(value) => map.insert(key.clone(), value),
                None => map.remove(key),
            };
        }
        self.note_change(before.as_ref() != Some(&map));
        Some(map)
    }

    /// Any data.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        Some(self.data(self.find(&[name])?, Pointer::Of(&self.at(name))))
    }

    fn data(&self, node: &Node, at: Pointer<'_>) -> Value {
        let value = node.to_value(at, &mut |at, detail| self.findings.fault(at, detail));
        if self.is_patch() { without_nulls(value) } else { value }
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
                            [(key, node)] => pairs.push((key.clone(), self.item(node, Pointer::Key(&at, key)))),
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

    /// Data in an array, which a patch replaces as it is.
    fn item(&self, node: &Node, at: Pointer<'_>) -> Value {
        node.to_value(at, &mut |at, detail| self.findings.fault(at, detail))
    }
}

/// Reads a map out of an answer of ours.
fn texts(node: &Node) -> BTreeMap<String, String> {
    let Node::Object(entries) = node else { return BTreeMap::new() };
    let text = |(key, node): &(String, Node)| match node {
        Node::Text(text) => Some((key.clone(), text.clone())),
        _ => None,
    };
    entries.iter().filter_map(text).collect()
}

/// What a patch makes of nothing (RFC 7396, section 2): an object loses what is null in it; arrays stay as they are.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}
