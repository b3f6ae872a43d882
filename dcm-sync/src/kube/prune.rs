//! Takes away what is ours and no longer wanted.

use std::collections::{BTreeMap, BTreeSet};

use dcm_core::sync::{Desired, Failure, ObjectId, Part, PartState, Reason};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{
    failure::about,
    object,
    session::{Session, Stop, state_of},
};

/// The order in which parts go: what gives access first.
pub(super) const REVERSE: [Part; 4] = [Part::RoleBinding, Part::Role, Part::Quota, Part::Credential];

pub(super) async fn prune(
    session: &mut Session<'_>,
    desired: &Desired,
    seen: &BTreeMap<ObjectId, Value>,
) -> Result<(), Stop> {
    let wanted: BTreeSet<&ObjectId> = desired.objects.iter().map(|object| &object.id).collect();
    let inventory = session.ledger.all().into_iter().map(|item| item.id);
    let unwanted: BTreeSet<ObjectId> =
        inventory.chain(seen.keys().cloned()).filter(|id| !wanted.contains(id)).collect();
    for part in REVERSE {
        let ids = unwanted.iter().filter(|id| object::part_of(&id.kind) == part);
        let taken = take_away(session, ids.collect(), seen).await;
        if let Err(failure) = taken {
            session.note(part, state_of(&failure));
            return Err(failure.into());
        }
    }
    Ok(())
}

/// Deletes objects of one part; the worst failure, after all were tried.
pub(super) async fn take_away(
    session: &Session<'_>,
    ids: Vec<&ObjectId>,
    seen: &BTreeMap<ObjectId, Value>,
) -> Result<(), Failure> {
    let mut works = Vec::new();
    for id in ids {
        works.push(delete(session, id, seen.get(id)).boxed());
    }
    let failures = session.side_by_side(works).await;
    let worse = |a: Failure, b: Failure| if state_of(&b) > state_of(&a) { b } else { a };
    failures.into_iter().reduce(worse).map_or(Ok(()), Err)
}

/// Deletes one object of ours: the one that was seen, else the one that the inventory names by its uid,
/// else the one that is there if it carries our marks.
async fn delete(session: &Session<'_>, id: &ObjectId, seen: Option<&Value>) -> Result<(), Failure> {
    let fail = |error: super::failure::CallError| about(id, error.into());
    let known = seen.map(|live| object::uid(live).to_owned()).or_else(|| session.ledger.uid(id));
    let uid = match known {
        Some(uid) => Some(uid),
        None => session
            .api
            .read(id)
            .await
            .map_err(fail)?
            .filter(|live| object::is_marked(live, session.owner))
            .map(|live| object::uid(&live).to_owned()),
    };
    if let Some(uid) = uid {
        let held = session.api.delete(id, &uid).await.map_err(fail)?;
        if held.is_some() {
            session.ledger.there(id, &uid, false);
            let detail = "is being deleted and something holds it; look at its finalizers";
            return Err(about(id, Failure::new(Reason::DeletionBlocked, detail)));
        }
    }
    session.ledger.gone(id);
    Ok(())
}

/// Notes that a part is gone.
pub(super) fn deleted(session: &mut Session<'_>, part: Part) {
    if part != Part::Credential {
        session.note(part, PartState::Deleted);
    }
}
