//! Reads the fields of an object, whatever their spelling, and collects all that is wrong.
//!
//! A JSON merge patch (RFC 7396) is read by the same means: an object then has two layers, what the client wrote and the
//! answer that we would give now. A field that the client wrote counts, null takes it away, and one that he did not
//! write is as it was. So each record's reader says what its fields are once, for bodies and for patches: which of
//! them are ours, in any spelling, and which hold data.

mod data;
mod findings;
#[cfg(test)]
mod patch_tests;
#[cfg(test)]
mod tests;

use std::{cell::Cell, collections::HashSet, fmt::Display};

use dcm_core::fault::{Faults, segment};

use super::tree::{Node, Pointer, TWICE};
pub(crate) use findings::{Differing, Findings, Remarks};

/// An array of objects of our own fields may have so many entries that we read them. What is allowed is less.
const MOST_OBJECTS: usize = 1024;

/// An object of our own fields. What nobody has asked for when it is dropped counts as unknown.
pub(crate) struct Object<'a> {
    findings: &'a Findings,
    pointer: String,
    /// What the client wrote.
    fields: Vec<Field<'a>>,
    /// Where a patch is read: what is there already.
    present: Option<&'a [(String, Node)]>,
}

struct Field<'a> {
    key: &'a str,
    node: &'a Node,
    known: Cell<bool>,
}

/// A field's name without what spelling may change: case, hyphens and underscores.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a name is one of these, however both are spelled.
fn is_one_of(name: &str, names: &[&str]) -> bool {
    fn plain_bytes(name: &str) -> impl Iterator<Item = u8> {
        name.bytes().filter(|b| !matches!(b, b'-' | b'_')).map(|b| b.to_ascii_lowercase())
    }
    names.iter().any(|known| plain_bytes(known).eq(plain_bytes(name)))
}

impl<'a> Object<'a> {
    /// The body itself.
    pub(crate) fn root(node: &'a Node, findings: &'a Findings) -> Self {
        Self::new(Some(node), None, String::new(), findings)
    }

    /// A patch of what is there already, which is an answer of ours.
    pub(crate) fn patch(patch: &'a Node, present: &'a Node, findings: &'a Findings) -> Self {
        if matches!(patch, Node::Null) {
            findings.wrong("", "an object", patch);
        }
        Self::new(Some(patch), Some(entries(present)), String::new(), findings)
    }

    fn new(
        written: Option<&'a Node>,
        present: Option<&'a [(String, Node)]>,
        pointer: String,
        findings: &'a Findings,
    ) -> Self {
        if let Some(other) = written.filter(|node| !matches!(node, Node::Object(_) | Node::Null)) {
            findings.wrong(&pointer, "an object", other);
        }
        let field = |(key, node): &'a (String, Node)| Field { key, node, known: Cell::new(false) };
        let fields = written.map(entries).unwrap_or_default().iter().map(field).collect();
        Self { findings, pointer, fields, present }
    }

    fn is_patch(&self) -> bool {
        self.present.is_some()
    }

