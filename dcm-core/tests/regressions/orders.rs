use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::*;
use dcm_core::{
    error::ErrorKind,
    lifecycle::Event,
    service::{Attempt, Conclusion, Overall, Work},
};
use dcm_test_utils::builders::{alone, carry_out, cloud_id};

/// What driver.rs does, step by step: an attempt is in flight (slow probe), terminate comes, the order
/// is opened again, has no tasks (no status is written yet), waits for the attempt, ignores it
/// (`ended.opened != self.opened`), concludes.
#[tokio::test]
async fn a_terminate_that_overtakes_the_first_attempt_leaves_nothing() {
    let o = own().await;
    let id = cloud_id("lc-1");
    o.dcm.apply(&id, Event::Apply, false).await.unwrap();
    let order = o.dcm.waiting_orders(None, 10).await.unwrap().remove(0);
    let Work::Cloud(first) = o.dcm.open_order(&order).await.unwrap() else { panic!() };
    let task = o.dcm.tasks(&first).await.unwrap().remove(0);
    let (dcm, at, key) = (o.dcm.clone(), id.clone(), order.clone());
    let slot = Arc::new(Mutex::new(None));
    let out = Arc::clone(&slot);
    *o.clusters.hook.lock().unwrap() = Some(Box::new(move || {
        Box::pin(async move {
            dcm.terminate(&at, false).await.unwrap();
            let Work::Cloud(second) = dcm.open_order(&key).await.unwrap() else { panic!() };
            let tasks = dcm.tasks(&second).await.unwrap();
            *out.lock().unwrap() = Some((second, tasks));
        })
    }));
    let outcome = o.dcm.attempt(&first, &task, &alone()).await;
    let (second, tasks) = slot.lock().unwrap().take().unwrap();
    println!("stale attempt: {outcome:?}; tasks of the terminate: {}", tasks.len());
    for task in &tasks {
        assert_eq!(o.dcm.attempt(&second, task, &alone()).await.unwrap(), Attempt::Done);
    }
    let conclusion = o.dcm.conclude(&second, &alone()).await.unwrap();
    if conclusion == Conclusion::Superseded {
        carry_out(&o.dcm).await.unwrap();
    }
    assert_eq!(
        o.clusters.inner.holds("default/c1"),
        Vec::<String>::new(),
        "status: {:?}",
        o.dcm.status(&id).await.unwrap().overall
    );
}

/// The clock jumps (or the store stalls) for a minute between order and cloud; the worker drops the
/// order; the apply is acknowledged.
#[tokio::test]
async fn an_acknowledged_apply_survives_a_clock_that_jumps() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let (dcm, clock) = (f.dcm.clone(), Arc::clone(&f.clock));
    store.before("logical-cloud/", true, move || async move {
        clock.advance(Duration::from_secs(61));
        carry_out(&dcm).await.unwrap();
    });
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.restarted().await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created);
}

/// `Created` before anything is on a cluster.
#[tokio::test]
async fn a_cloud_that_is_applied_again_is_not_created_at_once() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    f.apply(&id).await.unwrap();
    assert!(f.clusters.holds("default/c1").is_empty());
    assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::CreationInProgress);
}

/// A cluster whose kube-system has an odd uid.
#[tokio::test]
async fn a_hostile_identity_is_the_clusters_fault() {
    let f = memory().await;
    f.clusters.with("default/odd", |c| c.identity = "a/b".to_owned());
    f.register(&["odd"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["odd"]).await.unwrap();
    let applied = f.dcm.apply(&id, Event::Apply, false).await;
    assert_ne!(applied.map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::Internal));
}

/// The same where it turns odd after apply: nothing is recorded, it is tried again every second.
#[tokio::test]
async fn a_hostile_identity_is_recorded() {
    let f = memory().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    f.clusters.with("default/c1", |c| c.identity = String::new());
    let worked = f.carry_out().await;
    f.clock.advance(Duration::from_secs(3600));
    let again = f.carry_out().await;
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed, "{worked:?} {again:?} {:?}", status.clusters);
}

/// A key file that was lost.
#[tokio::test]
async fn a_lost_encryption_key_is_reported_by_the_deadline() {
    let o = own().await;
    let id = cloud_id("lc-1");
    o.dcm.apply(&id, Event::Apply, false).await.unwrap();
    o.sealer.0.store(true, std::sync::atomic::Ordering::SeqCst);
    let _ = carry_out(&o.dcm).await;
    o.clock.advance(Duration::from_secs(3600));
    let worked = carry_out(&o.dcm).await;
    let status = o.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::CreationFailed, "{worked:?} {:?}", status.clusters);
}

/// One refused connection an hour after `Created`.
#[tokio::test]
async fn a_hiccup_long_after_apply_is_not_past_its_deadline() {
    let f = memory().await;
    let id = f.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.clock.advance(Duration::from_secs(3600));
    f.clusters.set_down("default/c1", true);
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_ne!(f.dcm.status(&id).await.unwrap().overall, Overall::CreationFailed);
}

/// `?force=true` and then anything that puts another order.
#[tokio::test]
async fn an_order_that_was_forced_stays_forced() {
    let o = own().await;
    let id = cloud_id("lc-1");
    o.dcm.apply(&id, Event::Apply, true).await.unwrap();
    o.dcm.resync(&id).await.unwrap();
    carry_out(&o.dcm).await.unwrap();
    assert_eq!(*o.clusters.forced.lock().unwrap(), [true]);
}
