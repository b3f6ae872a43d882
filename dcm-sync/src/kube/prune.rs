//! Takes away what is ours and no longer wanted.

use std::collections::{BTreeMap, BTreeSet};

use dcm_core::sync::{ChangeKind, Desired, Failure, ObjectId, Part, PartState};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{
    api::Deletion,
    failure::{CallError, about},
    make::going,
    object,
    session::{Session, Stop, is_of_one_object, state_of},
};

/// The order in which parts go: what gives access first.
pub(super) const REVERSE: [Part; 4] = [Part::RoleBinding, Part::Role, Part::Quota, Part::Credential];

pub(super) async fn prune(
    session: &mut Session<'_>,
    desired: &Desired,
    seen: &BTreeMap<ObjectId, Value>,
) -> Result<(), Stop> {
    let mut held = None;
    for (part, ids) in unwanted(session, desired, seen) {
        let taken = take_away(session, ids.iter().collect(), seen).await;
        if let Err(failure) = taken {
            session.note(part, state_of(&failure));
            if !is_of_one_object(&failure) {
                return Err(failure.into());
            }
            // Above all what gives access goes all the same: an account, where a binding is held.
            held.get_or_insert(failure);
        }
    }
    held.map_or(Ok(()), |failure| Err(failure.into()))
}

/// What is there, as far as is known, and not wanted; in the order in which it goes.
pub(super) fn unwanted(
    session: &Session<'_>,
    desired: &Desired,
    seen: &BTreeMap<ObjectId, Value>,
) -> Vec<(Part, Vec<ObjectId>)> {
    let wanted: BTreeSet<&ObjectId> = desired.objects.iter().map(|object| &object.id).collect();
    let inventory = session.ledger.all().into_iter().map(|item| item.id);
    let unwanted: BTreeSet<ObjectId> =
        inventory.chain(seen.keys().cloned()).filter(|id| !wanted.contains(id)).collect();
    let of = |part| unwanted.iter().filter(move |id| id.part() == part).cloned().collect();
    REVERSE.into_iter().map(|part| (part, of(part))).collect()
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
    let fail = |error: CallError| about(id, error.into());
    let uid = match seen {
        Some(live) => Some(object::uid(live).to_owned()),
        None => find(session, id).await.map_err(fail)?,
    };
    if let Some(uid) = uid {
        match session.api.delete(id, &uid).await.map_err(fail)? {
            Deletion::Done => session.changes.note(id, ChangeKind::Delete),
            Deletion::Absent => {}
            Deletion::Held(by) => {
                session.ledger.there(id, &uid, false);
                return Err(going(id, &by));
            }
        }
    }
    session.ledger.gone(id);
    Ok(())
}

/// The uid of an object of ours: the one that the inventory names, else that of what is there with our marks.
pub(super) async fn find(session: &Session<'_>, id: &ObjectId) -> Result<Option<String>, CallError> {
    if let Some(uid) = session.ledger.uid(id) {
        return Ok(Some(uid));
    }
    let live = session.api.read(id).await?.filter(|live| object::is_marked(live, session.owner));
    Ok(live.map(|live| object::uid(&live).to_owned()))
}

/// Notes that a part is gone.
pub(super) fn deleted(session: &mut Session<'_>, part: Part) {
    if part != Part::Credential {
        session.note(part, PartState::Deleted);
    }
}
