//! The role of the yardstick: bare kube clients that send what DCM was seen to send.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::Method;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    part::{Role, number},
    recording::{Step, client, request, send},
    server::Watch,
};

/// Sends recorded requests to clusters.
pub(crate) struct Yardstick;

impl Role for Yardstick {
    async fn answer(&mut self, question: &Value) -> Result<Value> {
        let steps: Arc<Vec<Step>> = Arc::new(serde_json::from_value(question["steps"].clone())?);
        let kubeconfigs = question["kubeconfigs"].as_array().context("no kubeconfigs")?;
        let places = Arc::new(Semaphore::new(number(question, "concurrency")));
        let watch = Watch::start();
        let mut clusters = JoinSet::new();
        for kubeconfig in kubeconfigs {
            let (steps, kubeconfig) = (Arc::clone(&steps), kubeconfig.clone());
            let place = Arc::clone(&places).acquire_owned().await?;
            clusters.spawn(async move {
                let _place = place;
                replay(&steps, &kubeconfig).await
            });
        }
        while let Some(ended) = clusters.join_next().await {
            ended??;
        }
        watch.stop(std::time::Duration::ZERO)
    }
}

/// Sends all steps to one cluster, each as soon as what it was sent after has ended.
async fn replay(steps: &[Step], kubeconfig: &Value) -> Result<()> {
    let client = client(kubeconfig).await?;
    let mut answers: Vec<Option<Value>> = vec![None; steps.len()];
    let mut sent = vec![false; steps.len()];
    let mut under_way = FuturesUnordered::new();
    loop {
        for (at, step) in steps.iter().enumerate() {
            if !sent[at] && step.after.iter().all(|before| answers[*before].is_some()) {
                sent[at] = true;
                let request = fill(step, &answers)?;
                let answer = send(&client, request);
                under_way.push(async move { (at, answer.await) });
            }
        }
        let Some((at, answer)) = under_way.next().await else { return Ok(()) };
        let (status, bytes) = answer?;
        if status != steps[at].status {
            bail!("{} {}: {status} {}", steps[at].method, steps[at].path, String::from_utf8_lossy(&bytes));
        }
        answers[at] = Some(serde_json::from_slice(&bytes)?);
    }
}

/// A step's request, with what this cluster has answered in place of what the other one had.
fn fill(step: &Step, answers: &[Option<Value>]) -> Result<http::Request<kube::client::Body>> {
    let of = |before: usize, pointer: &str| {
        let answer = answers[before].as_ref().and_then(|answer| answer.pointer(pointer));
        answer.and_then(Value::as_str).with_context(|| format!("no {pointer}"))
    };
    let (mut path, mut body) = (step.path.clone(), step.body.clone());
    for (text, before, pointer) in &step.taken {
        path = path.replace(text, of(*before, pointer)?);
        body = body.replace(text, of(*before, pointer)?);
    }
    if let Some(before) = step.version {
        let mut manifest: Value = serde_json::from_str(&body)?;
        manifest["metadata"]["resourceVersion"] = json!(of(before, "/metadata/resourceVersion")?);
        body = manifest.to_string();
    }
    request(&step.method.parse::<Method>()?, &path, &step.content_type, body.into_bytes())
}
