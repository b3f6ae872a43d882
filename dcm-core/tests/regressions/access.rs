//! Access, renewals and drift.

use std::{sync::Arc, time::Duration};

use crate::support::{Call, HookStore, own_with, reference};
use dcm_core::{
    error::ErrorKind,
    lifecycle::Phase,
    model::{Credential, Uid},
    service::{CloudId, DriftPolicy, Overall, Settings},
    store::{Body, Precondition, Store, StoreExt},
    sync::{Part, PartState, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, carry_out, cluster_input, kubeconfig, provider},
    clusters::FakeClusters,
    ports::{FAKE_LIFETIME, start},
};

async fn applied(f: &Fixture, clusters: &[&str]) -> CloudId {
    f.register(clusters).await.unwrap();
    f.create_applied("lc-1", "ns-1", clusters).await.unwrap()
}

async fn memory() -> (Fixture, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    (Fixture::new(Arc::clone(&store) as _).await.unwrap(), store)
}

async fn overall(f: &Fixture, id: &CloudId) -> Overall {
    f.dcm.status(id).await.unwrap().overall
}

/// Whom the binding on a cluster names.
fn bound(f: &Fixture, cluster: &str) -> Option<String> {
    bound_on(&f.clusters, cluster)
}

fn bound_on(clusters: &FakeClusters, cluster: &str) -> Option<String> {
    clusters.with(&format!("default/{cluster}"), |cluster| {
        let binding = cluster.objects.iter().find(|(id, _)| id.kind == "RoleBinding")?;
        binding.1.2["subjects"][0]["name"].as_str().map(str::to_owned)
    })
}

/// His access was taken away where terminate came to an end, and must not come back there with the old certificate.
#[tokio::test]
async fn a_terminate_that_was_stopped_lets_nobody_in_again() {
    let (f, _) = memory().await;
    let id = applied(&f, &["c1", "c2"]).await;
    let before = bound(&f, "c1").unwrap();
    f.clusters.set_down("default/c2", true);
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(bound(&f, "c1"), None);
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.clusters.set_down("default/c2", false);
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    assert_ne!(bound(&f, "c1").unwrap(), before);
    assert_eq!(bound(&f, "c1"), bound(&f, "c2"));
}

/// What was last seen of a cluster before the stop says nothing of it now.
#[tokio::test]
async fn a_stopped_clouds_user_is_cut_off_on_a_cluster_that_is_back() {
    let (f, _) = memory().await;
    let id = applied(&f, &["c1"]).await;
    f.clusters.set_down("default/c1", true);
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.clusters.set_down("default/c1", false);
    f.clock.advance(Duration::from_secs(3600));
    f.dcm.revoke_user(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(bound(&f, "c1"), None);
}

/// A revoke is an order, also where no other work is done.
#[tokio::test]
async fn a_stopped_clouds_user_is_cut_off_as_soon_as_the_cluster_is_back() {
    let (f, _) = memory().await;
    let id = applied(&f, &["c1", "c2"]).await;
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    f.clusters.set_down("default/c1", true);
    let revocation = f.dcm.revoke_user(&id).await.unwrap();
    assert_eq!(revocation.clusters[0].1.as_ref().unwrap_err().reason, Reason::Unreachable);
    f.carry_out().await.unwrap();
    assert!(bound(&f, "c1").is_some());
    f.clusters.set_down("default/c1", false);
    f.clock.advance(Duration::from_secs(3600));
    f.carry_out().await.unwrap();
    assert_eq!((bound(&f, "c1"), bound(&f, "c2")), (None, None));
    assert!(f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
    // Nothing else was done.
    assert_eq!(overall(&f, &id).await, Overall::Stopped);
    assert!(f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()));
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Created);
    assert!(bound(&f, "c1").is_some() && bound(&f, "c1") == bound(&f, "c2"));
}

