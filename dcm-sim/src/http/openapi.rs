//! The least of OpenAPI that lets kubectl create and apply: no schemas, but the word that the server validates fields.

use http::Response;
use serde_json::{Map, Value, json};

use super::answer::{self, Body};
use super::discovery::MINOR;
use crate::kinds::{Kind, KindId};

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Version 2: a document without definitions. In protobuf, that is no bytes at all.
pub(super) fn v2(accept: &str) -> Response<Body> {
    if accept.contains("proto") {
        return answer::bytes(200, V2_PROTOBUF, "");
    }
    let document = json!({"swagger": "2.0", "info": info(), "paths": {}, "definitions": {}});
    answer::object(200, &document)
}

/// Version 3: which documents there are.
pub(super) fn v3_index(versions: &[&str]) -> Value {
    let paths: Map<String, Value> = versions
        .iter()
        .map(|version| {
            let path = root(version);
            let url = format!("/openapi/v3/{path}?hash={MINOR}");
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// Version 3 of one group: for each kind, which parameters a patch takes. kubectl reads from it that it need not
/// validate by itself.
pub(super) fn v3(istio: bool, api_version: &str) -> Value {
    let paths: Map<String, Value> = KindId::all(istio)
        .filter(|kind| kind.api_version == api_version)
        .map(|kind| (path(&kind), operations(&kind)))
        .collect();
    json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": {}}})
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": format!("v1.{MINOR}.0")})
}

fn root(api_version: &str) -> String {
    match api_version {
        "v1" => "api/v1".to_owned(),
        group => format!("apis/{group}"),
    }
}

fn path(kind: &Kind) -> String {
    let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("/{}{scope}/{}/{{name}}", root(kind.api_version), kind.plural)
}

fn operations(kind: &Kind) -> Value {
    let parameter = |name: &str, of: &str| json!({"name": name, "in": "query", "schema": {"type": of}});
    json!({
        "patch": {
            "parameters": [
                parameter("dryRun", "string"),
                parameter("fieldManager", "string"),
                parameter("fieldValidation", "string"),
                parameter("force", "boolean"),
            ],
            "responses": {},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {
                "group": kind.group(),
                "version": kind.version(),
                "kind": kind.kind,
            },
        },
    })
}
