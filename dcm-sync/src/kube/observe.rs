//! What a cluster says of itself and of what is ours on it.

use std::collections::BTreeMap;

use dcm_core::sync::{Facts, Failure, ObjectId};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::Value;

use super::{
    api::Api,
    clients::Cluster,
    failure::{CallError, nonsense, shown},
    object::{self, Kind},
    session::Session,
};

/// How many objects one page of a list holds.
const PAGE: usize = 500;
/// No logical cloud has so many pages of one kind; a server that goes on and on is not listened to.
const MOST_PAGES: usize = 64;

pub(super) async fn facts(cluster: &Cluster) -> Result<Facts, Failure> {
    let api = &cluster.api;
    let namespace = object::namespace_id("kube-system");
    let system = api.read(&namespace).await?;
    let system = system.ok_or_else(|| nonsense("there is no namespace kube-system"))?;
    let (version, clock) = api.dated(Method::GET, "/version", "application/json", None).await?;
    let version = version["gitVersion"].as_str();
    let version = version.ok_or_else(|| nonsense("it names no version"))?;
    Ok(Facts {
        identity: object::uid(&system).to_owned(),
        version: shown(version),
        endpoint: (*cluster.endpoint).clone(),
        clock,
    })
}

/// The objects in the cloud's own namespace that carry our marks, whatever the inventory says.
pub(super) async fn own_objects(session: &Session<'_>) -> Result<BTreeMap<ObjectId, Value>, CallError> {
    let Some(own) = session.own else {
        return Ok(BTreeMap::new());
    };
    let selector = object::selector(session.owner);
    let lists = session.kinds().map(|kind| list(session.api, kind, own, &selector));
    let all = try_join_all(lists).await?;
    let marked = all.into_iter().flatten().filter(|(_, object)| object::is_marked(object, session.owner));
    Ok(marked.collect())
}

/// All objects of a kind in a namespace that a selector selects.
pub(super) async fn list(
    api: &Api,
    kind: Kind,
    namespace: &str,
    selector: &str,
) -> Result<Vec<(ObjectId, Value)>, CallError> {
    match pages(api, kind, namespace, &format!("&labelSelector={selector}"), MOST_PAGES).await? {
        (objects, false) => Ok(objects),
        (_, true) => Err(CallError::Failed(nonsense("its list does not end"))),
    }
}

/// The objects of a kind in a namespace, up to a number of pages, and whether there are more.
pub(super) async fn pages(
    api: &Api,
    (api_version, kind): Kind,
    namespace: &str,
    query: &str,
    most: usize,
) -> Result<(Vec<(ObjectId, Value)>, bool), CallError> {
    let path = object::collection_of(api_version, kind, Some(namespace));
    let mut objects = Vec::new();
    let mut next = String::new();
    for _ in 0..most {
        let from = match next.as_str() {
            "" => String::new(),
            token => format!("&continue={}", object::encoded(token)),
        };
        let page = format!("{path}?limit={PAGE}{query}{from}");
        let mut page = api.call(Method::GET, &page, "application/json", None).await?;
        next = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        let Value::Array(items) = page["items"].take() else {
            return Err(CallError::Failed(nonsense("it is not a list")));
        };
        for item in items {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let id = ObjectId {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: Some(namespace.to_owned()),
                name: name.to_owned(),
            };
            if name.is_empty() || object::uid(&item).is_empty() {
                return Err(CallError::Failed(nonsense("it lists objects without name or uid")));
            }
            objects.push((id, item));
        }
        if next.is_empty() {
            return Ok((objects, false));
        }
    }
    Ok((objects, true))
}
