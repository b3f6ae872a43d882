use std::time::Duration;

use dcm_core::service::Dcm;
use prometheus_client::metrics::counter::Counter;

use crate::telemetry::chain;

/// How often it is looked at the least: another process may have written a renewal that comes sooner.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// … and at the most: one that cannot be renewed now stays due.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Has users' credentials renewed when they are due.
pub(super) async fn run(dcm: Dcm, renewed: Counter) {
    loop {
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
