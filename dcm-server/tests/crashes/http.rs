//! Requests of clients that tell an answer from none.

use std::time::Duration;

use dcm_test_utils::patience::until;
use reqwest::{Method, header};
use serde_json::Value;

/// How long a database may need until it serves again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A way to the server.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: String,
    /// Whether the store is a server that may be away: then 503 is no answer.
    pub(crate) remote_store: bool,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

impl Http {
    pub(crate) fn new(base: &str, remote_store: bool) -> Self {
        // A client anew for each server process, so that no connection of an earlier one is tried.
        Self { client: reqwest::Client::new(), base: base.to_owned(), remote_store }
    }

    /// Sends a request; `None` where it is not known what became of it.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Option<Answer> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let tag = response.headers().get(header::ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        let bytes = response.bytes().await.ok()?;
        if status == 503 && self.remote_store {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(status < 500, "{method} {path} is answered with {status}: {text}");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Some(Answer { status, tag, body })
    }

    /// Reads what must be answered: at once, or once the database serves again.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let within = if self.remote_store { PATIENCE } else { Duration::ZERO };
        let ask = async || self.send(Method::GET, path, None, None).await.ok_or("no answer");
        until(within, format_args!("answered: GET {path}"), ask).await
    }
}
