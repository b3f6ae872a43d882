use std::time::Duration;

use dcm_core::service::Dcm;
use prometheus_client::metrics::counter::Counter;

use super::Seat;
use crate::telemetry::chain;

/// How often it is looked at the least: another process may have written a renewal that comes sooner.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// … and at the most: one that cannot be renewed now stays due.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// How often it is looked whether this process is the one that does it.
const ELDEST_SLEEP: Duration = Duration::from_secs(1);

/// Has users' credentials renewed when they are due. One process does it for all; two that do give the same orders, and
/// mark a status once.
pub(super) async fn run(dcm: Dcm, seat: Seat, renewed: Counter) {
    loop {
        if !seat.is_eldest() {
            tokio::time::sleep(ELDEST_SLEEP).await;
            continue;
        }
        let pause = match dcm.renew_due().await {
            Ok(found) => {
                renewed.inc_by(found.ordered);
                found.next.map_or(LONGEST_SLEEP, |at| dcm.time_until(at))
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "credentials that are due could not be looked for");
                LONGEST_SLEEP
            }
        };
        tokio::time::sleep(pause.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)).await;
    }
}
