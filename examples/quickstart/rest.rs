use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The little of a REST client that is needed.
pub(crate) struct Rest {
    base: String,
    client: reqwest::Client,
}

impl Rest {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { base: format!("http://{address}"), client: reqwest::Client::new() }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        answer("GET", path, self.client.get(format!("{}{path}", self.base)).send().await).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = if body.is_null() { request } else { request.json(body) };
        answer("POST", path, request.send().await).await
    }
}

async fn answer(method: &str, path: &str, sent: reqwest::Result<reqwest::Response>) -> Result<Value> {
    let response = sent.with_context(|| format!("{method} {path}"))?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("{method} {path}: {status}\n{text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{method} {path}: the answer is not JSON"))
}
