//! Single requests to one API server.

use std::{sync::Arc, time::Duration};

use ::kube::{Client, client::Body};
use dcm_core::{
    secret::Secret,
    sync::{Failure, ObjectId, Reason},
};
use http::{
    HeaderName, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    failure::{CallError, Refusal, nonsense},
    object, transport,
};

/// The longest answer that is read: a page of 500 objects fits many times over.
const LONGEST_ANSWER: usize = 32 << 20;
const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml"; // JSON is YAML.
/// With it the server does all that it would do, and stores nothing.
const DRY: &str = "dryRun=All";

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

/// What became of a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is gone by this request.
    Done,
    /// It was not there any more, or another one has its name.
    Absent,
    /// It goes when these finalizers are taken off.
    Held(String),
}

/// An answer, whatever it says.
struct Answer {
    code: u16,
    retry_after: Option<u64>,
    date: Option<Timestamp>,
    bytes: Vec<u8>,
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
        let made = self.call(Method::POST, &object::collection(id), JSON, Some(manifest)).await?;
        checked(id, made)
    }

    /// What making an object would answer. Unknown fields are refused, as an apply refuses them.
    pub(super) async fn try_create(&self, id: &ObjectId, manifest: &Value) -> Result<Value, CallError> {
        let path = format!("{}?{DRY}&fieldValidation=Strict", object::collection(id));
        self.call(Method::POST, &path, JSON, Some(manifest)).await
    }

    /// Brings the object that `version` means to its manifest, by server-side apply.
    pub(super) async fn apply(
        &self,
        id: &ObjectId,
        manifest: &Value,
        version: &Version,
        manager: &str,
    ) -> Result<Value, CallError> {
        self.patch(id, APPLY, manifest, version, &by(manager)).await
    }

    /// What such an apply would make of the object.
    pub(super) async fn try_apply(
        &self,
        id: &ObjectId,
        manifest: &Value,
        version: &Version,
        manager: &str,
    ) -> Result<Value, CallError> {
        self.patch(id, APPLY, manifest, version, &format!("{DRY}&{}", by(manager))).await
    }

    /// Changes single fields of the object that `version` means.
    pub(super) async fn merge(
        &self,
        id: &ObjectId,
        patch: &Value,
        version: &Version,
        manager: &str,
    ) -> Result<Value, CallError> {
        let query = format!("fieldManager={}", object::encoded(manager));
        self.patch(id, "application/merge-patch+json", patch, version, &query).await
    }

    async fn patch(
        &self,
        id: &ObjectId,
        content: &str,
        patch: &Value,
        version: &Version,
        query: &str,
    ) -> Result<Value, CallError> {
        let mut patch = patch.clone();
        patch["metadata"]["uid"] = version.uid.as_str().into();
        if let Some(resource_version) = &version.resource_version {
            patch["metadata"]["resourceVersion"] = resource_version.as_str().into();
        }
        let path = format!("{}?{query}", object::path(id));
        let now = self.call(Method::PATCH, &path, content, Some(&patch)).await?;
        checked(id, now)
    }

    /// Deletes the object with this uid and no other.
    pub(super) async fn delete(&self, id: &ObjectId, uid: &str) -> Result<Deletion, CallError> {
        let version = Version { uid: uid.to_owned(), resource_version: None };
        let result = self.delete_version(id, &version).await;
        self.unless_another(id, uid, result).await
    }

    /// What such a delete would come to.
    pub(super) async fn try_delete(&self, id: &ObjectId, uid: &str) -> Result<Deletion, CallError> {
        let version = Version { uid: uid.to_owned(), resource_version: None };
        let result = self.send_delete(id, &version, true).await;
        self.unless_another(id, uid, result).await
    }

    /// Deletes the object that `version` means. One that changed meanwhile is a refusal with code 409.
    pub(super) async fn delete_version(&self, id: &ObjectId, version: &Version) -> Result<Deletion, CallError> {
        self.send_delete(id, version, false).await
    }

    async fn send_delete(&self, id: &ObjectId, version: &Version, dry: bool) -> Result<Deletion, CallError> {
        let mut options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": { "uid": version.uid }, "propagationPolicy": "Background",
        });
        if let Some(resource_version) = &version.resource_version {
            options["preconditions"]["resourceVersion"] = resource_version.as_str().into();
        }
        let mut path = object::path(id);
        if dry {
            // A delete with a body heeds the body and nothing of the query, which is there for people.
            options["dryRun"] = json!(["All"]);
            path = format!("{path}?{DRY}");
        }
        match self.call(Method::DELETE, &path, JSON, Some(&options)).await {
            Ok(answer) => deletion(id, &version.uid, &answer),
            Err(CallError::Refused(refusal)) if refusal.is_absence() => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }

    /// Another one may have its name, but a webhook's or the storage's refusal looks the same.
    async fn unless_another(
        &self,
        id: &ObjectId,
        uid: &str,
        result: Result<Deletion, CallError>,
    ) -> Result<Deletion, CallError> {
        match result {
            Err(CallError::Refused(refusal)) if refusal.code == 409 => match self.read(id).await? {
                Some(live) if object::uid(&live) == uid => Err(CallError::Refused(refusal)),
                _ => Ok(Deletion::Absent),
            },
            result => result,
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
        self.dated(method, path, content, body).await.map(|(value, _)| value)
    }

    /// The same, with what the server's clock said.
    pub(super) async fn dated(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Option<Timestamp>), CallError> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, content)
            .body(Body::from(body))
            .map_err(|_| CallError::Failed(nonsense("a name in it cannot be asked for")))?;
        let answer = tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| CallError::Failed(self.too_slow()))?
            .map_err(CallError::Failed)?;
        if (200..300).contains(&answer.code) {
            let value = serde_json::from_slice(&answer.bytes).ok().filter(Value::is_object);
            let value = value.ok_or_else(|| CallError::Failed(nonsense("it is not a JSON object")))?;
            return Ok((value, answer.date));
        }
        let mut status = serde_json::from_slice(&answer.bytes).unwrap_or_default();
        self.scrub(&mut status);
        Err(CallError::Refused(Box::new(refusal(answer.code, status, answer.retry_after))))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Answer, Failure> {
        let answer = self.client.send(request).await.map_err(|error| transport::failure(&error, &self.place))?;
        let (head, body) = answer.into_parts();
        let header = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok());
        let date = header(DATE).and_then(|text| httpdate::parse_http_date(text).ok());
        let date = date.and_then(|time| Timestamp::try_from(time).ok());
        let body = Limited::new(body, LONGEST_ANSWER)
            .collect()
            .await
            .map_err(|_| nonsense("it breaks off, or is too long"))?;
        Ok(Answer { code: head.status.as_u16(), retry_after, date, bytes: body.to_bytes().to_vec() })
    }

    fn too_slow(&self) -> Failure {
        let detail = format!("the API server at {} did not answer within {} s", self.place, self.timeout.as_secs_f32());
        Failure::new(Reason::Timeout, detail)
    }

    /// Takes what we sent as our credential out of all that is for people in an answer.
    fn scrub(&self, answer: &mut Value) {
        match answer {
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
                Value::String(text) if name == "message" => {
                    for secret in self.secrets.iter().filter_map(Secret::expose_str) {
                        *text = text.replace(secret, "(secret)");
                    }
                }
                value => self.scrub(value),
            }),
            _ => {}
        }
    }
}

/// The query of an apply by a manager, who takes over what others had.
fn by(manager: &str) -> String {
    format!("fieldManager={}&force=true", object::encoded(manager))
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

/// What a delete's answer says: a `Status`, or the object itself, which still may be there.
fn deletion(id: &ObjectId, uid: &str, answer: &Value) -> Result<Deletion, CallError> {
    if answer["kind"] == "Status" && answer["status"] == "Success" {
        return Ok(Deletion::Done);
    }
    if answer["metadata"]["name"] == id.name.as_str() && object::uid(answer) == uid {
        let held = object::finalizers(answer);
        return Ok(if held.is_empty() { Deletion::Done } else { Deletion::Held(held.join(", ")) });
    }
    Err(CallError::Failed(nonsense(&format!("it does not say that {id} is deleted"))))
}
