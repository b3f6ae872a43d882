//! What a client knows of one record: its acknowledged state, and the one write whose outcome it does not know.

use std::collections::HashSet;

use serde_json::Value;

use super::http::Answer;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Project,
    Cloud,
    Pair,
    Quota,
    Reference,
}

impl Kind {
    /// The statuses of an acknowledged create, replace and delete.
    pub(crate) const fn statuses(self) -> [u16; 3] {
        match self {
            Self::Project | Self::Cloud => [201, 200, 204],
            Self::Pair | Self::Quota => [201, 201, 204],
            Self::Reference => [200, 200, 204],
        }
    }
}

/// One state of a record, as the server shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) tag: String,
    pub(crate) body: Value,
}

/// A write.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Create(Value),
    Replace(Value),
    Delete,
}

/// What became of a write that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    NotDone,
    /// A delete has left its mark; the next delete goes on with it.
    Begun,
}

/// A record of one client's.
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) collection: String,
    /// The state that was acknowledged, or none where there is no such record.
    pub(crate) state: Option<State>,
    /// The write that was not answered.
    pub(crate) in_flight: Option<Deed>,
    /// Every entity tag that there ever was at this path.
    seen: HashSet<String>,
}

impl Record {
    pub(crate) fn new(kind: Kind, collection: String, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            path: format!("{collection}/{name}"),
            collection,
            state: None,
            in_flight: None,
            seen: HashSet::new(),
        }
    }

    /// A tag of a state that has passed.
    pub(crate) fn old_tag(&self) -> Option<String> {
        let now = self.state.as_ref().map(|state| &state.tag);
        self.seen.iter().find(|tag| Some(*tag) != now).cloned()
    }

    /// Whether a delete has left its mark.
    pub(crate) fn is_going(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.body["deleting"] == true)
    }

    /// The state that an answer shows.
    pub(crate) fn shown(&self, answer: &Answer) -> State {
        let tag = answer.tag.clone();
        let tag = tag.unwrap_or_else(|| panic!("{} has no ETag: {answer:?}", self.path));
        State { tag, body: essence(self.kind, &answer.body) }
    }

    /// Takes down a state that no earlier one has shared its tag with.
    pub(crate) fn enter(&mut self, sent: Option<&Value>, state: State) {
        let path = &self.path;
        assert!(self.seen.insert(state.tag.clone()), "{path}: the ETag {} was used before", state.tag);
        if let Some(sent) = sent {
            assert!(holds(&state.body, sent), "{path} does not hold what was written: {sent:#}\n{:#}", state.body);
        }
        self.state = Some(state);
    }

    /// Compares what is found with what may be there, and takes it down.
    pub(crate) fn settle(&mut self, found: Option<State>) -> Option<Outcome> {
        let deed = self.in_flight.take();
        let Some(deed) = deed else {
            let known = found.as_ref().is_some_and(|found| self.seen.contains(&found.tag));
            let which = if known { "an earlier state" } else { "a new state" };
            assert_eq!(found, self.state, "{} is not as it was acknowledged, but in {which}", self.path);
            return None;
        };
        let outcome = match (&deed, found) {
            (Deed::Delete, None) => {
                self.state = None;
                Outcome::Done
            }
            (_, found) if found == self.state => Outcome::NotDone,
            (Deed::Create(sent), Some(found)) if self.state.is_none() => {
                self.enter(Some(sent), found);
                Outcome::Done
            }
            (Deed::Replace(sent), Some(found)) => {
                let uid = self.state.as_ref().map(|state| state.body["uid"].clone());
                assert_eq!(uid.as_ref(), Some(&found.body["uid"]), "{} is another one", self.path);
                self.enter(Some(sent), found);
                Outcome::Done
            }
            (Deed::Delete, Some(found)) if self.is_marked(&found) => {
                self.enter(None, found);
                Outcome::Begun
            }
            (_, found) => panic!("{}: {found:#?} after {deed:?} of {:#?}", self.path, self.state),
        };
        Some(outcome)
    }

    /// Whether this is the acknowledged state with the mark that a delete leaves, the first one or another.
    fn is_marked(&self, found: &State) -> bool {
        let unmarked = |state: &State| {
            let mut body = state.body.clone();
            // That of other kinds is not shown.
            body.as_object_mut().and_then(|body| body.remove("deleting"));
            body
        };
        let has_marks = matches!(self.kind, Kind::Project | Kind::Cloud | Kind::Reference);
        has_marks && self.state.as_ref().is_some_and(|state| unmarked(state) == unmarked(found))
    }
}

/// What is a record's own in an answer: a logical cloud's also shows what lies below it.
pub(crate) fn essence(kind: Kind, body: &Value) -> Value {
    let mut body = body.clone();
    if kind == Kind::Cloud {
        body["spec"].as_object_mut().and_then(|spec| spec.remove("clusters"));
        let of_children = ["generation", "applied-generation", "user-name", "user"];
        let body = body.as_object_mut().expect("a logical cloud is an object");
        body.retain(|name, _| !of_children.contains(&name.as_str()));
    }
    body
}

/// Whether all that was sent is there.
fn holds(body: &Value, sent: &Value) -> bool {
    match (body, sent) {
        (Value::Object(body), Value::Object(sent)) => {
            sent.iter().all(|(name, sent)| body.get(name).is_some_and(|value| holds(value, sent)))
        }
        (Value::Array(body), Value::Array(sent)) => {
            body.len() == sent.len() && body.iter().zip(sent).all(|(value, sent)| holds(value, sent))
        }
        (body, sent) => body == sent,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(tag: &str, n: u32) -> State {
        State { tag: tag.to_owned(), body: json!({ "metadata": { "n": n } }) }
    }

    fn record() -> Record {
        let mut record = Record::new(Kind::Pair, "/pairs".to_owned(), "one");
        record.enter(None, state("a", 1));
        record
    }

    #[test]
    fn a_write_in_flight_is_done_or_not_done() {
        let mut record = record();
        record.in_flight = Some(Deed::Replace(json!({ "metadata": { "n": 2 } })));
        assert_eq!(record.settle(Some(state("a", 1))), Some(Outcome::NotDone));
        record.in_flight = Some(Deed::Replace(json!({ "metadata": { "n": 2 } })));
        assert_eq!(record.settle(Some(state("b", 2))), Some(Outcome::Done));
        record.in_flight = Some(Deed::Delete);
        assert_eq!(record.settle(None), Some(Outcome::Done));
        assert_eq!(record.settle(None), None);
    }

    #[test]
    #[should_panic(expected = "is not as it was acknowledged")]
    fn a_lost_write_is_seen() {
        record().settle(None);
    }

    #[test]
    #[should_panic(expected = "does not hold what was written")]
    fn a_write_that_is_half_there_is_seen() {
        let mut record = record();
        record.in_flight = Some(Deed::Replace(json!({ "metadata": { "n": 2, "m": 2 } })));
        record.settle(Some(state("b", 2)));
    }

    #[test]
    #[should_panic(expected = "was used before")]
    fn a_tag_that_comes_back_is_seen() {
        let mut record = record();
        record.in_flight = Some(Deed::Delete);
        record.settle(None);
        record.in_flight = Some(Deed::Create(json!({})));
        record.settle(Some(state("a", 3)));
    }

    #[test]
    #[should_panic(expected = "after Delete of")]
    fn a_delete_that_changes_something_is_seen() {
        let mut record = record();
        record.in_flight = Some(Deed::Delete);
        record.settle(Some(state("b", 2)));
    }
}
