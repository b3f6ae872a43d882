//! What tells an order's driver that there is something to do.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dcm_core::store::Revision;
use tokio::sync::Notify;

/// Tells the driver of one order to look at it again.
#[derive(Debug, Default)]
pub(super) struct OrderBell {
    rung: Mutex<Rung>,
    notify: Notify,
}

/// Why a bell was rung.
#[derive(Debug, Default)]
struct Rung {
    /// By whoever knows that there is something to do.
    told: bool,
    /// The store has told in which state the order is now; `None` inside where it is gone.
    changed: Option<Option<Revision>>,
}

impl OrderBell {
    /// There is something to do.
    pub(super) fn ring(&self) {
        lock(&self.rung).told = true;
        self.notify.notify_one();
    }

    /// The store tells that the order is in another state, or gone.
    pub(super) fn changed(&self, to: Option<Revision>) {
        lock(&self.rung).changed = Some(to);
        self.notify.notify_one();
    }

    /// Waits until there is something to do that was not known when the order was opened in this state: the store tells of what this
    /// process wrote, too.
    pub(super) async fn rung(&self, opened: Option<&Revision>) {
        loop {
            self.notify.notified().await;
            let rung = std::mem::take(&mut *lock(&self.rung));
            if rung.told || rung.changed.is_some_and(|now| opened.is_none() || now.as_ref() != opened) {
                return;
            }
        }
    }

    /// Whether it was rung since anybody listened. That the order is gone is what a driver ends with.
    pub(super) fn has_rung(&self) -> bool {
        let rung = lock(&self.rung);
        rung.told || rung.changed.as_ref().is_some_and(Option::is_some)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_a_driver_has_opened_is_no_news_to_it() {
        let bell = OrderBell::default();
        let [one, two] = ["1", "2"].map(Revision::new);
        bell.changed(Some(one.clone()));
        assert_eq!(bell.rung(Some(&one)).now_or_never(), None);
        bell.changed(Some(two));
        assert_eq!(bell.rung(Some(&one)).now_or_never(), Some(()));
        bell.changed(Some(one.clone()));
        bell.ring();
        assert_eq!(bell.rung(Some(&one)).now_or_never(), Some(()), "it was told");
        bell.changed(None);
        assert!(!bell.has_rung());
        assert_eq!(bell.rung(Some(&one)).now_or_never(), Some(()), "it is gone");
    }
}
