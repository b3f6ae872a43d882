//! Single requests to one API server.

use std::{sync::Arc, time::Duration};

use ::kube::{Client, client::Body};
use dcm_core::{
    secret::Secret,
    sync::{Failure, ObjectId, Reason},
};
use http::{
    Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use super::{
    failure::{CallError, Refusal, nonsense},
    object, transport,
};

/// The longest answer that is read: a page of 500 objects fits many times over.
const LONGEST_ANSWER: usize = 32 << 20;
const JSON: &str = "application/json";

/// One API server, as one credential reaches it.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    /// Host and port, for people.
    place: Arc<str>,
    secrets: Arc<[Secret]>,
    timeout: Duration,
}

/// Which object exactly is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: String,
    pub(super) resource_version: Option<String>,
}

impl Api {
    pub(super) fn new(client: Client, url: &Uri, secrets: Vec<Secret>, timeout: Duration) -> Self {
        let host = url.host().unwrap_or_default();
        let place = match url.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Self { client, place: place.into(), secrets: secrets.into(), timeout }
    }

    /// Reads what is at a path; `None` where nothing is.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>, CallError> {
        match self.call(Method::GET, path, JSON, None).await {
            Ok(value) => Ok(Some(value)),
            Err(CallError::Refused(refusal)) if refusal.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object; `None` where it is not there.
    pub(super) async fn read(&self, id: &ObjectId) -> Result<Option<Value>, CallError> {
        let found = self.get(&object::path(id)).await?;
        found.map(|value| checked(id, value)).transpose()
    }

    /// Makes an object, as it is given.
    pub(super) async fn create(&self, id: &ObjectId, manifest: &Value) -> Result<Value, CallError> {
        let path = object::collection(id);
        let made = self.call(Method::POST, &path, JSON, Some(manifest)).await?;
        checked(id, made)
    }

    /// Brings the object that `version` means to its manifest, by server-side apply.
    pub(super) async fn apply(
        &self,
        id: &ObjectId,
        manifest: &Value,
        version: &Version,
        manager: &str,
    ) -> Result<Value, CallError> {
        let mut manifest = manifest.clone();
        manifest["metadata"]["uid"] = version.uid.as_str().into();
        if let Some(resource_version) = &version.resource_version {
            manifest["metadata"]["resourceVersion"] = resource_version.as_str().into();
        }
        let path = format!("{}?fieldManager={}&force=true", object::path(id), object::encoded(manager));
        let content = "application/apply-patch+yaml"; // JSON is YAML.
        let now = self.call(Method::PATCH, &path, content, Some(&manifest)).await?;
        checked(id, now)
    }

    /// Changes single fields of the object that `version` means.
    pub(super) async fn merge(
        &self,
        id: &ObjectId,
        patch: &Value,
        version: &Version,
        manager: &str,
    ) -> Result<Value, CallError> {
        let mut patch = patch.clone();
        patch["metadata"]["uid"] = version.uid.as_str().into();
        if let Some(resource_version) = &version.resource_version {
            patch["metadata"]["resourceVersion"] = resource_version.as_str().into();
        }
        let path = format!("{}?fieldManager={}", object::path(id), object::encoded(manager));
        let content = "application/merge-patch+json";
        let now = self.call(Method::PATCH, &path, content, Some(&patch)).await?;
        checked(id, now)
    }

    /// Deletes the object with this uid and no other. `Ok(Some(…))` is what still holds it.
    pub(super) async fn delete(&self, id: &ObjectId, uid: &str) -> Result<Option<Value>, CallError> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": { "uid": uid }, "propagationPolicy": "Background",
        });
        let path = object::path(id);
        match self.call(Method::DELETE, &path, JSON, Some(&options)).await {
            Ok(answer) if answer["kind"] == "Status" => Ok(None),
            Ok(answer) if is_held(&answer) => Ok(Some(answer)),
            Ok(_) => Ok(None),
            Err(CallError::Refused(refusal)) if refusal.is_absence() => Ok(None),
            // Another one may have its name, but a webhook's or the storage's refusal looks the same.
            Err(CallError::Refused(refusal)) if refusal.code == 409 => match self.read(id).await? {
                Some(live) if object::uid(&live) == uid => Err(CallError::Refused(refusal)),
                _ => Ok(None),
            },
            Err(error) => Err(error),
        }
    }

    /// One request with one answer, within the bound.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Value, CallError> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, content)
            .body(Body::from(body))
            .map_err(|_| CallError::Failed(nonsense("a name in it cannot be asked for")))?;
        let (code, retry_after, bytes) = tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| CallError::Failed(self.too_slow()))?
            .map_err(CallError::Failed)?;
        if (200..300).contains(&code) {
            return serde_json::from_slice(&bytes)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| CallError::Failed(nonsense("it is not a JSON object")));
        }
        let status = serde_json::from_str(&self.scrub(&bytes)).unwrap_or_default();
        Err(CallError::Refused(Box::new(refusal(code, status, retry_after))))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<(u16, Option<u64>, Vec<u8>), Failure> {
        let answer = self.client.send(request).await.map_err(|error| transport::failure(&error, &self.place))?;
        let code = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok());
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
            .collect()
            .await
            .map_err(|_| nonsense("it breaks off, or is too long"))?;
        Ok((code, retry_after, body.to_bytes().to_vec()))
    }

    fn too_slow(&self) -> Failure {
        let detail = format!("the API server at {} did not answer within {} s", self.place, self.timeout.as_secs_f32());
        Failure::new(Reason::Timeout, detail)
    }

    /// An answer without what we sent as our credential.
    fn scrub(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for secret in self.secrets.iter().filter_map(Secret::expose_str) {
            text = text.replace(secret, "(secret)");
        }
        text
    }
}

fn refusal(code: u16, status: Value, retry_after: Option<u64>) -> Refusal {
    let in_body = status["details"]["retryAfterSeconds"].as_u64().filter(|s| *s > 0);
    Refusal { code, retry_after: retry_after.or(in_body).map(|seconds| seconds.min(3600)), status }
}

/// An object must say that it is the one that was asked for.
fn checked(id: &ObjectId, value: Value) -> Result<Value, CallError> {
    let metadata = &value["metadata"];
    if metadata["name"] == id.name.as_str() && metadata["uid"].is_string() {
        return Ok(value);
    }
    Err(CallError::Failed(nonsense(&format!("it is not {id}"))))
}

fn is_held(object: &Value) -> bool {
    let finalizers = |at: &Value| at["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    finalizers(&object["metadata"]) || finalizers(&object["spec"])
}
