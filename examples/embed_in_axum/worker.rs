//! The task that carries out what was ordered: the application's own, on its own runtime.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use dcm_core::{
    service::{Dcm, Wake},
    store::Key,
};
use tokio::sync::Notify;

/// So many logical clouds, and clusters of each, are worked on side by side.
const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// How long to wait where something could not be read or written.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is looked for credentials that are due, and for whatever else nobody told of.
const LOOK: Duration = Duration::from_secs(30);

/// Rings when an order waits.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Wake for Bell {
    fn wake(&self, _: &Key) {
        self.0.notify_one();
    }
}

/// Works until it is dropped, which it stands at any moment: what is not done is found again.
pub(crate) async fn work(dcm: Dcm, bell: Arc<Bell>) {
    loop {
        let pause = look(&dcm).await.unwrap_or_else(|error| {
            eprintln!("   (worker: {error}; it is tried again)");
            PAUSE
        });
        tokio::select! {
            () = bell.0.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Orders renewals that are due, carries out what waits, and says how long nothing more is to be done.
async fn look(dcm: &Dcm) -> Result<Duration, dcm_core::error::Error> {
    let renewals = dcm.renew_due().await?;
    let again = dcm.carry_out_waiting(SIDE_BY_SIDE).await?;
    let soonest = renewals.next.into_iter().chain(again).map(|at| dcm.time_until(at)).min();
    Ok(soonest.map_or(LOOK, |pause| pause.clamp(Duration::from_millis(10), LOOK)))
}
