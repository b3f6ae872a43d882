//! Asks clusters what a client waits for through a synchronizer: this process has no way to them.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_core::{
    error::Error,
    gateway::{self, ClusterGateway, CutOffs, Probe},
    name::{ClusterName, ProviderName},
    service::{CloudId, Preview, Selection},
    sync::{Comparison, Failure},
};
use dcm_sync::grpc::GrpcClusterGateway;

use super::{Link, link::NoWay};
use crate::{deadline, telemetry::chain};

/// What is to be done where nobody said where a synchronizer is.
pub(super) const FIX: &str = "give --synchronizer its address, or register it as the controller rsync";

/// How much of the time that a client waits yet is given to the synchronizer: in the rest he is told what came of it.
const SHARE: f64 = 0.9;

/// The clusters, behind a synchronizer in another process.
#[derive(Clone, Debug)]
pub(crate) struct SynchronizerGateway {
    link: Arc<Link>,
    /// How many bytes an answer may have.
    largest_answer: usize,
}

impl SynchronizerGateway {
    pub(crate) const fn new(link: Arc<Link>, largest_answer: usize) -> Self {
        Self { link, largest_answer }
    }

    /// The synchronizer as it is to be had for the request that is being served.
    async fn there(&self) -> Result<GrpcClusterGateway, Error> {
        let channel = self.link.channel().await.map_err(no_way)?;
        let there = GrpcClusterGateway::new(channel).largest_answer(self.largest_answer);
        Ok(there.within(deadline::left().map_or(GrpcClusterGateway::WITHIN, |left| left.mul_f64(SHARE))))
    }
}

/// Whoever asked is told what it means to him, and this log why: not every caller keeps the cause.
fn log(error: &Error) {
    if let Error::Gateway(error) = error {
        tracing::warn!(error = %chain(error), "a synchronizer could not be asked for what a client waits for");
    }
}

fn no_way(no_way: NoWay) -> Error {
    match no_way {
        NoWay::Unknown => gateway::Error::Unknown { fix: FIX.to_owned() }.into(),
        NoWay::Unread(error) => error,
        NoWay::Blocked(reason) => {
            gateway::Error::Unavailable { retry_after: gateway::Error::RETRY_AFTER, source: reason.into() }.into()
        }
    }
}

#[async_trait]
impl ClusterGateway for SynchronizerGateway {
    async fn probe_cluster(
        &self,
        provider: &ProviderName,
        cluster: &ClusterName,
    ) -> Result<Result<Probe, Failure>, Error> {
        let asked = async { self.there().await?.probe_cluster(provider, cluster).await };
        asked.await.inspect_err(log)
    }

    async fn diff(&self, id: &CloudId, which: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        let asked = async { self.there().await?.diff(id, which).await };
        asked.await.inspect_err(log)
    }

    async fn cut_off_user(&self, id: &CloudId, generation: u64) -> Result<CutOffs, Error> {
        let asked = async { self.there().await?.cut_off_user(id, generation).await };
        asked.await.inspect_err(log)
    }
}
