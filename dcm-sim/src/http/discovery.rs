//! Paths that are no resources: versions, groups and kinds, health, and the least of OpenAPI.

use std::sync::Arc;

use http::header::ACCEPT;
use http::{Method, Response};
use serde_json::{Value, json};

use super::answer::{self, Body};
use super::{Asked, openapi};
use crate::kinds::{KindId, NAMESPACES, REVIEWS};
use crate::shared::Shared;
use crate::status::Refusal;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The version that a simulated cluster says it is.
pub(super) const MINOR: &str = "34";

pub(super) fn answer(shared: &Arc<Shared>, asked: &Asked) -> Result<Response<Body>, Refusal> {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return Err(Refusal::method_not_allowed());
    }
    let istio = shared.options.istio;
    let parts: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
    let value = match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => {
            return Ok(answer::bytes(200, "text/plain; charset=utf-8", "ok"));
        }
        ["version"] => version(),
        ["api"] => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let groups: Vec<Value> = groups(istio).iter().map(|group| describe(istio, group)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["apis", group] if groups(istio).contains(group) => {
            let mut described = describe(istio, group);
            described["kind"] = "APIGroup".into();
            described["apiVersion"] = "v1".into();
            described
        }
        ["api", "v1"] => resources(istio, "v1").ok_or_else(Refusal::no_such_path)?,
        ["apis", group, version] => {
            resources(istio, &format!("{group}/{version}")).ok_or_else(Refusal::no_such_path)?
        }
        ["openapi", "v2"] => return Ok(openapi::v2(asked.header(ACCEPT))),
        ["openapi", "v3"] => openapi::v3_index(&versions(istio)),
        ["openapi", "v3", "api", "v1"] => openapi::v3(istio, "v1"),
        ["openapi", "v3", "apis", group, version] => openapi::v3(istio, &format!("{group}/{version}")),
        _ => return Err(Refusal::no_such_path()),
    };
    Ok(answer::object(200, &value))
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+simulated"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "simulated/dcm",
    })
}

/// Every group and version, in the order of the tables.
pub(super) fn versions(istio: bool) -> Vec<&'static str> {
    let mut versions: Vec<&str> = Vec::new();
    let stored = KindId::all(istio).map(|kind| kind.api_version);
    for version in stored.chain(REVIEWS.iter().map(|review| review.api_version)) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}

fn groups(istio: bool) -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    for (group, _) in versions(istio).iter().filter_map(|version| version.split_once('/')) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn describe(istio: bool, group: &str) -> Value {
    let versions: Vec<Value> = versions(istio)
        .iter()
        .filter_map(|version| Some((version, version.split_once('/')?)))
        .filter(|(_, (of, _))| *of == group)
        .map(|(whole, (_, version))| json!({"groupVersion": whole, "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

fn resources(istio: bool, api_version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in KindId::all(istio).filter(|kind| kind.api_version == api_version) {
        resources.push(resource(kind));
        resources.extend(kind.subresources.iter().map(|sub| {
            let mut resource = json!({
                "name": format!("{}/{}", kind.plural, sub.name),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": sub.kind,
                "verbs": sub.verbs,
            });
            if let Some((group, version)) = sub.api_version.and_then(|whole| whole.split_once('/')) {
                resource["group"] = group.into();
                resource["version"] = version.into();
            }
            resource
        }));
    }
    for review in REVIEWS.iter().filter(|review| review.api_version == api_version) {
        resources.push(json!({
            "name": review.plural,
            "singularName": review.kind.to_lowercase(),
            "namespaced": review.namespaced,
            "kind": review.kind,
            "verbs": ["create"],
        }));
    }
    (!resources.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": api_version,
            "resources": resources,
        })
    })
}

fn resource(kind: KindId) -> Value {
    let whole = kind != NAMESPACES;
    let verbs: Vec<&str> = VERBS.into_iter().filter(|verb| whole || *verb != "deletecollection").collect();
    let mut resource = json!({
        "name": kind.plural,
        "singularName": kind.kind.to_lowercase(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs,
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = kind.short.into();
    }
    if kind.in_all {
        resource["categories"] = json!(["all"]);
    }
    resource
}
