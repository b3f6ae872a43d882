//! Makes a cluster hold what is desired: part by part, object by object.

use std::{collections::BTreeMap, time::Duration};

use dcm_core::sync::{Desired, Object, ObjectId, Part, PartState, Reason, Report};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{
    compare,
    make::make,
    namespace, observe, prune,
    session::{Patience, Session, Stop},
};

/// How long a raised quota is given to take effect, where something waits for the room.
const QUOTA_WAIT: Duration = Duration::from_secs(3);
/// The parts that are reported on here; the others are reported on by whoever orders them.
const REPORTED: [Part; 4] = [Part::Namespace, Part::Role, Part::RoleBinding, Part::Quota];

type Seen = BTreeMap<ObjectId, Value>;

pub(super) async fn apply(mut session: Session<'_>, desired: &Desired) -> Report {
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
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Namespace) {
        let wanted: Vec<&Object> = desired.objects.iter().filter(|o| o.part == part).collect();
        match make_part(session, part, &wanted, &seen, desired).await {
            Ok(()) if REPORTED.contains(&part) => session.note(part, PartState::Created),
            Ok(()) => {}
            Err(stop) => {
                session.note(part, stop.state());
                return Err(stop);
            }
        }
    }
    prune::prune(session, desired, &seen).await
}

async fn make_part(
    session: &Session<'_>,
    part: Part,
    wanted: &[&Object],
    seen: &Seen,
    desired: &Desired,
) -> Result<(), Stop> {
    let (late, early): (Vec<&Object>, Vec<&Object>) =
        wanted.iter().copied().partition(|o| compare::limits_quotas(&o.manifest));
    let mut failed = make_all(session, early, seen).await;
    if failed.iter().all(is_for_quota) {
        let full = objects(&failed);
        let quotas = desired.objects.iter().filter(|o| o.part == Part::Quota);
        let raised: Vec<&Object> = quotas.filter(|o| is_changed(session, o, seen)).collect();
        if part < Part::Quota && !full.is_empty() {
            // The quota that is in the way may be one of ours that is to be raised.
            make_all(session, raised.clone(), seen).await;
        }
        let failed_late = make_all(session, late, seen).await;
        failed = make_all(session, full, seen).await;
        // A cluster takes a moment to notice that a quota was raised.
        let mut patience = Patience::new(QUOTA_WAIT);
        while !raised.is_empty() && failed_late.is_empty() && failed.iter().any(is_for_quota) && patience.wait().await {
            failed = make_all(session, objects(&failed), seen).await;
        }
        failed.extend(failed_late);
    }
    let mut stops: Vec<Stop> = failed.into_iter().map(|(_, stop)| stop).collect();
    if let Some(at) = stops.iter().position(|stop| matches!(stop, Stop::NamespaceGone(_))) {
        return Err(stops.swap_remove(at));
    }
    match stops.into_iter().reduce(|worst, stop| if stop.state() > worst.state() { stop } else { worst }) {
        Some(stop) => Err(stop),
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
