use std::time::Duration;

use dcm_core::{
    error::Error,
    name::ProjectName,
    service::{Dcm, Page},
};

use super::Seat;
use crate::telemetry::chain;

/// How often it is looked whether this process is the one that does it, once the time has come …
const ELDEST_SLEEP: Duration = Duration::from_secs(1);

/// … and for how long at most: the eldest may be about to be found dead, or this one be about to join.
const DOUBT: Duration = Duration::from_secs(60);

/// Has all applied logical clouds looked at again, now and then. One process does it for all; where two do, clusters are
/// compared once more than need be.
pub(super) async fn run(dcm: Dcm, seat: Seat, period: Option<Duration>, at_start: bool) {
    if at_start {
        look_at_all(&dcm).await;
    }
    let Some(period) = period else { return };
    loop {
        tokio::time::sleep(period).await;
        if becomes_eldest(&seat, period.min(DOUBT)).await {
            look_at_all(&dcm).await;
        }
    }
}

/// Whether this process is the eldest now, or soon.
async fn becomes_eldest(seat: &Seat, doubt: Duration) -> bool {
    let until = tokio::time::Instant::now() + doubt;
    loop {
        if seat.is_eldest() {
            return true;
        }
        if tokio::time::Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(ELDEST_SLEEP.min(doubt)).await;
    }
}

async fn look_at_all(dcm: &Dcm) {
    let mut page = Page::default();
    loop {
        let projects = match dcm.projects(&page).await {
            Ok(projects) => projects,
            Err(error) => return skipped("projects", &error),
        };
        for project in &projects.entries {
            look_at_project(dcm, &project.value.metadata.name).await;
        }
        match projects.next {
            Some(next) => page.after = Some(next),
            None => return,
        }
    }
}

async fn look_at_project(dcm: &Dcm, project: &ProjectName) {
    let mut page = Page::default();
    loop {
        let clouds = match dcm.applied_clouds(project, &page).await {
            Ok(found) => found,
            // Deleted meanwhile.
            Err(Error::NotFound { .. }) => return,
            Err(error) => return skipped(project.as_str(), &error),
        };
        for id in clouds.entries {
            match dcm.resync(&id).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                // One that cannot be looked at keeps no other one from it.
                Err(error) => skipped(id.name.as_str(), &error),
            }
        }
        match clouds.next {
            Some(next) => page.after = Some(next),
            None => return,
        }
    }
}

fn skipped(what: &str, error: &Error) {
    tracing::warn!(what, error = %chain(error), "could not be looked at again; the next period does");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, PoisonError};

    use dcm_store::memory::MemoryStore;
    use dcm_test_utils::builders::Fixture;
    use tokio::time::Instant;

    use super::{super::membership::Rank, *};

    const PERIOD: Duration = Duration::from_secs(600);

    /// How long it takes until a process that stands there, and is the eldest after some time, has a look given out.
    async fn looked_after(index: usize, eldest_after: Option<Duration>) -> Option<Duration> {
        let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
        let (begun, (seat, rank)) = (Instant::now(), Seat::at(index));
        let looked = async {
            while f.dcm.waiting_orders(None, 1).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if eldest_after.is_some_and(|after| begun.elapsed() >= after) {
                    *rank.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rank { index: 0, of: 1 });
                }
            }
        };
        tokio::select! {
            () = run(f.dcm.clone(), seat, Some(PERIOD), false) => unreachable!("it never ends"),
            () = looked => Some(begun.elapsed()),
            () = tokio::time::sleep(PERIOD * 3 / 2) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_eldest_process_has_clusters_looked_at_and_nobody_else() {
        let looked = looked_after(0, None).await.expect("the eldest looks");
        assert!(looked >= PERIOD && looked < PERIOD + ELDEST_SLEEP, "{looked:?}");
        assert_eq!(looked_after(1, None).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_look_is_skipped_while_the_eldest_process_is_about_to_be_found_dead() {
        let later = PERIOD + DOUBT / 2;
        let looked = looked_after(1, Some(later)).await.expect("it is the eldest by then");
        assert!(looked >= later && looked < later + ELDEST_SLEEP * 3, "{looked:?}");
        assert_eq!(looked_after(1, Some(PERIOD + DOUBT * 2)).await, None, "the next period's");
    }
}
