//! What DCM sends to one cluster, written down so that somebody else can send the same to others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context as _, Result};
use axum::{Router, body::Bytes, extract::State, response::IntoResponse as _};
use dcm_sim::Cluster;
use http::{Method, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request, and what has to be known before it can be sent.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Step {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
    /// What was answered.
    pub(crate) status: u16,
    /// The steps that had ended when it was sent.
    pub(crate) after: Vec<usize>,
    /// Texts in path and body that came from a step's answer, and from where in it.
    pub(crate) taken: Vec<(String, usize, String)>,
    /// The step whose answer's resource version it names.
    pub(crate) version: Option<usize>,
}

struct Exchange {
    method: Method,
    path: String,
    content_type: String,
    body: String,
    status: u16,
    answer: Value,
    began: Instant,
    ended: Instant,
}

/// Stands between DCM and a cluster, in plain HTTP.
#[derive(Clone)]
pub(crate) struct Recorder {
    client: kube::Client,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Recorder {
    /// Answers the recorder and the kubeconfig that leads to it.
    pub(crate) async fn start(cluster: &Cluster) -> Result<(Self, Value)> {
        let client = client(&cluster.admin_kubeconfig()).await?;
        let recorder = Self { client, exchanges: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(record).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let kubeconfig = json!({
            "current-context": "c", "clusters": [{ "name": "k", "cluster": { "server": server } }],
            "users": [{ "name": "u", "user": { "token": "a-token-that-nobody-checks" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        });
        Ok((recorder, kubeconfig))
    }

    /// What was recorded since the last look.
    pub(crate) fn take(&self) -> Vec<Step> {
        let mut exchanges = std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner));
        exchanges.sort_by_key(|exchange| exchange.began);
        (0..exchanges.len()).map(|at| step(&exchanges, at)).collect()
    }

    async fn forward(&self, method: Method, uri: Uri, content_type: String, body: Bytes) -> Result<(u16, Vec<u8>)> {
        let began = Instant::now();
        let path = uri.path_and_query().context("no path")?.to_string();
        let request = request(&method, &path, &content_type, body.to_vec())?;
        let (status, bytes) = send(&self.client, request).await?;
        let exchange = Exchange {
            method,
            path,
            content_type,
            body: String::from_utf8(body.to_vec())?,
            status,
            answer: serde_json::from_slice(&bytes).unwrap_or_default(),
            began,
            ended: Instant::now(),
        };
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        Ok((status, bytes))
    }
}

async fn record(
    State(recorder): State<Recorder>,
    method: Method,
    uri: Uri,
    headers: http::HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    match recorder.forward(method, uri, content_type, body).await {
        Ok((status, bytes)) => (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), bytes).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

fn step(exchanges: &[Exchange], at: usize) -> Step {
    let now = &exchanges[at];
    let after: Vec<usize> = (0..at).filter(|before| exchanges[*before].ended <= now.began).collect();
    let body: Value = serde_json::from_str(&now.body).unwrap_or_default();
    let mut taken: Vec<(String, usize, String)> = Vec::new();
    let mut version = None;
    for before in &after {
        let answer = &exchanges[*before].answer;
        let mut take = |pointer: &str| {
            if let Some(text) = answer.pointer(pointer).and_then(Value::as_str)
                && (now.path.contains(text) || now.body.contains(text))
                && taken.iter().all(|(known, ..)| known != text)
            {
                taken.push((text.to_owned(), *before, pointer.to_owned()));
            }
        };
        take("/metadata/uid");
        if exchanges[*before].body.contains("generateName") {
            take("/metadata/name");
        }
        let same =
            |pointer: &str| answer.pointer(pointer).is_some() && answer.pointer(pointer) == body.pointer(pointer);
        if same("/metadata/uid") && same("/metadata/resourceVersion") {
            version = Some(*before);
        }
    }
    Step {
        method: now.method.to_string(),
        path: now.path.clone(),
        content_type: now.content_type.clone(),
        body: now.body.clone(),
        status: now.status,
        after,
        taken,
        version,
    }
}

/// A bare client of a kubeconfig.
pub(crate) async fn client(kubeconfig: &Value) -> Result<kube::Client> {
    let kubeconfig = serde_json::from_value(kubeconfig.clone())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

pub(crate) fn request(method: &Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<http::Request<Body>> {
    let request = http::Request::builder().method(method).uri(path).header("accept", "application/json");
    Ok(request.header(CONTENT_TYPE, content_type).body(Body::from(body))?)
}

pub(crate) async fn send(client: &kube::Client, request: http::Request<Body>) -> Result<(u16, Vec<u8>)> {
    let answer = client.send(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes().to_vec()))
}
