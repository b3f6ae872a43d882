//! Reviews: questions about rights and identity, answered and never stored.

use serde_json::{Value, json};

use crate::auth::rbac::{self, Attributes};
use crate::auth::{self, User};
use crate::clock;
use crate::json;
use crate::kinds::Review;
use crate::shared::Shared;
use crate::state::State;
use crate::status::{Cause, Refusal};

/// Answers a review.
pub(crate) fn answer(shared: &Shared, review: &Review, user: &User, mut body: Value) -> Result<Value, Refusal> {
    let kind = json::text(&body, &["kind"]);
    if !kind.is_empty() && kind != review.kind {
        return Err(Refusal::bad_request(format!("{kind} cannot be handled as a {}", review.kind)));
    }
    if review.kind.ends_with("AccessReview") {
        check_access(&body)?;
    }
    let status = match review.kind {
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => token(shared, json::text(&body, &["spec", "token"])),
        "SelfSubjectRulesReview" => {
            let namespace = json::text(&body, &["spec", "namespace"]).to_owned();
            if namespace.is_empty() {
                return Err(Refusal::bad_request("no namespace on request"));
            }
            shared.read(|state| rules(state, user, &namespace))
        }
        "SelfSubjectAccessReview" => shared.read(|state| access(state, user, &body)),
        _ => {
            let groups = json::texts(&body, &["spec", "groups"]);
            let name = json::text(&body, &["spec", "user"]);
            let subject = User { name: name.to_owned(), uid: String::new(), groups };
            shared.read(|state| access(state, &subject, &body))
        }
    };
    json::set(&mut body, &["apiVersion"], review.api_version);
    json::set(&mut body, &["kind"], review.kind);
    json::set(&mut body, &["metadata", "creationTimestamp"], clock::stamp());
    json::set(&mut body, &["status"], status);
    Ok(body)
}

fn check_access(body: &Value) -> Result<(), Refusal> {
    let given = |key| json::at(body, &["spec", key]).is_some_and(Value::is_object);
    if given("resourceAttributes") != given("nonResourceAttributes") {
        return Ok(());
    }
    let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    let cause = Cause::invalid("spec.resourceAttributes", &Value::Null, why);
    Err(Refusal::invalid_as("authorization.k8s.io", "", "", &[cause]))
}

fn access(state: &State, user: &User, body: &Value) -> Value {
    let asked =
        if let Some(wanted) = json::at(body, &["spec", "resourceAttributes"]).filter(|wanted| wanted.is_object()) {
            let text = |key| json::text(wanted, &[key]).to_owned();
            Attributes {
                verb: text("verb"),
                group: text("group"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
                path: None,
            }
        } else {
            Attributes {
                verb: json::text(body, &["spec", "nonResourceAttributes", "verb"]).to_owned(),
                path: Some(json::text(body, &["spec", "nonResourceAttributes", "path"]).to_owned()),
                ..Attributes::default()
            }
        };
    if rbac::allowed(state, user, &asked) {
        json!({"allowed": true, "reason": "RBAC: allowed by a binding"})
    } else {
        json!({"allowed": false})
    }
}

fn rules(state: &State, user: &User, namespace: &str) -> Value {
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    if user.is_master() {
        resources.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        paths.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    } else {
        for rule in rbac::rules(state, user, namespace) {
            match rule.0.get("nonResourceURLs") {
                Some(_) => paths.push(rule.0.clone()),
                None => resources.push(rule.0.clone()),
            }
        }
    }
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}

fn token(shared: &Shared, token: &str) -> Value {
    let user = shared.token_user(token).or_else(|| shared.read(|state| auth::account_of(state, token)));
    match user {
        Some(user) => json!({"authenticated": true, "user": user.info()}),
        None => json!({"authenticated": false, "error": "invalid bearer token"}),
    }
}
