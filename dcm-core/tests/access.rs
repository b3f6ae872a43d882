//! The user's access: tokens, renewals, cutting off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{sync::Arc, time::Duration};

use dcm_core::{
    error::ErrorKind,
    lifecycle::Event,
    model::{Credential, Proof, Renewal},
    name::ReferenceName,
    service::{CloudId, Overall},
    store::{Entry, Scan, StoreExt},
    sync::{Grant, ObjectId, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, cloud_input, permission_input},
    ports::FAKE_LIFETIME,
};
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Bed {
    f: Fixture,
    store: Arc<MemoryStore>,
    id: CloudId,
}

/// An applied logical cloud.
async fn bed(user_type: &str, clusters: &[&str]) -> Bed {
    let store = Arc::new(MemoryStore::new());
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(clusters).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", clusters).await.unwrap();
    if user_type != "certificate" {
        be(&f, &id, user_type).await;
    }
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    Bed { f, store, id }
}

async fn be(f: &Fixture, id: &CloudId, user_type: &str) {
    let mut input = cloud_input("lc-1", "ns-1");
    input.user.as_mut().unwrap().user_type = Some(user_type.to_owned());
    f.dcm.update_logical_cloud(id, input.into(), None).await.unwrap();
}

impl Bed {
    async fn carry_out(&self) {
        self.f.carry_out().await.unwrap();
    }

    async fn overall(&self) -> Overall {
        self.f.dcm.status(&self.id).await.unwrap().overall
    }

    /// Whom the binding on a cluster names.
    fn subject(&self, cluster: &str) -> Option<Value> {
        self.f.clusters.with(&format!("default/{cluster}"), |cluster| {
            let binding = cluster.objects.iter().find(|(id, _)| id.kind == "RoleBinding")?;
            Some(binding.1.2["subjects"][0].clone())
        })
    }

    fn accounts(&self) -> Vec<String> {
        let holds = self.f.clusters.holds("default/c1");
        holds.into_iter().filter(|object| object.starts_with("ServiceAccount")).collect()
    }

    async fn credentials(&self) -> Vec<Credential> {
        let all = self.store.list_all::<Credential>(&"credential".parse().unwrap()).await.unwrap();
        all.into_iter().map(|entry| entry.value).collect()
    }

    async fn renewals(&self) -> Vec<Entry<Renewal>> {
        let scan = Scan::below("renewal".parse().unwrap(), 100);
        self.store.list_page(scan).await.unwrap()
    }

    async fn kubeconfig(&self, cluster: &str) -> Result<Value, ErrorKind> {
        let reference = ReferenceName::new(cluster).unwrap();
        let config = self.f.dcm.kubeconfig(&self.id, &reference).await.map_err(|error| error.kind())?;
        Ok(serde_json::from_slice(config.expose_json()).unwrap())
    }
}

#[tokio::test]
async fn a_token_user_gets_an_account_and_a_token_of_it() {
    let bed = bed("Token", &["c1", "c2"]).await;
    assert_eq!(bed.overall().await, Overall::Created);
    let subject = bed.subject("c1").unwrap();
    assert_eq!((&subject["kind"], &subject["namespace"]), (&"ServiceAccount".into(), &"ns-1".into()));
    let account = subject["name"].as_str().unwrap();
    assert_eq!(bed.accounts(), [format!("ServiceAccount ns-1/{account}")]);
    let user = &bed.kubeconfig("c1").await.unwrap()["users"][0]["user"];
    assert_eq!(user, &serde_json::json!({ "token": format!("fake token of {account}") }));
    assert!(bed.credentials().await.iter().all(|credential| matches!(credential.proof, Proof::Token { .. })));
}

