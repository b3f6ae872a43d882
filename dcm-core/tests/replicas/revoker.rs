//! A main server of the simulation: it cuts users off beside the orders that others give. It may be paused and killed like a worker, and is as
//! slow to reach clusters.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use dcm_core::{model::Uid, service::Dcm};
use dcm_test_utils::clusters::FakeClusters;
use fastrand::Rng;

use crate::{
    simulation::{CLUSTERS, cloud},
    world::{LEASE, Time},
};

pub(crate) struct Revoker {
    pub(crate) dcm: Dcm,
    pub(crate) time: Arc<Time>,
    pub(crate) clusters: Arc<FakeClusters>,
    pub(crate) cut_off: Arc<CutOffs>,
    /// How many were said to be cut off, on each cluster.
    pub(crate) revoked: Arc<AtomicU64>,
    pub(crate) rng: Mutex<Rng>,
}

impl Revoker {
    /// A process's life, as long as it is polled.
    pub(crate) async fn live(self) {
        let longest = u64::try_from(LEASE.as_millis()).unwrap() / 2;
        loop {
            let (pause, id) = {
                let mut rng = self.rng.lock().unwrap();
                (rng.u64(..longest), cloud(rng.u8(1..=2)))
            };
            self.time.until(self.time.now() + pause).await;
            let Some(_at_work) = self.cut_off.begin() else { return std::future::pending().await };
            let before: Vec<_> = CLUSTERS.iter().flat_map(|cluster| bound(&self.clusters, cluster)).collect();
            let Ok(view) = self.dcm.logical_cloud(&id).await else { continue };
            if before.iter().all(|(cloud, _)| *cloud != view.cloud.uid) {
                continue;
            }
            // Many are refused, as the lifecycle has it, or lose too many races.
            let Ok(revocation) = self.dcm.revoke_user(&id).await else { continue };
            for (cluster, cut) in &revocation.clusters {
                let theirs = before.iter().filter(|(cloud, _)| cut.is_ok() && *cloud == revocation.cloud.uid);
                for (cloud, name) in theirs {
                    let is_new = self.cut_off.add(cluster.as_str(), cloud, name);
                    self.revoked.fetch_add(u64::from(is_new), Ordering::SeqCst);
                }
                self.cut_off.judge(cluster.as_str(), bound(&self.clusters, cluster.as_str()));
            }
        }
    }
}

/// Who is said to be cut off: on which cluster, of which logical cloud, by which name.
#[derive(Debug, Default)]
pub(crate) struct CutOffs {
    done: Mutex<BTreeSet<(String, Uid, String)>>,
    at_work: AtomicU64,
    over: AtomicBool,
}

/// A user is being cut off.
pub(crate) struct CuttingOff<'a>(&'a CutOffs);

impl Drop for CuttingOff<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

impl CutOffs {
    /// Begins one; `None` where none is to begin any more.
    pub(crate) fn begin(&self) -> Option<CuttingOff<'_>> {
        if self.over.load(Ordering::SeqCst) {
            return None;
        }
        self.at_work.fetch_add(1, Ordering::SeqCst);
        Some(CuttingOff(self))
    }

    /// None is to begin any more; answers whether none is at work.
    pub(crate) fn are_over(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        self.at_work.load(Ordering::SeqCst) == 0
    }

    /// Whether nobody has said so before.
    fn add(&self, cluster: &str, cloud: &Uid, name: &str) -> bool {
        self.done.lock().unwrap().insert((cluster.to_owned(), cloud.clone(), name.to_owned()))
    }

    /// Nobody who is said to be cut off may have a binding.
    pub(crate) fn judge(&self, cluster: &str, bound: Vec<(Uid, String)>) {
        let all = self.done.lock().unwrap();
        for (cloud, name) in bound {
            let who = (cluster.to_owned(), cloud, name);
            assert!(!all.contains(&who), "{who:?} was said to be cut off, and has access");
        }
    }
}

/// Whom the bindings on a cluster name, and of which logical cloud they are.
pub(crate) fn bound(clusters: &FakeClusters, cluster: &str) -> Vec<(Uid, String)> {
    clusters.with(&format!("default/{cluster}"), |cluster| {
        let bindings = cluster.objects.iter().filter(|(id, _)| id.kind == "RoleBinding");
        bindings
            .map(|(_, (cloud, _, binding))| {
                (cloud.clone(), binding["subjects"][0]["name"].as_str().unwrap().to_owned())
            })
            .collect()
    })
}
