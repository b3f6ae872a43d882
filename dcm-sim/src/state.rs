//! The state of one cluster: objects by key, one counter of revisions, and the recent changes for watches.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::json;
use crate::kinds::{KINDS, KindId};

/// How many changes a watch can be behind before it has to start over.
const REMEMBERED: usize = 10_000;

/// Namespace (empty for cluster-wide objects) and name.
pub(crate) type Key = (String, String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// A change that watches may ask for.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) kind: KindId,
    pub(crate) change: Change,
    pub(crate) object: Arc<Value>,
    /// What was there before: an object that leaves a selector is a deletion to who selects by it.
    pub(crate) before: Option<Arc<Value>>,
}

/// What is to be done after the lock is released, as a controller would.
#[derive(Debug)]
pub(crate) enum Task {
    /// Empty a terminating namespace and take it away.
    Terminate { namespace: String, uid: String },
    /// Sign an approved request.
    Sign { name: String, uid: String },
}

/// What a ServiceAccount's token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) uid: String,
    pub(crate) expires: Timestamp,
}

/// Everything that a cluster knows.
#[derive(Debug)]
pub(crate) struct State {
    revision: u64,
    tables: Vec<BTreeMap<Key, Arc<Value>>>,
    events: VecDeque<Event>,
    /// The oldest revision that a watch can still start from.
    oldest: u64,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) tasks: Vec<Task>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            revision: 0,
            tables: (0..KINDS.len()).map(|_| BTreeMap::new()).collect(),
            events: VecDeque::new(),
            oldest: 0,
            tokens: HashMap::new(),
            tasks: Vec::new(),
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(crate) fn get(&self, kind: KindId, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.tables[kind.index()].get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The objects of a kind in key order, of one namespace or of all, from a key on.
    pub(crate) fn range<'a>(
        &'a self,
        kind: KindId,
        namespace: Option<&'a str>,
        after: Option<Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let start = match (after, namespace) {
            (Some(key), _) => Bound::Excluded(key),
            (None, Some(namespace)) => Bound::Included((namespace.to_owned(), String::new())),
            (None, None) => Bound::Unbounded,
        };
        self.tables[kind.index()]
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.0 == namespace))
    }

    /// The objects of a kind in a namespace.
    pub(crate) fn inside<'a>(&'a self, kind: KindId, namespace: &'a str) -> impl Iterator<Item = &'a Arc<Value>> {
        self.range(kind, Some(namespace), None).map(|(_, object)| object)
    }

    /// Stores an object under a new revision and tells the watches.
    pub(crate) fn put(&mut self, kind: KindId, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        json::set(&mut object, &["metadata", "resourceVersion"], self.revision.to_string());
        let key = (
            json::text(&object, &["metadata", "namespace"]).to_owned(),
            json::text(&object, &["metadata", "name"]).to_owned(),
        );
        let object = Arc::new(object);
        let before = self.tables[kind.index()].insert(key, Arc::clone(&object));
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        self.remember(kind, change, Arc::clone(&object), before);
        object
    }

    /// Takes an object away under a new revision and tells the watches.
    pub(crate) fn take(&mut self, kind: KindId, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let before = self.tables[kind.index()].remove(&(namespace.to_owned(), name.to_owned()))?;
        self.revision += 1;
        let mut last = (*before).clone();
        json::set(&mut last, &["metadata", "resourceVersion"], self.revision.to_string());
        let last = Arc::new(last);
        self.remember(kind, Change::Deleted, Arc::clone(&last), Some(before));
        Some(last)
    }

    fn remember(&mut self, kind: KindId, change: Change, object: Arc<Value>, before: Option<Arc<Value>>) {
        if self.events.len() == REMEMBERED {
            self.oldest = self.events.pop_front().map_or(self.oldest, |event| event.revision);
        }
        self.events.push_back(Event { revision: self.revision, kind, change, object, before });
    }

    /// The changes after a revision; `None` where some of them are forgotten.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Event>> {
        if revision < self.oldest {
            return None;
        }
        let start = self.events.partition_point(|event| event.revision <= revision);
        Some(self.events.range(start..))
    }

    /// Forgets the changes so far, so that every older watch has to start over.
    pub(crate) fn compact(&mut self) {
        self.events.clear();
        self.oldest = self.revision;
    }
}
