use std::time::Duration;

use dcm_core::service::Dcm;
use prometheus_client::metrics::counter::Counter;

use super::Seat;
use crate::telemetry::chain;

/// How often it is looked at the least: another process may have written a renewal that comes sooner.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// … and at the most: one that cannot be renewed now stays due.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// For how long a credential is due before others renew it than the eldest process, whose clock may be wrong. Together with the longest
/// sleep it is less than half of what the shortest-lived credential has left by then, a third of ten minutes.
const SLACK: Duration = Duration::from_secs(60);

/// Has users' credentials renewed when they are due. The eldest process does it for all, and the others see to it that it does; two that
/// do it give the same orders, and mark a status once.
pub(super) async fn run(dcm: Dcm, seat: Seat, renewed: Counter) {
    loop {
        let slack = if seat.is_eldest() { Duration::ZERO } else { SLACK };
        let pause = match dcm.renew_overdue(slack).await {
            Ok(found) => {
                renewed.inc_by(found.ordered);
                found.next.map_or(LONGEST_SLEEP, |at| dcm.time_until(at) + slack)
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "credentials that are due could not be looked for");
                LONGEST_SLEEP
            }
        };
        tokio::time::sleep(pause.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dcm_core::clock::Clock as _;
    use dcm_store::memory::MemoryStore;
    use dcm_test_utils::{builders::Fixture, ports::FAKE_LIFETIME};
    use tokio::time::Instant;

    use super::*;

    async fn applied() -> Fixture {
        let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
        f.register(&["c1"]).await.unwrap();
        f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
        f
    }

    /// How long it takes until a process that stands there orders what is due, on a clock that stands still; `None` where it never does.
    async fn ordered_after(f: &Fixture, index: usize) -> Option<Duration> {
        let (begun, (seat, _rank)) = (Instant::now(), Seat::at(index));
        let run = run(f.dcm.clone(), seat, Counter::default());
        let ordered = async {
            while f.dcm.waiting_orders(None, 1).await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            () = run => unreachable!("it never ends"),
            () = ordered => Some(begun.elapsed()),
            () = tokio::time::sleep(Duration::from_secs(3600)) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_eldest_process_does_not_renew_the_others_do_a_little_later() {
        let f = applied().await;
        // All of them are due between three fifths and two thirds of their lives.
        f.clock.advance(FAKE_LIFETIME.mul_f64(0.5));
        assert_eq!(ordered_after(&f, 1).await, None, "nothing is due");
        f.clock.advance(FAKE_LIFETIME.mul_f64(0.2));
        let others = ordered_after(&f, 1).await.expect("it is left to one whose clock may be wrong");
        assert!(others <= SLACK + LONGEST_SLEEP, "{others:?}");
        f.carry_out().await.unwrap();
        assert_eq!(ordered_after(&f, 1).await, None, "it was renewed twice");
    }

    #[tokio::test(start_paused = true)]
    async fn the_eldest_process_renews_what_is_due_and_the_others_leave_it_to_it_at_first() {
        let f = applied().await;
        let due = f.dcm.renew_due().await.unwrap().next.unwrap();
        f.clock.advance(Duration::try_from(due.duration_since(f.clock.now())).unwrap() + Duration::from_millis(1));
        assert_eq!(ordered_after(&f, 1).await, None, "not overdue yet");
        assert!(ordered_after(&f, 0).await.expect("it is due") <= LONGEST_SLEEP);
    }
}
