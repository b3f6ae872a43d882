//! The verbs of the API on stored objects. Everything here is synchronous and works on a locked state.

use serde_json::Value;

use crate::auth::User;
use crate::clock;
use crate::fields::{Operation, Writer};
use crate::http::query::Query;
use crate::json;
use crate::kinds::KindId;
use crate::status::{Cause, Refusal};

pub(crate) mod body;
pub(crate) mod create;
pub(crate) mod delete;
mod json_patch;
pub(crate) mod patch;
pub(crate) mod read;
pub(crate) mod review;
mod strategic;
pub(crate) mod token;
pub(crate) mod update;
pub(crate) mod watch;

/// A request about stored objects, taken apart.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) user: &'a User,
    pub(crate) agent: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) kind: KindId,
    /// Empty for cluster-wide kinds, and for lists over all namespaces.
    pub(crate) namespace: &'a str,
    /// Empty for collections.
    pub(crate) name: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) body: &'a [u8],
    /// Whether nothing is to be stored.
    pub(crate) dry_run: bool,
}

/// Checks what a write says of itself, and tells whether nothing is to be stored.
///
/// A delete with a body heeds the body and nothing of the query: `?dryRun=All` is for nothing then.
pub(crate) fn write_options(verb: &str, query: &Query, body: &[u8]) -> Result<bool, Refusal> {
    let kind = match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" if body.is_empty() => "DeleteOptions",
        _ => return Ok(false),
    };
    let dry_run = dry_run(kind, &query.all("dryRun").collect::<Vec<_>>())?;
    match query.get("fieldValidation") {
        None | Some("" | "Ignore" | "Strict" | "Warn") => Ok(dry_run),
        Some(_) if kind == "DeleteOptions" => Ok(dry_run),
        Some(other) => {
            let cause = Cause::unsupported("fieldValidation", other, &["", "Ignore", "Strict", "Warn"]);
            Err(Refusal::invalid_as("meta.k8s.io", kind, "", &[cause]))
        }
    }
}

/// Whether options of this kind ask for a dry run.
fn dry_run(kind: &str, values: &[&str]) -> Result<bool, Refusal> {
    if values.iter().all(|value| *value == "All") {
        return Ok(!values.is_empty());
    }
    let cause = Cause::unsupported("dryRun", values, &["All"]);
    Err(Refusal::invalid_as("meta.k8s.io", kind, "", &[cause]))
}

impl Call<'_> {
    /// Who owns what this call writes.
    pub(crate) fn writer(&self, operation: Operation) -> Writer {
        let agent = self.agent.split('/').next().unwrap_or_default();
        let name = match self.query.get("fieldManager") {
            Some(name) if !name.is_empty() => name,
            _ if agent.is_empty() => "unknown",
            _ => agent,
        };
        Writer {
            name: name.to_owned(),
            operation,
            subresource: self.subresource.to_owned(),
            api_version: self.kind.api_version.to_owned(),
            time: clock::stamp(),
        }
    }

    /// The namespace, where there is one to ask for.
    pub(crate) fn scope(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace)
    }

    /// Checks that a document is what the path says: kind, version, namespace and name.
    pub(crate) fn check_address(&self, object: &mut Value) -> Result<(), Refusal> {
        let (api_version, kind) = (json::text(object, &["apiVersion"]), json::text(object, &["kind"]));
        if !api_version.is_empty() && api_version != self.kind.api_version {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                self.kind.api_version
            )));
        }
        if !kind.is_empty() && kind != self.kind.kind {
            return Err(Refusal::bad_request(format!(
                "{kind} in version {api_version:?} cannot be handled as a {}",
                self.kind.kind
            )));
        }
        let namespace = json::text(object, &["metadata", "namespace"]);
        if !namespace.is_empty() && namespace != self.namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
        let name = json::text(object, &["metadata", "name"]);
        if !self.name.is_empty() && !name.is_empty() && name != self.name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.name
            )));
        }
        if !self.name.is_empty() {
            json::set(object, &["metadata", "name"], self.name);
        }
        if self.kind.namespaced {
            json::set(object, &["metadata", "namespace"], self.namespace);
        }
        Ok(())
    }
}
