//! The role of DCM.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use dcm_core::{lifecycle::Event, model::ClusterInput};
use dcm_server::{Config, Running, config::LogFormat, telemetry};
use dcm_test_utils::builders::{
    cloud_id, cloud_input, metadata, permission_input, provider, quota_input, reference_input,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::part::{Part, Role, number};

/// How many records are made side by side.
const SIDE_BY_SIDE: usize = 32;

/// A server, filled and made to work as told.
pub(crate) struct Server {
    running: Running,
    /// Where a store lies that is on disk.
    _folder: TempDir,
}

impl Server {
    /// A server in a process of its own.
    pub(crate) fn part(store: &str) -> Result<Part> {
        Part::start(&["play-server", store])
    }

    pub(crate) async fn start(store: &str) -> Result<Self> {
        telemetry::init("off", LogFormat::Text)?;
        dcm_server::install_crypto_provider();
        let folder = tempfile::tempdir()?;
        let store = match store {
            "sled:" => format!("sled:{}", folder.path().join("data").display()),
            other => other.to_owned(),
        };
        let options = [
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--resync-period",
            "0s",
            "--allow-kubeconfig-plain-http",
            "--store",
            &store,
        ];
        let running = dcm_server::start(Config::from_options(options)?).await?;
        Ok(Self { running, _folder: folder })
    }

    /// Registers clusters, named by their numbers.
    async fn register(&self, kubeconfigs: &[Value]) -> Result<Value> {
        let register = |(number, kubeconfig): (usize, Value)| async move {
            let input = ClusterInput {
                metadata: metadata(&format!("c{number}")),
                kubeconfig: Some(kubeconfig),
                ..ClusterInput::default()
            };
            self.running.dcm().create_cluster(&provider("default"), input.into()).await.map(drop)
        };
        let all: Vec<_> = kubeconfigs.iter().cloned().enumerate().map(register).collect();
        stream::iter(all).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        Ok(Value::Null)
    }

    /// Creates a logical cloud on a range of the clusters: a user with two permissions, and a quota.
    async fn create(&self, name: &str, from: usize, to: usize) -> Result<Value> {
        let (dcm, id) = (self.running.dcm(), &cloud_id(name));
        let mut input = cloud_input(name, &format!("ns-{name}"));
        if let Some(user) = &mut input.user {
            user.permissions.push(permission_input("permission-2", "secrets"));
        }
        dcm.create_logical_cloud(&id.project, input.into()).await?;
        dcm.create_quota(id, quota_input("quota-1", "10").into()).await?;
        let refer = |number: usize| async move {
            dcm.create_reference(id, reference_input(&format!("c{number}")).into()).await.map(drop)
        };
        let all: Vec<_> = (from..to).map(refer).collect();
        stream::iter(all).buffer_unordered(SIDE_BY_SIDE).try_collect::<()>().await?;
        Ok(Value::Null)
    }

    /// Waits until all of many logical clouds have reached one cluster.
    async fn wait(&self, clouds: usize, reference: &str) -> Result<Value> {
        let watch = Watch::start();
        for number in 0..clouds {
            loop {
                let status = self.running.dcm().status(&cloud_id(&format!("lc-{number}a"))).await?;
                let found = status.clusters.iter().find(|(name, _)| name.as_str() == reference);
                if found.is_some_and(|(_, status)| status.as_ref().is_some_and(|status| status.reached)) {
                    break;
                }
                if watch.began.elapsed() > Duration::from_secs(120) {
                    bail!("not served in time: {:?}", found);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        watch.stop(Duration::ZERO)
    }

    /// Applies a logical cloud and waits until its order is carried out, or, where clusters are dead, until
    /// so many are reached.
    async fn apply(&self, name: &str, living: usize) -> Result<Value> {
        let (dcm, id) = (self.running.dcm(), &cloud_id(name));
        let watch = Watch::start();
        dcm.apply(id, Event::Apply, false).await?;
        let accepted = watch.began.elapsed();
        loop {
            if watch.began.elapsed() > Duration::from_secs(120) {
                let status = dcm.status(id).await?;
                let failed = status.clusters.iter().find_map(|(_, status)| status.as_ref()?.failure.as_ref());
                bail!("not applied in time: {failed:?}");
            }
            if living == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if dcm.waiting_orders(None, 1).await?.is_empty() {
                    break;
                }
            } else {
                // Dearer, so it is done less often, whether clusters are dead or not.
                tokio::time::sleep(Duration::from_millis(2 + living as u64 / 32)).await;
                let clusters = dcm.status(id).await?.clusters;
                if clusters.iter().filter(|(_, status)| status.as_ref().is_some_and(|s| s.reached)).count() >= living {
                    break;
                }
            }
        }
        watch.stop(accepted)
    }
}

impl Role for Server {
    async fn answer(&mut self, question: &Value) -> Result<Value> {
        let name = question["name"].as_str().unwrap_or("lc-1");
        match question["do"].as_str() {
            Some("address") => Ok(json!({ "url": format!("http://{}", self.running.http_addr()) })),
            Some("register") => self.register(question["kubeconfigs"].as_array().context("no kubeconfigs")?).await,
            Some("create") => self.create(name, number(question, "from"), number(question, "to")).await,
            Some("order") => {
                self.running.dcm().apply(&cloud_id(name), Event::Apply, false).await?;
                Ok(Value::Null)
            }
            Some("await") => {
                self.wait(number(question, "clouds"), question["reference"].as_str().unwrap_or_default()).await
            }
            Some("apply") => self.apply(name, number(question, "living")).await,
            other => bail!("the server can't {other:?}"),
        }
    }
}

/// Takes the time and the memory of what happens meanwhile.
pub(crate) struct Watch {
    began: Instant,
    resident: u64,
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (most, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (seen, until) = (Arc::clone(&most), Arc::clone(&over));
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                seen.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { began: Instant::now(), resident: resident(), most, over }
    }

    pub(crate) fn stop(self, accepted: Duration) -> Result<Value> {
        let took = self.began.elapsed();
        self.over.store(true, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed).max(resident());
        Ok(json!({
            "micros": u64::try_from(took.as_micros())?,
            "accepted": u64::try_from(accepted.as_micros())?,
            "grown": most.saturating_sub(self.resident),
        }))
    }
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()));
    pages.unwrap_or(0) * 4
}
