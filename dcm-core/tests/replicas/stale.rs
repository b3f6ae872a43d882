//! Work that was opened before another look was ordered.

use std::sync::Arc;

use dcm_core::service::{Attempt, Overall};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::Fixture;

use crate::claims::{member, only_task};

/// An order to look once more leaves the logical cloud as it is, so that it does not show there.
#[tokio::test]
async fn who_has_an_older_order_to_look_leaves_no_failure_behind_that_nobody_would_mend() {
    let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.dcm.resync(&id).await.unwrap();
    let (work, task) = only_task(&f.dcm).await;
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.clusters.set_down("default/c1", true);
    let (_, late) = member(&f.dcm).await;
    assert_eq!(f.dcm.attempt(&work, &task, &late).await.unwrap(), Attempt::Superseded);
    assert!(f.dcm.waiting_orders(None, 1).await.unwrap().is_empty());
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
}
