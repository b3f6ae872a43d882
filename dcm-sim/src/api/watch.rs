//! Watches: what there is, then what changes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Call, read};
use crate::kinds::KindId;
use crate::selector::Selector;
use crate::state::{Change, Event, State};
use crate::status::Refusal;

/// What a watch sends.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Object(&'static str, Arc<Value>),
    /// A revision up to which everything was sent; `true` at the end of what there was at first.
    Bookmark(u64, bool),
    Expired(Refusal),
}

/// A watch between two looks at the state.
#[derive(Debug)]
pub(crate) struct Watch {
    kind: KindId,
    namespace: Option<String>,
    selector: Selector,
    pub(crate) bookmarks: bool,
    pub(crate) revision: u64,
}

/// Begins a watch, and tells what it sends at once.
pub(crate) fn begin(state: &State, call: &Call<'_>) -> Result<(Watch, Vec<Notice>), Refusal> {
    let selector = read::selector(call)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let initial = call.query.get("sendInitialEvents").map(|value| value == "true" || value == "1");
    let from = match call.query.get("resourceVersion") {
        None | Some("" | "0") => None,
        Some(version) => Some(
            version
                .parse::<u64>()
                .map_err(|_| Refusal::bad_request(format!("resourceVersion: Invalid value: {version:?}")))?,
        ),
    };
    let mut watch = Watch {
        kind: call.kind,
        namespace: call.scope().map(str::to_owned),
        selector,
        bookmarks,
        revision: state.revision(),
    };
    let mut notices = Vec::new();
    match from {
        Some(revision) if initial != Some(true) => {
            watch.revision = revision.min(state.revision());
            notices = watch.catch_up(state);
        }
        _ if initial == Some(false) => {}
        _ => {
            let present = state
                .range(call.kind, call.scope(), None)
                .filter(|(_, object)| watch.selector.matches(object))
                .map(|(_, object)| Notice::Object("ADDED", Arc::clone(object)));
            notices.extend(present);
            if initial == Some(true) && bookmarks {
                notices.push(Notice::Bookmark(watch.revision, true));
            }
        }
    }
    Ok((watch, notices))
}

impl Watch {
    /// What has changed since the last look.
    pub(crate) fn catch_up(&mut self, state: &State) -> Vec<Notice> {
        let Some(events) = state.since(self.revision) else {
            let message = format!("too old resource version: {} ({})", self.revision, state.oldest());
            return vec![Notice::Expired(Refusal::expired(message))];
        };
        let notices = events.filter_map(|event| self.notice(event)).collect();
        self.revision = state.revision();
        notices
    }

    fn notice(&self, event: &Event) -> Option<Notice> {
        if event.kind != self.kind {
            return None;
        }
        let wanted = |object: &Value| {
            self.namespace
                .as_deref()
                .is_none_or(|namespace| crate::json::text(object, &["metadata", "namespace"]) == namespace)
                && self.selector.matches(object)
        };
        let was = event.before.as_deref().is_some_and(wanted);
        let is = event.change != Change::Deleted && wanted(&event.object);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(Notice::Object(kind, Arc::clone(&event.object)))
    }

    /// The object of a bookmark.
    pub(crate) fn bookmark(&self, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata})
    }
}
