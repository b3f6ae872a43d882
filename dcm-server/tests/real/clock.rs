//! DCM embedded, with a clock that is not the cluster's: renewals when they are due, and clocks that differ.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use dcm_core::{
    clock::Clock,
    lifecycle::Event,
    model::{ClusterInput, LogicalCloudInput},
    name::ReferenceName,
    service::{CloudId, Dcm, NoWake, Overall, Ports, Settings},
};
use dcm_mesh::credential::UserCredentials;
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use dcm_sync::kube::KubeSynchronizer;
use dcm_test_utils::{
    builders::{carry_out, cloud_id, cloud_input, metadata, provider, reference_input},
    patience::until,
    ports::CountingEntropy,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    clusters::{Cluster, Clusters, PATIENCE},
    support::RIGHTS_CACHE,
};

const DAY: i64 = 24 * 3600;

/// This machine's clock, and so many seconds.
#[derive(Debug, Default)]
struct OtherClock(AtomicI64);

impl Clock for OtherClock {
    #[allow(clippy::disallowed_methods, reason = "the test's own clock is made of the machine's")]
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

struct Embedded {
    dcm: Dcm,
    clock: Arc<OtherClock>,
    id: CloudId,
    clusters: Clusters,
}

/// A logical cloud applied to a real cluster by a DCM that is so many seconds ahead.
async fn applied(test: &str, name: &str, user_type: &str, ahead: i64) -> Option<Embedded> {
    let clusters = Clusters::find(test, 1)?;
    dcm_server::install_crypto_provider();
    let clock = Arc::new(OtherClock(ahead.into()));
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        sealer: Arc::new(AeadSealer::new(Keyring::random().unwrap()).unwrap()),
        credentials: Arc::new(UserCredentials),
        synchronizer: Arc::new(KubeSynchronizer::default()),
        clock: Arc::clone(&clock) as _,
        // Whoever has the same ids sweeps away what the other one is about to use.
        entropy: Arc::new(CountingEntropy::starting_at(RandomState::new().hash_one(name))),
        wake: Arc::new(NoWake),
    };
    let dcm = Dcm::open(ports, Settings::default()).await.unwrap();
    clusters.note(dcm.installation().to_string());
    dcm.ensure_default_provider().await.unwrap();
    let kubeconfig = Some(clusters[0].kubeconfig.clone());
    let input = ClusterInput { metadata: metadata("c1"), kubeconfig, ..ClusterInput::default() };
    dcm.create_cluster(&provider("default"), input.into()).await.unwrap();
    let id = cloud_id("lc-1");
    let mut input: LogicalCloudInput = cloud_input("lc-1", &clusters.namespace(name));
    input.user.as_mut().unwrap().user_type = Some(user_type.to_owned());
    dcm.create_logical_cloud(&id.project, input.into()).await.unwrap();
    dcm.create_reference(&id, reference_input("c1").into()).await.unwrap();
    dcm.apply(&id, Event::Apply, false).await.unwrap();
    let embedded = Embedded { dcm, clock, id, clusters };
    embedded.carry_out().await;
    Some(embedded)
}

impl Embedded {
    async fn carry_out(&self) {
        carry_out(&self.dcm).await.unwrap();
        let status = self.dcm.status(&self.id).await.unwrap();
        assert_eq!(status.overall, Overall::Created, "{:#?}", status.clusters);
    }

    async fn kubeconfig(&self) -> Value {
        let config = self.dcm.kubeconfig(&self.id, &ReferenceName::new("c1").unwrap()).await.unwrap();
        serde_json::from_slice(config.expose_json()).unwrap()
    }

    async fn remarks(&self) -> Vec<String> {
        self.dcm.status(&self.id).await.unwrap().clusters[0].1.as_ref().unwrap().remarks.clone()
    }

    /// Waits until the cluster lets a user in: its API server's own cache of roles and bindings takes a moment.
    async fn lets_in(&self, kubeconfig: &Value) {
        let cluster: &Cluster = &self.clusters[0];
        let asked = async || cluster.as_user(kubeconfig, &["get", "configmaps"]).allowed();
        until(RIGHTS_CACHE, "let in", asked).await;
    }

    /// Terminates, as often as the cluster needs to let its namespace go.
    async fn terminate(&self) {
        self.dcm.terminate(&self.id, false).await.unwrap();
        until(PATIENCE, "deleted", async || {
            carry_out(&self.dcm).await.unwrap();
            let status = self.dcm.status(&self.id).await.unwrap();
            if status.overall == Overall::Deleted { Ok(()) } else { Err(format!("{:#?}", status.clusters)) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_renewed_when_it_is_due_and_the_one_before_goes_on_working() {
    for user_type in ["certificate", "token"] {
        let Some(bed) = applied("a_credential_is_renewed", &format!("renewal-{user_type}"), user_type, 0).await else {
            return;
        };
        let first = bed.kubeconfig().await;
        let next = bed.dcm.renew_due().await.unwrap().next.unwrap();
        let life = next.duration_since(bed.clock.now()).as_secs();
        assert!((53 * DAY..=60 * DAY).contains(&life), "{user_type}: {life} s");
        bed.clock.0.store(life + 5, Ordering::SeqCst);
        bed.dcm.renew_due().await.unwrap();
        bed.carry_out().await;
        let second = bed.kubeconfig().await;
        assert_ne!(first["users"], second["users"]);
        for config in [&first, &second] {
            bed.lets_in(config).await;
        }
        // It is due by our own clock, whatever the cluster's says.
        let next = bed.dcm.renew_due().await.unwrap().next.unwrap();
        assert!(next.duration_since(bed.clock.now()).as_secs() > 50 * DAY);
        bed.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_told_of_and_harms_nobody() {
    for (name, ahead) in [("ahead", 100 * DAY), ("behind", -100 * DAY)] {
        let Some(bed) = applied("a_clock_that_is_wrong", name, "certificate", ahead).await else { return };
        bed.lets_in(&bed.kubeconfig().await).await;
        let remarks = bed.remarks().await;
        assert!(remarks.len() == 1 && remarks[0].contains("clock"), "{remarks:?}");
        // No credential is asked for again and again.
        assert!(bed.dcm.renew_due().await.unwrap().next.is_some());
        assert!(bed.dcm.waiting_orders(None, 10).await.unwrap().is_empty());
        let before = bed.kubeconfig().await;
        bed.dcm.resync(&bed.id).await.unwrap();
        bed.carry_out().await;
        assert_eq!(bed.kubeconfig().await, before);
        bed.terminate().await;
    }
    let Some(bed) = applied("a_clock_that_is_wrong", "right", "certificate", 0).await else { return };
    assert_eq!(bed.remarks().await, Vec::<String>::new());
    bed.terminate().await;
}
