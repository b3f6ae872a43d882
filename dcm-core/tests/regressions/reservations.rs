use crate::support::*;
use dcm_core::{
    error::ErrorKind,
    lifecycle::Event,
    service::{Overall, Work},
};
use dcm_test_utils::builders::{alone, carry_out, cloud_id, cloud_input, metadata, reference_input};

/// A reservation that its holder has just confirmed is taken from under him.
#[tokio::test]
async fn a_confirmed_reservation_is_not_stolen() {
    let (f, store) = hooked().await;
    let third = f.create_cloud("lc-3", "ns-1", &["c2"]).await.unwrap();
    f.apply(&third).await.unwrap();
    let first = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    // Refused because of c2, c1 stays reserved.
    f.dcm.apply(&first, Event::Apply, false).await.unwrap_err();
    f.dcm.delete_reference(&first, &reference("c2"), None, false).await.unwrap();
    let second = f.create_cloud("lc-2", "ns-1", &["c1"]).await.unwrap();
    let (dcm, at) = (f.dcm.clone(), first.clone());
    // lc-2 has judged lc-1's reservation void; before it writes, lc-1 is applied and carried out.
    store.before("reservation/", true, move || async move {
        dcm.apply(&at, Event::Apply, false).await.unwrap();
        carry_out(&dcm).await.unwrap();
        assert_eq!(dcm.status(&at).await.unwrap().overall, Overall::Created);
    });
    let stolen = f.dcm.apply(&second, Event::Apply, false).await;
    println!("apply of lc-2: {:?}", stolen.map(|_| ()));
    f.carry_out().await.unwrap();
    f.dcm.resync(&first).await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&first).await.unwrap();
    assert_eq!(status.overall, Overall::Created, "{:?}", status.clusters[0].1.as_ref().unwrap().failure);
}

/// Reserved at apply, never reached, reference gone and made again for another cluster.
#[tokio::test]
async fn a_reservation_of_a_reference_that_is_gone_is_free() {
    let f = memory().await;
    let first = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    f.clusters.set_down("default/c1", true);
    f.apply(&first).await.unwrap();
    f.carry_out().await.unwrap();
    f.dcm.delete_reference(&first, &reference("c1"), None, false).await.unwrap();
    f.carry_out().await.unwrap();
    let mut input = reference_input("c3");
    input.short = false;
    input.metadata = metadata("c1");
    f.dcm.create_reference(&first, input.into()).await.unwrap();
    f.clusters.set_down("default/c1", false);
    let second = f.create_cloud("lc-2", "ns-1", &["c1"]).await.unwrap();
    let applied = f.dcm.apply(&second, Event::Apply, false).await;
    assert!(applied.is_ok(), "{}", applied.unwrap_err());
}

/// An in-flight removal gives back the reservation that a later apply relies on.
#[tokio::test]
async fn a_removal_that_an_apply_overtook_keeps_the_reservation() {
    let o = own().await;
    let (first, second) = (cloud_id("lc-1"), cloud_id("lc-2"));
    o.dcm.apply(&first, Event::Apply, false).await.unwrap();
    carry_out(&o.dcm).await.unwrap();
    o.dcm.create_logical_cloud(&second.project, cloud_input("lc-2", "ns-1").into()).await.unwrap();
    o.dcm.create_reference(&second, reference_input("c1").into()).await.unwrap();
    o.dcm.terminate(&first, false).await.unwrap();
    let order = o.dcm.waiting_orders(None, 10).await.unwrap().remove(0);
    let Work::Cloud(work) = o.dcm.open_order(&order).await.unwrap() else { panic!() };
    let task = o.dcm.tasks(&work).await.unwrap().remove(0);
    let (dcm, at) = (o.dcm.clone(), first.clone());
    *o.clusters.hook.lock().unwrap() = Some(Box::new(move || {
        Box::pin(async move {
            dcm.apply(&at, Event::Apply, false).await.unwrap();
        })
    }));
    o.dcm.attempt(&work, &task, &alone()).await.unwrap();
    // lc-1 is applied again and acknowledged; the namespace is its own.
    let stolen = o.dcm.apply(&second, Event::Apply, false).await;
    assert_eq!(stolen.map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::Refused));
}
