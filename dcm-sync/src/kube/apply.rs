//! Makes a cluster hold what is desired: part by part, object by object.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dcm_core::sync::{Desired, Failure, Object, ObjectId, Part, PartState, Reason, Report};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{
    compare,
    failure::about,
    make::{is_ours, make, would_be_seen},
    namespace, object, observe, prune,
    session::{Patience, Session, Stop, is_of_one_object, state_of},
};

/// How long a raised quota is given to take effect, where something waits for the room.
const QUOTA_WAIT: Duration = Duration::from_secs(3);
/// The parts that are reported on here; the others are reported on by whoever orders them.
const REPORTED: [Part; 4] = [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota];

type Seen = BTreeMap<ObjectId, Value>;

pub(super) async fn apply(mut session: Session<'_>, desired: &Desired) -> Report {
    session.accounts |= desired.objects.iter().any(|object| object::is_account(&object.id));
    let mut result = work(&mut session, desired).await;
    if let Err(Stop::NamespaceGone(_)) = result {
        session.parts.clear();
        result = work(&mut session, desired).await;
    }
    session.report(result.err().map(Stop::into_failure))
}

async fn work(session: &mut Session<'_>, desired: &Desired) -> Result<(), Stop> {
    let mut new = false;
    for wanted in desired.objects.iter().filter(|o| o.part == Part::Namespace) {
        match namespace::ensure(session, wanted, desired).await {
            Ok(is_new) => new = is_new,
            Err(stop) => {
                session.note(Part::Namespace, stop.state());
                return Err(stop);
            }
        }
    }
    session.note(Part::Namespace, PartState::Created);

    let seen = if new { Seen::new() } else { observe::own_objects(session).await? };
    // What is refused keeps nothing else back: neither what may be had, nor, above all, what is to go.
    let mut refused: Option<Stop> = None;
    let mut missing = BTreeSet::new();
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Namespace) {
        let wanted = desired.objects.iter().filter(|o| o.part == part);
        let (waiting, wanted): (Vec<&Object>, _) = wanted.partition(|o| binds_one_of(&missing, o));
        if !waiting.is_empty() {
            session.note(part, PartState::Pending);
            if let Err(failure) = take_others_out(session, &waiting, &seen).await {
                session.note(part, state_of(&failure));
                if !is_of_one_object(&failure) {
                    return Err(failure.into());
                }
                refused.get_or_insert(failure.into());
            }
        }
        match make_part(session, part, &wanted, &seen, desired).await {
            Ok(()) if REPORTED.contains(&part) => session.note(part, PartState::Created),
            Ok(()) => {}
            Err((stop, failed)) => {
                session.note(part, stop.state());
                if !is_for_single_objects(&stop) {
                    return Err(stop);
                }
                missing.extend(failed.into_iter().filter(|id| session.ledger.uid(id).is_none()));
                refused.get_or_insert(stop);
            }
        }
    }
    let pruned = prune::prune(session, desired, &seen).await;
    refused.map_or(pruned, Err)
}

/// Whether others may be had although something failed.
fn is_for_single_objects(stop: &Stop) -> bool {
    !matches!(stop, Stop::NamespaceGone(_)) && is_of_one_object(stop.failure())
}

/// Whether an object is a binding to a role that is not there: it and its role have one name and one place.
fn binds_one_of(missing: &BTreeSet<ObjectId>, object: &Object) -> bool {
    let role =
        object.id.kind.strip_suffix("Binding").map(|kind| ObjectId { kind: kind.to_owned(), ..object.id.clone() });
    role.is_some_and(|role| missing.contains(&role))
}

/// A binding that waits for its role is not brought to whom it is for. One that is for somebody else until then goes:
/// he may be the one who was cut off.
async fn take_others_out(session: &Session<'_>, waiting: &[&Object], seen: &Seen) -> Result<(), Failure> {
    let mut others = Vec::new();
    for binding in waiting {
        let id = &binding.id;
        let live = match seen.get(id) {
            Some(live) => Some(live.clone()),
            None if would_be_seen(session, id) => None,
            None => session.api.read(id).await.map_err(|error| about(id, error.into()))?,
        };
        let live = live.filter(|live| is_ours(session, id, live));
        if live.is_some_and(|live| live["subjects"] != binding.manifest["subjects"]) {
            others.push(id);
        }
    }
    prune::take_away(session, others, seen).await
}

/// Makes the objects of one part; else the worst failure, and what failed.
async fn make_part(
    session: &Session<'_>,
    part: Part,
    wanted: &[&Object],
    seen: &Seen,
    desired: &Desired,
) -> Result<(), (Stop, Vec<ObjectId>)> {
    let (late, early): (Vec<&Object>, Vec<&Object>) =
        wanted.iter().copied().partition(|o| compare::limits_quotas(&o.manifest));
    let (mut full, mut failed): (Vec<_>, Vec<_>) =
        make_all(session, early, seen).await.into_iter().partition(is_for_quota);
    if failed.iter().all(|(_, stop)| is_for_single_objects(stop)) {
        let quotas = desired.objects.iter().filter(|o| o.part == Part::Quota);
        let raised: Vec<&Object> = quotas.filter(|o| is_changed(session, o, seen)).collect();
        if part < Part::Quota && !full.is_empty() {
            // The quota that is in the way may be one of ours that is to be raised.
            make_all(session, raised.clone(), seen).await;
        }
        let failed_late = make_all(session, late, seen).await;
        full = make_all(session, objects(&full), seen).await;
        // A cluster takes a moment to notice that a quota was raised.
        let mut patience = Patience::new(QUOTA_WAIT);
        while !raised.is_empty() && failed_late.is_empty() && full.iter().any(is_for_quota) && patience.wait().await {
            full = make_all(session, objects(&full), seen).await;
        }
        failed.extend(failed_late);
    }
    failed.extend(full);
    let ids = failed.iter().map(|(object, _)| object.id.clone()).collect();
    let mut stops: Vec<Stop> = failed.into_iter().map(|(_, stop)| stop).collect();
    if let Some(at) = stops.iter().position(|stop| !is_for_single_objects(stop)) {
        return Err((stops.swap_remove(at), ids));
    }
    match stops.into_iter().reduce(|worst, stop| if stop.state() > worst.state() { stop } else { worst }) {
        Some(stop) => Err((stop, ids)),
        None => Ok(()),
    }
}

fn is_for_quota((_, stop): &(&Object, Stop)) -> bool {
    stop.failure().reason == Reason::QuotaExceeded
}

fn is_changed(session: &Session<'_>, wanted: &Object, seen: &Seen) -> bool {
    let live = seen.get(&wanted.id);
    live.is_some_and(|live| !compare::is_as_desired(live, &wanted.manifest, &session.manager))
}

fn objects<'o>(failed: &[(&'o Object, Stop)]) -> Vec<&'o Object> {
    failed.iter().map(|(object, _)| *object).collect()
}

async fn make_all<'o>(session: &Session<'_>, wanted: Vec<&'o Object>, seen: &Seen) -> Vec<(&'o Object, Stop)> {
    let mut works = Vec::new();
    for object in wanted {
        let work = async move {
            let made = make(session, object, seen.get(&object.id)).await;
            made.map_err(|stop| (object, stop))
        };
        works.push(work.boxed());
    }
    session.side_by_side(works).await
}
