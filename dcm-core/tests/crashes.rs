//! A crash at every single call of the store: what was acknowledged is carried out after the restart, and
//! what was not is either carried out whole or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::sync::Arc;

use dcm_core::{
    error::{Error, ErrorKind},
    model::{Credential, KvPairInput},
    name::ClusterName,
    service::{CloudId, Deletion, Overall},
    store::{Scan, Store as _, StoreExt},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, carry_out, cloud_id, metadata},
    faulty::FaultyStore,
};

/// More calls than any of the use cases here makes.
const MOST_CALLS: u32 = 400;

async fn fixture() -> (Fixture, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let fixture = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    fixture.register(&["c1", "c2"]).await.unwrap();
    (fixture, store)
}

/// Restarts, and works until nothing waits; an order that nobody acknowledged may have to age first.
async fn restart_and_settle(f: &Fixture, store: &FaultyStore) {
    store.mend();
    let dcm = f.restarted().await.unwrap();
    for _ in 0..5 {
        carry_out(&dcm).await.unwrap();
        f.clock.advance(std::time::Duration::from_secs(61));
    }
    assert!(dcm.waiting_orders(None, 10).await.unwrap().is_empty());
}

fn assert_crash<T: std::fmt::Debug>(result: Result<T, Error>, call: u32) {
    let error = result.expect_err("the store was told to fail");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "call {call}: {error:?}");
}

#[tokio::test]
async fn an_apply_that_was_cut_off_anywhere_is_whole_or_not_at_all() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
        store.fail_after(call);
        let applied = f.apply(&id).await;
        let acknowledged = applied.is_ok();
        if !acknowledged {
            assert_crash(applied, call);
        }
        restart_and_settle(&f, &store).await;
        let overall = f.dcm.status(&id).await.unwrap().overall;
        let objects = (f.clusters.holds("default/c1").len(), f.clusters.holds("default/c2").len());
        match overall {
            Overall::Created => assert_eq!(objects, (4, 4), "call {call}"),
            Overall::NotCreated if !acknowledged => assert_eq!(objects, (0, 0), "call {call}"),
            other => panic!("call {call}: acknowledged {acknowledged}, yet {other:?}"),
        }
        // It can be gone on with in any case.
        f.apply(&id).await.unwrap();
        f.carry_out().await.unwrap();
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created, "call {call}");
        if !store.has_failed() && acknowledged {
            return;
        }
    }
}

#[tokio::test]
async fn work_that_was_cut_off_anywhere_is_finished() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
        f.apply(&id).await.unwrap();
        store.fail_after(call);
        let worked = f.carry_out().await;
        let whole = worked.is_ok();
        restart_and_settle(&f, &store).await;
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created, "call {call}");
        // And so is its reverse.
        f.dcm.terminate(&id, false).await.unwrap();
        store.fail_after(call);
        let terminated = f.carry_out().await;
        restart_and_settle(&f, &store).await;
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Deleted, "call {call}");
        assert!(f.clusters.holds("default/c1").is_empty() && f.clusters.holds("default/c2").is_empty());
        if whole && terminated.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn a_delete_that_was_cut_off_anywhere_leaves_a_whole_cloud_or_nothing() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
        store.fail_after(call);
        let deleted = f.dcm.delete_logical_cloud(&id, None).await;
        let acknowledged = matches!(deleted, Ok(Deletion::Gone));
        if !acknowledged {
            assert_crash(deleted, call);
        }
        restart_and_settle(&f, &store).await;
        match f.dcm.logical_cloud(&id).await {
            Err(Error::NotFound { .. }) => assert_clean(&f).await,
            Ok(view) if !acknowledged => assert_eq!(view.references, ["c1"], "call {call}"),
            other => panic!("call {call}: acknowledged {acknowledged}, yet {other:?}"),
        }
        if acknowledged {
            return;
        }
    }
}

/// Whom the binding on a cluster names.
fn bound(f: &Fixture, cluster: &str) -> Option<String> {
    f.clusters.with(cluster, |cluster| {
        let binding = cluster.objects.iter().find(|(id, _)| id.kind == "RoleBinding")?;
        binding.1.2["subjects"][0]["name"].as_str().map(str::to_owned)
    })
}

