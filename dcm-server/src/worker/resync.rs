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
