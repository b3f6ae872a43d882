//! Removes what is ours, in reverse order.

use std::collections::{BTreeMap, BTreeSet};

use dcm_core::{
    model::DeletePolicy,
    sync::{ChangeKind, Failure, ObjectId, Part, Removal, Report},
};
use serde_json::Value;

use super::{
    credential,
    failure::about,
    namespace, object, observe,
    prune::{REVERSE, deleted, take_away},
    session::{Patience, Session, is_of_one_object, state_of},
};

pub(super) async fn remove(mut session: Session<'_>, removal: &Removal) -> Report {
    let result = work(&mut session, removal).await;
    session.report(result.err())
}

async fn work(session: &mut Session<'_>, removal: &Removal) -> Result<(), Failure> {
    let id = session.own.map(object::namespace_id);
    let live = match &id {
        Some(id) => find(session, id).await?,
        None => None,
    };
    if let Some(live) = &live {
        namespace::guard(live, session.owner, removal.force).inspect_err(|failure| {
            session.parts.insert(Part::Namespace, state_of(failure));
        })?;
    }
    // They give nobody access and hold nothing up; where DCM may not even see them it has made none.
    if let Err(error) = credential::sweep(session.api, session.owner).await {
        tracing::debug!(error = %Failure::from(error), "certificate signing requests may have been left behind");
    }
    let goes = match (&id, &live) {
        (Some(id), Some(live)) => {
            object::is_terminating(live)
                || removal.delete == DeletePolicy::Delete && !namespace::is_adopted(session, id, live)
        }
        _ => false,
    };

    session.accounts |= !goes;
    let seen = match live {
        Some(_) => observe::own_objects(session).await?,
        None => BTreeMap::new(),
    };
    let (mut with_namespace, mut going) = (vec![Part::Namespace], Vec::new());
    let mut held = None;
    for part in REVERSE {
        let (ids, spared) = of_part(session, part, &seen, goes);
        let taken = take_away(session, ids.iter().collect(), &seen).await;
        if let Err(failure) = taken {
            session.note(part, state_of(&failure));
            if !is_of_one_object(&failure) {
                return Err(failure);
            }
            // What it may give access to goes all the same.
            held.get_or_insert(failure);
            going.extend(spared);
            continue;
        }
        if spared.is_empty() {
            deleted(session, part);
        } else {
            with_namespace.push(part);
            going.extend(spared);
        }
    }
    if !goes && let Some(held) = held {
        // The namespace stays ours until nothing of ours is left in it.
        return Err(held);
    }
    let gone = match (&id, &live) {
        (Some(id), Some(live)) if goes => delete(session, id, live).await,
        (Some(id), Some(live)) => namespace::release(session, id, live).await,
        _ => Ok(()),
    };
    if gone.is_ok() {
        going.iter().filter(|id| seen.contains_key(id)).for_each(|id| session.changes.note(id, ChangeKind::Delete));
    }
    for part in with_namespace {
        match &gone {
            Ok(()) => deleted(session, part),
            Err(failure) => session.note(part, state_of(failure)),
        }
    }
    gone.and(held.map_or(Ok(()), Err))
}

/// The namespace, where it is there and ours. Where it is gone, all in it is; where it is another's, it
/// is left alone.
async fn find(session: &Session<'_>, id: &ObjectId) -> Result<Option<Value>, Failure> {
    let live = session.api.read(id).await.map_err(|error| about(id, error.into()))?;
    if live.is_none() {
        session.ledger.gone_with(&id.name);
    }
    let ours = live.filter(|live| namespace::is_ours(session, id, live));
    if ours.is_none() {
        session.ledger.gone(id);
    }
    Ok(ours)
}

/// What is ours of a part and has to be deleted, and what is spared: roles and quotas in a namespace that
/// goes need no request of their own.
fn of_part(
    session: &Session<'_>,
    part: Part,
    seen: &BTreeMap<ObjectId, Value>,
    goes: bool,
) -> (Vec<ObjectId>, Vec<ObjectId>) {
    let noted = session.ledger.all().into_iter().map(|item| item.id);
    let all: BTreeSet<ObjectId> = noted.chain(seen.keys().cloned()).filter(|id| id.part() == part).collect();
    all.into_iter().partition(|id| !goes || !session.is_own(id) || part == Part::RoleBinding)
}

/// Deletes the namespace and waits until it is gone.
async fn delete(session: &Session<'_>, id: &ObjectId, live: &Value) -> Result<(), Failure> {
    let uid = object::uid(live);
    let fail = |error: super::failure::CallError| about(id, error.into());
    session.ledger.there(id, uid, false);
    if !object::is_terminating(live) {
        session.api.delete(id, uid).await.map_err(fail)?;
        session.changes.note(id, ChangeKind::Delete);
    }
    let mut patience = Patience::new(session.options.removal_wait);
    loop {
        let now = session.api.read(id).await.map_err(fail)?;
        let Some(now) = now.filter(|now| object::uid(now) == uid) else {
            session.ledger.gone_with(&id.name);
            session.ledger.gone(id);
            return Ok(());
        };
        if !patience.wait().await {
            return Err(about(id, namespace::blocked(&now)));
        }
    }
}