/// A token is bound to one account; another one of its name makes no token valid.
#[tokio::test]
async fn a_token_goes_with_its_account() {
    let bed = bed("token", &["c1"]).await;
    let uid = |credential: &Credential| match &credential.proof {
        Proof::Token { account_uid, .. } => account_uid.clone(),
        Proof::Certificate { .. } => panic!("a token was wanted"),
    };
    let before = uid(&bed.credentials().await[0]);
    bed.f.clusters.with("default/c1", |cluster| cluster.objects.retain(|id, _| id.kind != "ServiceAccount"));
    bed.f.dcm.resync(&bed.id).await.unwrap();
    bed.carry_out().await;
    assert_eq!(bed.accounts().len(), 1);
    assert_ne!(uid(&bed.credentials().await[0]), before);
}

#[tokio::test]
async fn another_type_of_user_leaves_nothing_of_the_one_before() {
    let bed = bed("token", &["c1"]).await;
    be(&bed.f, &bed.id, "certificate").await;
    bed.f.apply(&bed.id).await.unwrap();
    bed.carry_out().await;
    assert_eq!(bed.accounts(), Vec::<String>::new());
    assert_eq!(bed.subject("c1").unwrap()["kind"], "User");
    assert!(bed.kubeconfig("c1").await.unwrap()["users"][0]["user"].get("token").is_none());
}