    /// Where the field lies, in the spelling of our answers.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, segment(name))
    }

    /// Notes that a field is wrong.
    pub(crate) fn fault(&self, name: &str, detail: impl Display) {
        self.findings.fault(Pointer::Key(&Pointer::Of(&self.pointer), name), detail);
    }

    /// Notes what else is wrong.
    pub(crate) fn faults(&self, faults: Faults) {
        for fault in faults.as_slice() {
            self.findings.fault(&fault.pointer, &fault.detail);
        }
    }

    /// Whether the client wrote the field, under one of its names. Null says nothing but in a patch.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.glance(names).is_some()
    }

    /// The field's node; the first of its names is the one of our answers. Null counts as absent.
    fn find(&self, names: &[&str]) -> Option<&'a Node> {
        let present = self.present(names);
        let Some(node) = self.written(names) else { return present };
        self.note_change(!is_same(node, present));
        Some(node).filter(|node| !matches!(node, Node::Null))
    }

    /// The field as the client wrote it, null too.
    fn written(&self, names: &[&str]) -> Option<&'a Node> {
        let mut found: Option<&Field<'a>> = None;
        for field in &self.fields {
            if is_one_of(field.key, names) {
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
        found.map(|field| field.node)
    }

    /// The field as it is there already.
    fn present(&self, names: &[&str]) -> Option<&'a Node> {
        let present = self.present.filter(|present| !present.is_empty())?;
        let found = present.iter().find(|(key, _)| is_one_of(key, names));
        found.map(|(_, node)| node).filter(|node| !matches!(node, Node::Null))
    }

    /// Whether a patch takes a field away that our answers do not show: its reader knows whether that is a change.
    pub(crate) fn takes_away(&self, name: &str) -> bool {
        let is_null = |field: &Field<'_>| is_one_of(field.key, &[name]) && matches!(field.node, Node::Null);
        self.is_patch() && self.fields.iter().any(is_null)
    }

    /// Notes whether a patch makes a difference.
    pub(crate) fn note_change(&self, is_change: bool) {
        if is_change && self.is_patch() {
            self.findings.changed();
        }
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

    /// A name that stands in the path too: taken away, it is the one of the path, as it is.
    pub(crate) fn name(&self, names: &[&str]) -> Option<String> {
        if self.is_patch() && matches!(self.glance(names), Some(Node::Null)) {
            self.known(names);
            return None;
        }
        self.text(names)
    }

    /// A whole number that is not negative; in quotes, too.
    pub(crate) fn integer(&self, name: &str) -> Option<u64> {
        let number = match self.find(&[name])? {
            Node::Number(number) => number.as_u64(),
            Node::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.fault(name, "must be a whole number, not negative");
        }
        number
    }

    /// An array of texts.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let list = self.list(&[name])?;
        let mut texts = Vec::with_capacity(list.len());
        for (i, node) in list.iter().enumerate() {
            match node {
                Node::Text(text) => texts.push(text.clone()),
                other => self.findings.wrong(Pointer::Item(&Pointer::Of(&self.at(name)), i), "a text", other),
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
            Object::new(Some(node), None, at, self.findings)
        };
        Some(list.iter().enumerate().map(object).collect())
    }

    /// An object of our own fields; `None` where it is absent.
    pub(crate) fn object(&self, name: &str) -> Option<Object<'a>> {
        let (written, present) = (self.written(&[name]), self.present(&[name]));
        match written {
            None => present?,
            Some(node @ Node::Null) => {
                self.note_change(!is_same(node, present));
                return None;
            }
            Some(node) => node,
        };
        let present = self.present.map(|_| present.map(entries).unwrap_or_default());
        Some(Object::new(written, present, self.at(name), self.findings))
    }

    /// An object of our own fields; without any where it is absent.
    pub(crate) fn object_or_empty(&self, name: &str) -> Object<'a> {
        let none = || Object::new(None, self.present.map(|_| [].as_slice()), self.at(name), self.findings);
        self.object(name).unwrap_or_else(none)
    }

    /// Fields of our answers that a request may hold and that say nothing in it.
    pub(crate) fn read_only(&self, names: &[&str]) {
        for (name, field) in self.known(names) {
            if self.is_patch() && !is_same(field.node, self.present(&[name])) {
                self.findings.kept(self.at(name));
            }
        }
    }

    /// Fields of our answers that say again what another object says, which counts there under one of `counting`. Who writes
    /// both, and not the same, means something that is not done.
    ///
    /// In a patch a field that says what is there already says nothing: it was read before the other one was changed.
    pub(crate) fn repeats(&self, names: &[&str], of: &Object<'_>, counting: &[&str]) {
        let counts = of.glance(counting);
        for (name, field) in self.known(names) {
            let says_nothing = match (self.is_patch(), field.node) {
                (false, node) => matches!(node, Node::Null),
                (true, node) => is_same(node, self.present(&[name])),
            };
            if says_nothing || counts == Some(field.node) {
                continue;
            }
            match counting.first() {
                Some(first) if counts.is_some() || !self.is_patch() => {
                    self.findings.differs(self.at(name), of.at(first))
                }
                _ => self.findings.kept(self.at(name)),
            }
        }
    }

    /// As [`Self::repeats`], for a name that stands in the path too: it may be left out where it counts.
    pub(crate) fn repeats_name(&self, names: &[&str], of: &Object<'_>, counting: &[&str]) {
        if self.is_patch() || of.glance(counting).is_some() {
            self.repeats(names, of, counting);
        } else {
            self.read_only(names);
        }
    }

    /// What the client wrote for these names, which are known from here on.
    fn known<'n>(&self, names: &[&'n str]) -> Vec<(&'n str, &Field<'a>)> {
        let mut found = Vec::new();
        for name in names {
            let is_it = |field: &&Field<'a>| is_one_of(field.key, &[name]);
            found.extend(self.fields.iter().filter(is_it).map(|field| (*name, field)));
        }
        found.iter().for_each(|(_, field)| field.known.set(true));
        found
    }

    /// What the client wrote for a field, under one of its names; null says nothing but in a patch.
    fn glance(&self, names: &[&str]) -> Option<&'a Node> {
        let found = self.fields.iter().find(|field| is_one_of(field.key, names)).map(|field| field.node);
        found.filter(|node| self.is_patch() || !matches!(node, Node::Null))
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

/// An object's fields; of anything else, none.
fn entries(node: &Node) -> &[(String, Node)] {
    match node {
        Node::Object(entries) => entries,
        _ => &[],
    }
}

/// Whether a field that a client wrote says what is there already. Null says that nothing is.
fn is_same(written: &Node, present: Option<&Node>) -> bool {
    match (written, present) {
        (Node::Null, present) => present.is_none(),
        (written, present) => present == Some(written),
    }
}

/// A key as it may be quoted.
fn short(key: &str) -> &str {
    key.char_indices().nth(64).and_then(|(end, _)| key.get(..end)).unwrap_or(key)
}
