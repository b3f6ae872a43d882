//! Takes a user's access away at once.
//!
//! Nothing but bindings and accounts is touched: without a binding an identity may do nothing, and the next
//! apply makes what is still wanted anew. The generation guard holds here as well, although nothing is
//! made: a store that was restored from an old backup knows an old identity as the one to keep, and would
//! cut off the user whom a younger store has let in.

mod grants;

use std::collections::BTreeMap;

use dcm_core::{
    sync::{CutOff, Failure, Grant, ObjectId, Part},
    tenancy::Identity,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::Value;

use super::{
    api::Deletion,
    failure::{CallError, about},
    make::{self, going},
    namespace,
    object::{self, ACCOUNT, BINDING},
    observe,
    session::{Session, state_of},
};

/// How often an object that changes under our hands is looked at again.
const TRIES: usize = 6;

pub(super) async fn cut_off(session: Session<'_>, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
    let own = cut.namespace.as_str();
    let id = object::namespace_id(own);
    let live = session.api.read(&id).await.map_err(|error| about(&id, error.into()))?;
    let ours = live.filter(|live| namespace::is_ours(&session, &id, live));
    if let Some(live) = &ours {
        namespace::guard(live, session.owner, false)?;
    }

    let mut failures = Vec::new();
    let (bindings, accounts) = match &ours {
        Some(_) => {
            let selector = object::selector(session.owner);
            // Where no user ever had tokens, DCM needs no right to see accounts.
            let had_accounts = session.ledger.all().iter().any(|item| object::is_account(&item.id));
            let accounts = async {
                match had_accounts || matches!(cut.keep, Identity::Account(_)) {
                    true => observe::list(session.api, ACCOUNT, own, &selector).await,
                    false => Ok(Vec::new()),
                }
            };
            let all = tokio::join!(observe::list(session.api, BINDING, own, &selector), accounts);
            (listed(all.0, &mut failures), listed(all.1, &mut failures))
        }
        None => (BTreeMap::new(), BTreeMap::new()),
    };
    // Those in the inventory that no list has shown are read one by one, if they can be there at all.
    let unseen = |part: Part, seen: &BTreeMap<ObjectId, Value>| -> Vec<ObjectId> {
        let noted = session.ledger.all().into_iter().map(|item| item.id);
        let of_part = noted.filter(|id| id.part() == part && !seen.contains_key(id));
        of_part.filter(|id| ours.is_some() || !session.is_own(id)).collect()
    };
    for (part, seen) in [(Part::RoleBinding, bindings), (Part::Credential, accounts)] {
        let unseen = unseen(part, &seen);
        let seen = seen.iter().map(|(id, live)| (id, Some(live)));
        let works: Vec<BoxFuture<'_, Result<(), Failure>>> = seen
            .chain(unseen.iter().map(|id| (id, None)))
            .map(|(id, live)| take(&session, cut, id, live).boxed())
            .collect();
        failures.extend(session.side_by_side(works).await);
    }
    let left = grants::left(&session, cut, ours.is_some()).await;
    let worse = |a: Failure, b: Failure| if state_of(&b) > state_of(&a) { b } else { a };
    match failures.into_iter().reduce(worse) {
        Some(worst) => Err(worst),
        None => left,
    }
}

/// The objects of a list that are ours; none, and a failure, where it cannot be had.
fn listed(list: Result<Vec<(ObjectId, Value)>, CallError>, failures: &mut Vec<Failure>) -> BTreeMap<ObjectId, Value> {
    match list {
        Ok(list) => list.into_iter().collect(),
        Err(error) => {
            failures.push(error.into());
            BTreeMap::new()
        }
    }
}

/// Takes one object away, unless it is another's or is to stay. It may change meanwhile, for a worker may
/// bring it to the new identity: then it is judged anew.
async fn take(session: &Session<'_>, cut: &CutOff, id: &ObjectId, live: Option<&Value>) -> Result<(), Failure> {
    let mut live = live.cloned();
    let mut last = None;
    for _ in 0..TRIES {
        let now = match live.take() {
            Some(live) => Some(live),
            None => session.api.read(id).await.map_err(|error| about(id, error.into()))?,
        };
        let Some(now) = now.filter(|now| make::is_ours(session, id, now) && !stays(cut, id, now)) else {
            return Ok(());
        };
        match session.api.delete_version(id, &object::version(&now)).await {
            Ok(Deletion::Done) => return Ok(()),
            // It counts until it is gone.
            Ok(Deletion::Held(by)) => return Err(going(id, &by)),
            Ok(Deletion::Absent) => {}
            Err(error) => match error.refusal() {
                Some(refusal) if refusal.is_of_a_change() => last = Some(error),
                _ => return Err(about(id, error.into())),
            },
        }
    }
    let refusal = last.as_ref().and_then(CallError::refusal);
    Err(about(id, make::restless(refusal)))
}

/// Whether a binding is for the identity that stays and nobody else, or an account is that identity. One that is for
/// nobody is being made, perhaps for the one who goes: a request that was given up may still come in.
fn stays(cut: &CutOff, id: &ObjectId, live: &Value) -> bool {
    if object::is_account(id) {
        return matches!(&cut.keep, Identity::Account(name) if *name == id.name);
    }
    let subjects = live["subjects"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_kept = |subject: &Value| match &cut.keep {
        Identity::CommonName(name) => subject["kind"] == "User" && subject["name"] == name.as_str(),
        Identity::Account(name) => {
            subject["kind"] == "ServiceAccount"
                && subject["name"] == name.as_str()
                && subject["namespace"] == cut.namespace.as_str()
        }
    };
    !subjects.is_empty() && subjects.iter().all(is_kept)
}
