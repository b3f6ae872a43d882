//! One request, from its head to its answer: faults, authentication, routing, authorization, and the verb itself.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::api::{self, Call};
use crate::auth::rbac::{self, Attributes};
use crate::auth::{self, User};
use crate::faults::Effect;
use crate::json;
use crate::kinds::{KindId, NAMESPACES, Review, SIGNINGREQUESTS};
use crate::pki::Peer;
use crate::requests::RequestRecord;
use crate::shared::Shared;
use crate::state::State;
use crate::status::Refusal;

mod answer;
mod discovery;
mod openapi;
pub(crate) mod query;
mod route;
mod view;
mod watch;

use answer::Body;
use query::Query;
use route::Target;
use view::View;

/// The largest body that is taken, as with a real server.
const BODY_LIMIT: usize = 3 << 20;

/// A request after its body was read.
struct Asked {
    method: Method,
    path: String,
    query: Query,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Answers a request, whatever happens.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    peer: Option<Arc<Peer>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let text = |name| {
        let value: Option<&http::HeaderValue> = request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut record = RequestRecord {
        method: request.method().to_string(),
        path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
        user: String::new(),
        user_agent: text(USER_AGENT),
        status: 0,
    };
    let latency = shared.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let struck = shared.faults.strike(&record.method, request.uri().path());
    let response = match struck {
        Some((Effect::Hang, _)) => {
            shared.requests.push(record);
            return std::future::pending().await;
        }
        Some((Effect::Status(code), retry_after)) => answer::refusal(&answer::fault(code, retry_after)),
        Some((Effect::CutAnswer, _)) | None => {
            match handle(&shared, peer.as_deref(), request, &mut record.user).await {
                Ok(response) => response,
                Err(refusal) => answer::refusal(&refusal),
            }
        }
    };
    record.status = response.status().as_u16();
    shared.requests.push(record);
    Ok(match struck {
        Some((Effect::CutAnswer, _)) => answer::cut(response).await,
        _ => response,
    })
}

async fn handle(
    shared: &Arc<Shared>,
    peer: Option<&Peer>,
    request: Request<Incoming>,
    who: &mut String,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let mut user = auth::authenticate(shared, peer, &parts.headers)?;
    who.clone_from(&user.name);
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let target = Target::parse(parts.uri.path());
    let attributes = target.attributes(&parts.method, &query);
    if let Some((other, needed)) = auth::impersonated(&parts.headers) {
        shared.read(|state| may_impersonate(state, &user, &needed))?;
        user = other;
    }
    shared.read(|state| authorize(state, &user, &attributes))?;
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(|_| Refusal::new(413, "RequestEntityTooLarge", "the body of the request was too large or broken"))?
        .to_bytes();
    let asked = Asked { method: parts.method, path: parts.uri.path().to_owned(), query, headers: parts.headers, body };
    match target {
        Target::Path(_) => discovery::answer(shared, &asked),
        Target::Resource(resource) => dispatch(shared, &asked, &user, &attributes, &resource),
    }
}

fn may_impersonate(state: &State, user: &User, needed: &[(&'static str, String)]) -> Result<(), Refusal> {
    for (resource, name) in needed {
        let asked = Attributes {
            verb: "impersonate".to_owned(),
            resource: (*resource).to_owned(),
            name: name.clone(),
            ..Attributes::default()
        };
        authorize(state, user, &asked)?;
    }
    Ok(())
}

fn authorize(state: &State, user: &User, asked: &Attributes) -> Result<(), Refusal> {
    if rbac::allowed(state, user, asked) {
        return Ok(());
    }
    if user.is_anonymous() {
        return Err(Refusal::unauthorized());
    }
    let why = asked.refusal(user);
    Err(match asked.path {
        Some(_) => Refusal::new(403, "Forbidden", format!("forbidden: {why}")).with_details(json!({})),
        None => Refusal::forbidden_as(&asked.group, &asked.resource, &asked.name, &why),
    })
}

fn dispatch(
    shared: &Arc<Shared>,
    asked: &Asked,
    user: &User,
    attributes: &Attributes,
    resource: &route::Resource,
) -> Result<Response<Body>, Refusal> {
    if let Some(review) = Review::find(&resource.group, &resource.version, &resource.plural) {
        if asked.method != Method::POST {
            return Err(Refusal::method_not_allowed());
        }
        let body = api::body::object(asked.header(CONTENT_TYPE), &asked.body)?;
        let answered = api::review::answer(shared, review, user, body)?;
        return Ok(answer::object(201, &answered));
    }
    let kind = KindId::find(shared.options.istio, &resource.group, &resource.version, &resource.plural)
        .ok_or_else(Refusal::no_such_path)?;
    if !resource.subresource.is_empty() && kind.subresource(&resource.subresource).is_none() {
        return Err(Refusal::no_such_path());
    }
    let call = Call {
        user,
        agent: asked.header(USER_AGENT),
        content_type: asked.header(CONTENT_TYPE),
        query: &asked.query,
        kind,
        namespace: if kind.namespaced { &resource.namespace } else { "" },
        name: &resource.name,
        subresource: &resource.subresource,
        body: &asked.body,
        dry_run: api::write_options(&attributes.verb, &asked.query, &asked.body)?,
    };
    let view = View::wanted(asked.header(http::header::ACCEPT));
    match (attributes.verb.as_str(), call.subresource) {
        ("create", "token") => {
            let longest = shared.longest_certificate();
            let token = shared.write(|state| api::token::issue(state, &call, longest))?;
            Ok(answer::object(201, &token))
        }
        (_, "log") => Err(Refusal::bad_request(format!("pod {} does not have a host assigned", call.name))),
        ("create", "") if call.name.is_empty() && (!kind.namespaced || !call.namespace.is_empty()) => {
            let created = shared.write(|state| api::create::create(state, &call))?;
            Ok(answer::object(201, &view.object(&created)))
        }
        ("get", _) => {
            let found = shared.read(|state| api::update::live(state, &call))?;
            Ok(answer::object(200, &view.object(&found)))
        }
        ("list", "") => {
            let list = shared.read(|state| api::read::list(state, &call))?;
            Ok(answer::list(&list, view))
        }
        ("watch", "") => {
            // Subscribed before the first look, so that nothing falls in between.
            let changes = shared.changes();
            let (watch, notices) = shared.read(|state| api::watch::begin(state, &call))?;
            let limit = asked.query.number("timeoutSeconds")?;
            Ok(watch::stream(shared, changes, watch, notices, view, limit))
        }
        ("update", _) if !call.name.is_empty() => {
            let updated = shared.write(|state| {
                may_decide(state, &call)?;
                api::update::replace(state, &call)
            })?;
            Ok(answer::object(200, &view.object(&updated)))
        }
        ("patch", _) if !call.name.is_empty() => {
            let (created, patched) = shared.write(|state| {
                may_decide(state, &call)?;
                api::patch::patch(state, &call, |state| authorize(state, user, &attributes.with_verb("create")))
            })?;
            Ok(answer::object(if created { 201 } else { 200 }, &view.object(&patched)))
        }
        ("delete", "") => {
            let deleted = shared.write(|state| api::delete::delete(state, &call))?;
            Ok(answer::object(200, &deleted))
        }
        // Nobody deletes all namespaces at once.
        ("deletecollection", "") if kind != NAMESPACES => {
            let list = shared.write(|state| api::delete::delete_collection(state, &call))?;
            Ok(answer::list(&list, view))
        }
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// Who decides about a signing request needs a right on its signer too.
fn may_decide(state: &State, call: &Call<'_>) -> Result<(), Refusal> {
    let verb = match call.subresource {
        "approval" => "approve",
        "status" => "sign",
        _ => return Ok(()),
    };
    if call.kind != SIGNINGREQUESTS {
        return Ok(());
    }
    let live: Arc<Value> = api::update::live(state, call)?;
    let signer = json::text(&live, &["spec", "signerName"]);
    let domain = signer.split('/').next().unwrap_or_default();
    let may = |name: String| {
        let asked = Attributes {
            verb: verb.to_owned(),
            group: "certificates.k8s.io".to_owned(),
            resource: "signers".to_owned(),
            name,
            ..Attributes::default()
        };
        rbac::allowed(state, call.user, &asked)
    };
    if may(signer.to_owned()) || may(format!("{domain}/*")) {
        return Ok(());
    }
    let why = format!("user not permitted to {verb} requests with signerName {signer:?}");
    Err(Refusal::forbidden(&call.kind, call.name, &why))
}