#[tokio::test]
async fn a_credential_is_renewed_when_it_is_due_and_no_sooner() {
    let bed = bed("certificate", &["c1", "c2"]).await;
    let [c1, c2] = &bed.renewals().await[..] else { panic!("one for each credential") };
    let first = bed.credentials().await;
    let due = c1.value.at.max(c2.value.at);
    assert_eq!(bed.f.dcm.renew_due().await.unwrap().next, Some(c1.value.at));
    bed.f.clock.advance(FAKE_LIFETIME.mul_f64(0.59));
    bed.f.dcm.renew_due().await.unwrap();
    assert!(bed.f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
    bed.f.clock.advance(FAKE_LIFETIME.mul_f64(0.08));
    bed.f.dcm.renew_due().await.unwrap();
    bed.carry_out().await;
    for (old, new) in first.iter().zip(bed.credentials().await) {
        assert_eq!(old.name_there, new.name_there, "who has the old one goes on");
        assert!(new.renew_at.unwrap() > due);
    }
    // What was due is gone, and nothing more is to be done.
    assert_eq!(bed.renewals().await.len(), 2);
    assert!(bed.renewals().await.iter().all(|renewal| renewal.value.at > due));
    assert_eq!(bed.overall().await, Overall::Created);
    bed.f.dcm.renew_due().await.unwrap();
    assert!(bed.f.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_renewal_touches_the_clusters_that_are_due_only() {
    let bed = bed("certificate", &["c1"]).await;
    bed.f.clock.advance(DAY * 20);
    bed.f.register(&["c2"]).await.unwrap();
    bed.f.dcm.create_reference(&bed.id, dcm_test_utils::builders::reference_input("c2").into()).await.unwrap();
    bed.f.apply(&bed.id).await.unwrap();
    bed.carry_out().await;
    let due = bed.renewals().await[0].value.at;
    assert_eq!(bed.renewals().await[0].value.reference.as_str(), "c1");
    bed.f.clock.advance(due.duration_since(bed.f_now()).unsigned_abs());
    let calls = |cluster: &str| bed.f.clusters.with(cluster, |cluster| cluster.calls);
    let before = (calls("default/c1"), calls("default/c2"));
    bed.f.dcm.renew_due().await.unwrap();
    bed.carry_out().await;
    assert!(calls("default/c1") > before.0);
    assert_eq!(calls("default/c2"), before.1);
}

impl Bed {
    fn f_now(&self) -> jiff::Timestamp {
        dcm_core::clock::Clock::now(&*self.f.clock)
    }
}

#[tokio::test]
async fn a_renewal_on_a_cluster_that_is_away_waits_for_it() {
    let bed = bed("certificate", &["c1"]).await;
    let old = bed.credentials().await[0].renew_at;
    bed.f.clock.advance(FAKE_LIFETIME.mul_f64(0.7));
    bed.f.clusters.set_down("default/c1", true);
    for _ in 0..3 {
        bed.f.dcm.renew_due().await.unwrap();
        bed.carry_out().await;
        bed.f.clock.advance(DAY);
    }
    assert_eq!(bed.credentials().await[0].renew_at, old);
    bed.f.clusters.set_down("default/c1", false);
    bed.carry_out().await;
    assert_ne!(bed.credentials().await[0].renew_at, old);
    assert_eq!(bed.overall().await, Overall::Created);
}

#[tokio::test]
async fn nothing_renews_what_is_gone() {
    let bed = bed("certificate", &["c1", "c2"]).await;
    bed.f.dcm.delete_reference(&bed.id, &ReferenceName::new("c2").unwrap(), None, false).await.unwrap();
    bed.carry_out().await;
    assert_eq!(bed.renewals().await.len(), 1);
    bed.f.dcm.terminate(&bed.id, false).await.unwrap();
    bed.carry_out().await;
    assert_eq!(bed.renewals().await.len(), 0);
    // One that a crash left behind goes when its time comes.
    let key = "renewal/000000000001/uid/ref".parse().unwrap();
    let left = Renewal {
        at: jiff::Timestamp::from_second(1).unwrap(),
        cloud: "logical-cloud/p/lc-1".parse().unwrap(),
        cloud_uid: dcm_core::model::Uid::from_random([1; 16]),
        reference: ReferenceName::new("ref").unwrap(),
    };
    bed.store.insert(&key, &left).await.unwrap();
    bed.f.dcm.renew_due().await.unwrap();
    assert_eq!(bed.renewals().await.len(), 0);
}

#[tokio::test]
async fn a_stopped_cloud_is_renewed_by_the_next_apply() {
    let bed = bed("certificate", &["c1"]).await;
    let old = bed.credentials().await[0].renew_at;
    bed.f.dcm.stop(&bed.id).await.unwrap();
    bed.carry_out().await;
    bed.f.clock.advance(FAKE_LIFETIME.mul_f64(0.7));
    bed.f.dcm.renew_due().await.unwrap();
    bed.carry_out().await;
    assert_eq!(bed.credentials().await[0].renew_at, old);
    bed.f.apply(&bed.id).await.unwrap();
    bed.carry_out().await;
    assert_ne!(bed.credentials().await[0].renew_at, old);
}

#[tokio::test]
async fn a_revoked_user_is_cut_off_at_once_and_comes_back_as_another() {
    for user_type in ["certificate", "token"] {
        let bed = bed(user_type, &["c1", "c2"]).await;
        let before = bed.subject("c1").unwrap();
        bed.f.dcm.create_permission(&bed.id, permission_input("p-2", "secrets").into()).await.unwrap();
        let revocation = bed.f.dcm.revoke_user(&bed.id).await.unwrap();
        // No worker was needed.
        assert_eq!((bed.subject("c1"), bed.subject("c2")), (None, None));
        assert_eq!(bed.accounts(), Vec::<String>::new());
        assert_eq!(revocation.clusters.len(), 2);
        assert!(revocation.clusters.iter().all(|(_, cut)| cut.as_ref().is_ok_and(Vec::is_empty)));
        assert_eq!(bed.kubeconfig("c1").await, Err(ErrorKind::NotReady));
        bed.carry_out().await;
        assert_eq!(bed.overall().await, Overall::Created);
        let after = bed.subject("c1").unwrap();
        assert_ne!(after["name"], before["name"]);
        assert!(bed.kubeconfig("c1").await.is_ok());
        // The edit waits for the next apply, which does not cut anyone off.
        let holds = || bed.f.clusters.holds("default/c1");
        assert!(!holds().contains(&"Role ns-1/p-2".to_owned()), "{:?}", holds());
        let view = bed.f.dcm.logical_cloud(&bed.id).await.unwrap();
        assert_eq!((view.generation, view.cloud.lifecycle.applied_generation), (3, 2));
        bed.f.apply(&bed.id).await.unwrap();
        bed.carry_out().await;
        assert!(holds().contains(&"Role ns-1/p-2".to_owned()), "{:?}", holds());
        assert_eq!(bed.subject("c1").unwrap(), after);
    }
}

#[tokio::test]
async fn a_cluster_that_is_away_is_reported_and_cut_off_when_it_is_back() {
    let bed = bed("certificate", &["c1", "c2"]).await;
    let before = bed.subject("c2").unwrap();
    bed.f.clusters.set_down("default/c2", true);
    bed.f.clusters.with("default/c1", |cluster| {
        let id = ObjectId {
            api_version: "v1".to_owned(),
            kind: "ServiceAccount".to_owned(),
            namespace: Some("ns-1".to_owned()),
            name: "theirs".to_owned(),
        };
        cluster.grants = vec![Grant { id, detail: "tokens of it".to_owned() }];
    });
    let revocation = bed.f.dcm.revoke_user(&bed.id).await.unwrap();
    let [(_, c1), (_, c2)] = &revocation.clusters[..] else { panic!("two clusters") };
    assert_eq!(c1.as_ref().unwrap()[0].id.name, "theirs");
    assert_eq!(c2.as_ref().unwrap_err().reason, Reason::Unreachable);
    bed.carry_out().await;
    assert_eq!(bed.overall().await, Overall::CreationInProgress);
    assert_eq!(bed.subject("c2").unwrap(), before);
    bed.f.clusters.set_down("default/c2", false);
    bed.carry_out().await;
    assert_eq!(bed.overall().await, Overall::Created);
    assert_eq!(bed.subject("c2"), bed.subject("c1"));
}

#[tokio::test]
async fn renewing_makes_another_user_too_and_cuts_off_with_the_new_credential() {
    let bed = bed("certificate", &["c1"]).await;
    let before = bed.subject("c1").unwrap();
    bed.f.dcm.renew_user(&bed.id).await.unwrap();
    assert_eq!(bed.subject("c1").unwrap(), before);
    bed.carry_out().await;
    assert_ne!(bed.subject("c1").unwrap(), before);
    assert_eq!(bed.credentials().await.len(), 1);
    assert_eq!(bed.renewals().await.len(), 1);
}

#[tokio::test]
async fn a_stopped_clouds_user_can_be_cut_off() {
    let bed = bed("certificate", &["c1"]).await;
    let before = bed.subject("c1").unwrap();
    bed.f.dcm.stop(&bed.id).await.unwrap();
    assert_eq!(bed.f.dcm.renew_user(&bed.id).await.unwrap_err().kind(), ErrorKind::Refused);
    bed.f.dcm.revoke_user(&bed.id).await.unwrap();
    bed.carry_out().await;
    assert_eq!((bed.overall().await, bed.subject("c1")), (Overall::Stopped, None));
    bed.f.apply(&bed.id).await.unwrap();
    bed.carry_out().await;
    assert_ne!(bed.subject("c1").unwrap(), before);
}

#[tokio::test]
async fn nobody_is_cut_off_where_nobody_has_access() {
    let bed = bed("certificate", &["c1"]).await;
    bed.f.dcm.terminate(&bed.id, false).await.unwrap();
    assert_eq!(bed.f.dcm.revoke_user(&bed.id).await.unwrap_err().kind(), ErrorKind::Refused);
    bed.carry_out().await;
    assert_eq!(bed.f.dcm.revoke_user(&bed.id).await.unwrap_err().kind(), ErrorKind::Refused);
}

/// Whom a cluster that is ahead of the store has seen cut off is unknown to the store.
#[tokio::test]
async fn force_makes_the_user_another_one() {
    let bed = bed("certificate", &["c1"]).await;
    let before = bed.subject("c1").unwrap();
    bed.f.dcm.apply(&bed.id, Event::Apply, true).await.unwrap();
    bed.carry_out().await;
    assert_ne!(bed.subject("c1").unwrap(), before);
}
