//! What is told that an order waits.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use dcm_core::{service::Wake, store::Key};
use tokio::sync::Notify;

/// Remembers which orders were told of, until somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung_for: Mutex<BTreeSet<Key>>,
    notify: Notify,
}

impl Wake for Bell {
    fn wake(&self, order: &Key) {
        self.rung_for.lock().unwrap_or_else(PoisonError::into_inner).insert(order.clone());
        self.notify.notify_one();
    }
}

impl Bell {
    /// Waits until it rings, or comes at once where it rang since the last time.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What it rang for since the last time.
    pub(crate) fn take(&self) -> BTreeSet<Key> {
        std::mem::take(&mut *self.rung_for.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
