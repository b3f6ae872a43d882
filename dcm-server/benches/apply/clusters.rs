//! The role of the clusters: simulated ones, all in one process.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use dcm_sim::{Cluster, ClusterOptions, Fault};
use serde_json::{Value, json};

use crate::part::{Role, number};

/// Simulated clusters, started, broken and asked as told.
#[derive(Default)]
pub(crate) struct Clusters(Vec<Cluster>);

impl Role for Clusters {
    async fn answer(&mut self, question: &Value) -> Result<Value> {
        match question["do"].as_str() {
            Some("start") => self.start(number(question, "count"), number(question, "latency")).await,
            Some("break connections") => {
                for cluster in &self.0 {
                    cluster.faults().set_down(true).await;
                    cluster.faults().set_down(false).await;
                    cluster.clear_requests();
                }
                Ok(Value::Null)
            }
            Some("refuse") => {
                for cluster in self.some(question) {
                    cluster.faults().set_down(true).await;
                }
                Ok(Value::Null)
            }
            Some("hang") => {
                for cluster in self.some(question) {
                    cluster.faults().add(Fault::hang());
                }
                Ok(Value::Null)
            }
            Some("serve") => {
                for cluster in self.some(question) {
                    cluster.faults().clear();
                    cluster.faults().set_down(false).await;
                }
                Ok(Value::Null)
            }
            Some("requests") => Ok(self.requests()),
            other => bail!("clusters can't {other:?}"),
        }
    }
}

impl Clusters {
    /// Puts fresh clusters in the place of those that are there.
    async fn start(&mut self, count: usize, latency: usize) -> Result<Value> {
        for cluster in self.0.drain(..) {
            cluster.shutdown().await;
        }
        for number in 0..count {
            let options = ClusterOptions::named(format!("c{number}"))
                .latency(Duration::from_millis(latency as u64))
                .signing_delay(Duration::ZERO);
            self.0.push(Cluster::start(options).await?);
        }
        Ok(json!({ "kubeconfigs": self.0.iter().map(Cluster::admin_kubeconfig).collect::<Vec<_>>() }))
    }

    /// The clusters that are meant: a range of them, or each so-manieth.
    fn some(&self, question: &Value) -> impl Iterator<Item = &Cluster> {
        let (from, to) = (number(question, "from"), question["to"].as_u64());
        let to = to.and_then(|to| usize::try_from(to).ok()).unwrap_or(self.0.len());
        self.0[from..to].iter().step_by(number(question, "every").max(1))
    }

    /// How often which method was asked for since the last look.
    fn requests(&self) -> Value {
        let mut methods: BTreeMap<String, usize> = BTreeMap::new();
        for cluster in &self.0 {
            for request in cluster.requests() {
                *methods.entry(request.method).or_default() += 1;
            }
            cluster.clear_requests();
        }
        json!(methods)
    }
}