#[tokio::test]
async fn a_revoke_that_was_cut_off_anywhere_never_leaves_two_users() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
        let before = bound(&f, "default/c1");
        store.fail_after(call);
        let revoked = f.dcm.revoke_user(&id).await;
        let acknowledged = revoked.is_ok();
        if !acknowledged {
            assert_crash(revoked, call);
        }
        let worked = f.carry_out().await.is_ok();
        restart_and_settle(&f, &store).await;
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created, "call {call}");
        let after = bound(&f, "default/c1");
        assert_eq!(bound(&f, "default/c2"), after, "call {call}");
        assert!(after.is_some() && (!acknowledged || after != before), "call {call}");
        // The credentials are those of the user who is bound.
        for entry in store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap() {
            assert_eq!(Some(entry.value.name_there), after, "call {call}");
        }
        assert!(f.dcm.merged_kubeconfig(&id).await.is_ok(), "call {call}");
        if acknowledged && worked {
            return;
        }
    }
}

#[tokio::test]
async fn a_renewal_that_was_cut_off_anywhere_is_made_up_for() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let id = f.create_applied("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
        f.clock.advance(dcm_test_utils::ports::FAKE_LIFETIME.mul_f64(0.68));
        store.fail_after(call);
        let whole = f.dcm.renew_due().await.is_ok() && f.carry_out().await.is_ok();
        store.mend();
        for _ in 0..3 {
            f.dcm.renew_due().await.unwrap();
            f.carry_out().await.unwrap();
        }
        let now = dcm_core::clock::Clock::now(&*f.clock);
        for entry in store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap() {
            assert!(entry.value.renew_at.unwrap() > now, "call {call}");
        }
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created, "call {call}");
        if whole {
            return;
        }
    }
}

#[tokio::test]
async fn a_creation_that_was_cut_off_anywhere_can_be_repeated() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        store.fail_after(call);
        let created = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await;
        let whole = created.is_ok();
        store.mend();
        let id = create_what_is_missing(&f).await;
        f.apply(&id).await.unwrap();
        f.carry_out().await.unwrap();
        assert_eq!(f.dcm.status(&id).await.unwrap().overall, Overall::Created, "call {call}");
        if whole {
            return;
        }
    }
}

/// What a client does who got an error: the same calls again, content with "there is one already".
async fn create_what_is_missing(f: &Fixture) -> CloudId {
    use dcm_test_utils::builders::{cloud_input, quota_input, reference_input};
    let id = cloud_id("lc-1");
    let fine = |result: Result<(), Error>| match result {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}"),
    };
    fine(f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.map(drop));
    for cluster in ["c1", "c2"] {
        fine(f.dcm.create_reference(&id, reference_input(cluster).into()).await.map(drop));
    }
    fine(f.dcm.create_quota(&id, quota_input("quota-1", "5").into()).await.map(drop));
    id
}

#[tokio::test]
async fn a_delete_of_a_cluster_that_was_cut_off_anywhere_leaves_nothing_beside_it() {
    for call in 0.. {
        assert!(call < MOST_CALLS);
        let (f, store) = fixture().await;
        let provider = dcm_test_utils::builders::provider("default");
        let [c1, c2] = ["c1", "c2"].map(|name| ClusterName::new(name).unwrap());
        for cluster in [&c1, &c2] {
            for name in ["a", "b"] {
                let pair = KvPairInput { metadata: metadata(name), kv: Some(Vec::new()) };
                f.dcm.create_cluster_kv_pair((&provider, cluster), pair.into()).await.unwrap();
            }
        }
        store.fail_after(call);
        let deleted = f.dcm.delete_cluster(&provider, &c1, None).await;
        let acknowledged = deleted.is_ok();
        store.mend();
        f.restarted().await.unwrap().sweep_clusters().await.unwrap();
        let left = if f.dcm.cluster(&provider, &c1).await.is_ok() { 2 } else { 1 };
        for (all, each) in [("cluster-kv-pair", 2), ("cluster-health", 1)] {
            let found = store.scan(Scan::below(all.parse().unwrap(), 100)).await.unwrap();
            assert_eq!(found.len(), left * each, "{all}, call {call}");
        }
        if acknowledged {
            return;
        }
    }
}

/// Nothing of a logical cloud is left, and nothing refers to its clusters.
async fn assert_clean(f: &Fixture) {
    let provider = dcm_test_utils::builders::provider("default");
    for cluster in ["c1", "c2"] {
        f.dcm.delete_cluster(&provider, &cluster.parse().unwrap(), None).await.unwrap();
    }
    f.dcm.delete_provider(&provider, None).await.unwrap();
    f.dcm.delete_project(&cloud_id("lc-1").project, None).await.unwrap();
}