async fn spoil_credential(store: &dyn Store, cloud: &Uid, name: &str) {
    let key = format!("credential/{cloud}/{name}").parse().unwrap();
    let revision = store.get(&key).await.unwrap().unwrap().revision;
    store.put(&key, Body::from_json(*b"{}"), Precondition::AtRevision(revision)).await.unwrap();
}

async fn uid(f: &Fixture, id: &CloudId) -> Uid {
    f.dcm.logical_cloud(id).await.unwrap().cloud.uid.clone()
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_keeps_no_other_from_being_renewed() {
    let (f, store) = memory().await;
    let id = applied(&f, &["c1", "c2"]).await;
    let uid = uid(&f, &id).await;
    // The first of the two that is due.
    let renewals = store.list_all::<dcm_core::model::Renewal>(&"renewal".parse().unwrap()).await.unwrap();
    let [first, second] = [&renewals[0].value.reference, &renewals[1].value.reference];
    spoil_credential(&*store, &uid, first.as_str()).await;
    f.clock.advance(FAKE_LIFETIME.mul_f64(0.68));
    f.dcm.renew_due().await.unwrap();
    f.carry_out().await.unwrap();
    let key = format!("credential/{uid}/{second}").parse().unwrap();
    let renewed = store.load::<Credential>(&key).await.unwrap().unwrap();
    assert!(renewed.value.renew_at.unwrap() > renewals[1].value.at);
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_keeps_no_cluster_from_being_cleaned() {
    let (f, store) = memory().await;
    let id = applied(&f, &["c1", "c2"]).await;
    let uid = uid(&f, &id).await;
    spoil_credential(&*store, &uid, "c1").await;
    spoil_credential(&*store, &uid, "c2").await;
    f.dcm.delete_reference(&id, &reference("c2"), None, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(f.dcm.reference(&id, &reference("c2")).await.is_err());
    f.dcm.terminate(&id, false).await.unwrap();
    f.carry_out().await.unwrap();
    assert_eq!(overall(&f, &id).await, Overall::Deleted);
}

/// What a cluster said while it was away is not what it says now.
#[tokio::test]
async fn a_cluster_that_is_back_shows_no_failure_where_drift_is_only_reported() {
    let settings = Settings { drift: DriftPolicy::Report, ..Settings::default() };
    let f = Fixture::with_settings(Arc::new(MemoryStore::new()), settings).await.unwrap();
    let id = applied(&f, &["c1"]).await;
    f.look_while_away(&id, "default/c1").await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    assert_eq!(status.overall, Overall::Created);
    let status = status.clusters[0].1.as_ref().unwrap();
    assert_eq!(Part::ALL.map(|part| status.part(part)), [const { PartState::Created }; 6]);
}

/// The worker may open an order before the request that gives it has written the logical cloud.
#[tokio::test]
async fn an_order_that_was_opened_early_is_still_carried_out() {
    for drift in [DriftPolicy::Report, DriftPolicy::Repair] {
        let store = HookStore::new();
        let settings = Settings { drift, ..Settings::default() };
        let f = Fixture::with_settings(Arc::clone(&store) as _, settings).await.unwrap();
        let id = applied(&f, &["c1"]).await;
        f.clusters.with("default/c1", |cluster| cluster.objects.retain(|id, _| id.kind != "Role"));
        let worker = f.restarted().await.unwrap();
        store.before("logical-cloud/", true, || async move { carry_out(&worker).await.unwrap() });
        f.apply(&id).await.unwrap();
        f.carry_out().await.unwrap();
        assert!(f.clusters.holds("default/c1").contains(&"Role ns-1/permission-1".to_owned()), "{drift:?}");
        assert_eq!(overall(&f, &id).await, Overall::Created, "{drift:?}");
    }
}

/// The cluster that he has access to is another one than the one that was asked.
#[tokio::test]
async fn nobody_is_said_to_be_cut_off_on_a_cluster_that_was_not_asked() {
    let (f, _) = memory().await;
    let id = applied(&f, &["c1"]).await;
    let old = f.clusters.with("default/c1", |cluster| std::mem::take(&mut cluster.objects));
    assert!(!old.is_empty());
    f.clusters.with("default/c1", |cluster| cluster.identity = "another".to_owned());
    let mut input = cluster_input("c1");
    input.kubeconfig = Some(kubeconfig());
    f.dcm.update_cluster(&provider("default"), &"c1".parse().unwrap(), input.into(), None).await.unwrap();
    let revocation = f.dcm.revoke_user(&id).await.unwrap();
    assert_eq!(revocation.clusters[0].1.as_ref().unwrap_err().reason, Reason::IdentityChanged);
    let diff = f.dcm.diff(&id, &dcm_core::service::Selection::One(reference("c1"))).await.unwrap();
    assert_eq!(diff.clusters[0].1.as_ref().unwrap_err().reason, Reason::IdentityChanged);
}

/// The same where nobody could look at it when the registration was written.
#[tokio::test]
async fn a_cluster_that_was_away_when_it_was_registered_anew_is_asked_who_it_is_first() {
    let (f, _) = memory().await;
    let id = applied(&f, &["c1"]).await;
    f.clusters.with("default/c1", |cluster| {
        cluster.objects.clear();
        cluster.identity = "another".to_owned();
    });
    f.clusters.set_down("default/c1", true);
    let mut input = cluster_input("c1");
    input.kubeconfig = Some(kubeconfig());
    f.dcm.update_cluster(&provider("default"), &"c1".parse().unwrap(), input.into(), None).await.unwrap();
    let revocation = f.dcm.revoke_user(&id).await.unwrap();
    assert_eq!(revocation.clusters[0].1.as_ref().unwrap_err().reason, Reason::Unreachable);
    f.clusters.set_down("default/c1", false);
    let revocation = f.dcm.revoke_user(&id).await.unwrap();
    assert_eq!(revocation.clusters[0].1.as_ref().unwrap_err().reason, Reason::IdentityChanged);
}

/// A credential's renewal is planned by our clock; the cluster's says when it has run out.
#[tokio::test]
async fn a_clock_that_was_ahead_lets_no_credential_run_out() {
    let (f, store) = memory().await;
    f.clusters.with("default/c1", |cluster| cluster.clock = Some(start()));
    let year = Duration::from_secs(365 * 24 * 3600);
    f.clock.advance(year);
    let id = applied(&f, &["c1"]).await;
    f.clock.go_back(year);
    f.dcm.resync(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let end = start() + FAKE_LIFETIME;
    for entry in store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap() {
        assert!(entry.value.renew_at.unwrap() < end, "{:?}", entry.value.renew_at);
    }
    let renewals = store.list_all::<dcm_core::model::Renewal>(&"renewal".parse().unwrap()).await.unwrap();
    assert!(renewals.iter().all(|renewal| renewal.value.at < end) && renewals.len() == 1);
}

/// What was cut off for the sake of one revoke was perhaps let in for the sake of another.
#[tokio::test]
async fn two_revokes_at_once_leave_one_user_who_has_access() {
    for drift in [DriftPolicy::Report, DriftPolicy::Repair] {
        let own = own_with(Settings { drift, ..Settings::default() }).await;
        let id = dcm_test_utils::builders::cloud_id("lc-1");
        own.dcm.apply(&id, dcm_core::lifecycle::Event::Apply, false).await.unwrap();
        carry_out(&own.dcm).await.unwrap();
        let (dcm, other) = (own.dcm.clone(), id.clone());
        *own.clusters.cutting.lock().unwrap() = Some(Box::new(move || {
            Box::pin(async move {
                dcm.revoke_user(&other).await.unwrap();
                carry_out(&dcm).await.unwrap();
            })
        }));
        own.dcm.revoke_user(&id).await.unwrap();
        carry_out(&own.dcm).await.unwrap();
        assert_eq!(own.dcm.status(&id).await.unwrap().overall, Overall::Created);
        let bindings = own.clusters.inner.holds("default/c1");
        assert!(bindings.contains(&"RoleBinding ns-1/permission-1".to_owned()), "{drift:?}: {bindings:?}");
    }
}

/// Between the order and the cut another main server revokes, too, and a worker carries that out.
#[tokio::test]
async fn a_revoke_that_another_one_overtakes_locks_nobody_out_and_says_nothing_wrong() {
    for moment in ["cluster/", "cluster-health/"] {
        let store = HookStore::new();
        let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
        let id = applied(&f, &["c1"]).await;
        let before = bound(&f, "c1");
        let (dcm, other, clusters) = (f.restarted().await.unwrap(), id.clone(), Arc::clone(&f.clusters));
        let let_in = Arc::new(std::sync::Mutex::new(None));
        let seen = Arc::clone(&let_in);
        store.before_call(moment, Call::Get, || async move {
            let revocation = dcm.revoke_user(&other).await.unwrap();
            assert!(revocation.clusters.iter().all(|(_, cut)| cut.is_ok()), "{:?}", revocation.clusters);
            carry_out(&dcm).await.unwrap();
            *seen.lock().unwrap() = bound_on(&clusters, "c1");
        });
        let revocation = f.dcm.revoke_user(&id).await.unwrap();
        assert!(revocation.clusters.iter().all(|(_, cut)| cut.is_ok()), "{moment}: {:?}", revocation.clusters);
        let let_in = let_in.lock().unwrap().take();
        assert!(let_in.is_some() && let_in != before, "{moment}");
        assert_eq!(bound(&f, "c1"), let_in, "{moment}: who was let in meanwhile is locked out");
        f.carry_out().await.unwrap();
        assert_eq!((overall(&f, &id).await, bound(&f, "c1")), (Overall::Created, let_in), "{moment}");
    }
}

/// What a credential may do is not what the one before might.
#[tokio::test]
async fn nothing_is_known_of_a_credential_that_could_not_be_tried() {
    let (f, _) = memory().await;
    f.register(&["c1"]).await.unwrap();
    let (provider, name) = (provider("default"), "c1".parse().unwrap());
    assert!(!f.dcm.cluster(&provider, &name).await.unwrap().health.unwrap().capabilities.is_empty());
    f.clusters.set_down("default/c1", true);
    let changed = f.dcm.update_cluster(&provider, &name, cluster_input("c1").into(), None).await.unwrap();
    assert!(changed.health.unwrap().capabilities.is_empty());
}

/// The state that was applied may go while it is read, because another one was applied.
#[tokio::test]
async fn a_revoke_finds_the_state_that_was_applied_meanwhile() {
    let store = HookStore::new();
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let id = applied(&f, &["c1"]).await;
    let before = bound(&f, "c1");
    f.dcm.create_permission(&id, dcm_test_utils::builders::permission_input("p-2", "pods").into()).await.unwrap();
    let (worker, other) = (f.restarted().await.unwrap(), id.clone());
    store.before_call("applied/", Call::Get, || async move {
        worker.apply(&other, dcm_core::lifecycle::Event::Apply, false).await.unwrap();
        carry_out(&worker).await.unwrap();
    });
    f.dcm.revoke_user(&id).await.unwrap();
    f.carry_out().await.unwrap();
    assert!(bound(&f, "c1").is_some() && bound(&f, "c1") != before);
}

/// A look at the clusters takes nothing from an order that was given meanwhile.
#[tokio::test]
async fn a_look_takes_no_force_from_an_order() {
    let store = HookStore::new();
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let id = applied(&f, &["c1"]).await;
    let (dcm, other) = (f.dcm.clone(), id.clone());
    store.before("order/", true, || async move {
        dcm.apply(&other, dcm_core::lifecycle::Event::Apply, true).await.unwrap();
    });
    f.dcm.resync(&id).await.unwrap();
    let orders = store.list_all::<dcm_core::model::Order>(&"order".parse().unwrap()).await.unwrap();
    assert!(orders[0].value.force);
    assert_eq!(f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.phase, Phase::Applied);
    assert_eq!(f.dcm.kubeconfig(&id, &reference("c1")).await.unwrap_err().kind(), ErrorKind::NotReady);
}

/// What was forced was what is to be on clusters; another user changes nothing of that.
#[tokio::test]
async fn a_revoke_takes_no_force_from_what_is_being_carried_out() {
    let (f, store) = memory().await;
    let id = applied(&f, &["c1", "c2"]).await;
    f.clusters.set_down("default/c2", true);
    f.dcm.apply(&id, dcm_core::lifecycle::Event::Apply, true).await.unwrap();
    f.carry_out().await.unwrap();
    f.dcm.revoke_user(&id).await.unwrap();
    let orders = store.list_all::<dcm_core::model::Order>(&"order".parse().unwrap()).await.unwrap();
    assert!(orders[0].value.force);
}

/// Whoever applies a preview by hand must not leave the id of a state that no store ever had: DCM would take its own
/// store for one that is older than the cluster.
#[tokio::test]
async fn a_preview_names_no_state_that_never_is() {
    let (f, _) = memory().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let only = dcm_core::service::Selection::One(reference("c1"));
    let annotations = async || {
        let manifests = f.dcm.manifests(&id, &only).await.unwrap();
        manifests.clusters[0].1[0].manifest["metadata"]["annotations"].clone()
    };
    assert_eq!(annotations().await, annotations().await);
    assert!(annotations().await.get(dcm_core::tenancy::marks::STATE).is_none());
    f.apply(&id).await.unwrap();
    let state = f.dcm.logical_cloud(&id).await.unwrap().cloud.lifecycle.history[0].to_string();
    assert_eq!(annotations().await[dcm_core::tenancy::marks::STATE], state.as_str());
}

/// The worker may open the order of a revoke before the request that gives it has made the user another one.
#[tokio::test]
async fn a_stopped_clouds_user_is_cut_off_although_the_order_was_opened_early() {
    let store = HookStore::new();
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    let id = applied(&f, &["c1"]).await;
    f.dcm.stop(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let (worker, clusters) = (f.restarted().await.unwrap(), Arc::clone(&f.clusters));
    store.before("logical-cloud/", true, || async move {
        carry_out(&worker).await.unwrap();
        clusters.set_down("default/c1", true);
    });
    f.dcm.revoke_user(&id).await.unwrap();
    f.clusters.set_down("default/c1", false);
    f.clock.advance(Duration::from_secs(300));
    f.carry_out().await.unwrap();
    assert_eq!(bound(&f, "c1"), None);
    assert_eq!(overall(&f, &id).await, Overall::Stopped);
}

/// A look that came no further than the namespace has found nothing that a credential could be for.
#[tokio::test]
async fn an_old_store_that_only_looks_has_no_credential_made() {
    let store = Arc::new(MemoryStore::new());
    let settings = Settings { drift: DriftPolicy::Report, ..Settings::default() };
    let f = Fixture::with_settings(Arc::clone(&store) as _, settings).await.unwrap();
    let id = applied(&f, &["c1"]).await;
    let credentials = async || store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap();
    let before = credentials().await[0].value.renew_at;
    let refused = ("Namespace".to_owned(), Reason::StoreOlderThanCluster);
    f.clusters.with("default/c1", |cluster| cluster.refuses = Some(refused));
    f.clock.advance(FAKE_LIFETIME.mul_f64(0.7));
    f.dcm.renew_due().await.unwrap();
    f.carry_out().await.unwrap();
    let status = f.dcm.status(&id).await.unwrap();
    let status = status.clusters[0].1.as_ref().unwrap();
    assert_eq!(status.failure.as_ref().map(|failure| failure.reason), Some(Reason::StoreOlderThanCluster));
    assert!(matches!(status.part(Part::Namespace), PartState::Failed(_)), "{:?}", status.parts);
    assert_eq!(credentials().await[0].value.renew_at, before);
}
