//! GET of objects and lists.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::Call;
use crate::json;
use crate::kinds::KindId;
use crate::selector::Selector;
use crate::state::{Key, State};
use crate::status::Refusal;

/// A page of objects.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) kind: KindId,
    pub(crate) items: Vec<Arc<Value>>,
    pub(crate) revision: u64,
    next: Option<String>,
    remaining: usize,
}

impl List {
    /// The metadata of the list object.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        if let Some(next) = &self.next {
            metadata["continue"] = next.clone().into();
            metadata["remainingItemCount"] = self.remaining.into();
        }
        metadata
    }
}

/// Which objects a call selects.
pub(crate) fn selector(call: &Call<'_>) -> Result<Selector, Refusal> {
    Selector::parse(
        call.query.get("labelSelector").unwrap_or_default(),
        call.query.get("fieldSelector").unwrap_or_default(),
    )
}

/// Lists what a call selects, a page at a time where it has a limit.
pub(crate) fn list(state: &State, call: &Call<'_>) -> Result<List, Refusal> {
    let selector = selector(call)?;
    let limit = match call.query.number("limit")? {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let (revision, after) = match call.query.get("continue") {
        None | Some("") => (state.revision(), None),
        Some(token) => {
            let (revision, key) = read_token(token).ok_or_else(|| Refusal::bad_request("continue key is not valid"))?;
            if revision < state.oldest() {
                return Err(Refusal::expired(
                    "The provided continue parameter is too old to display a consistent list result",
                ));
            }
            (revision, Some(key))
        }
    };
    let mut selected = state.range(call.kind, call.scope(), after).filter(|(_, object)| selector.matches(object));
    let mut last = None;
    let mut items = Vec::new();
    for (key, object) in selected.by_ref().take(limit) {
        last = Some(key);
        items.push(Arc::clone(object));
    }
    let remaining = selected.count();
    let next = (remaining > 0).then_some(last).flatten().map(|key| token(revision, key));
    Ok(List { kind: call.kind, items, revision, next, remaining })
}

fn token(revision: u64, (namespace, name): &Key) -> String {
    let position = json!({"rv": revision, "namespace": namespace, "name": name});
    BASE64URL_NOPAD.encode(position.to_string().as_bytes())
}

fn read_token(token: &str) -> Option<(u64, Key)> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let position: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |key| json::text(&position, &[key]).to_owned();
    Some((position.get("rv")?.as_u64()?, (text("namespace"), text("name"))))
}
