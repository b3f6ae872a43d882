//! Certificate signing requests: what is checked when they come, and how they are signed when they are approved.

use data_encoding::BASE64;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::auth::{MASTERS, User};
use crate::clock;
use crate::json;
use crate::kinds::SIGNINGREQUESTS;
use crate::pki::{BACKDATE, Ca, Leaf, Request};
use crate::status::{Cause, Refusal};

/// The signer for clients of the API server, the only one that signs here.
pub(crate) const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const USAGES: [(&str, u8); 3] = [("client auth", 0), ("digital signature", 0x80), ("key encipherment", 0x20)];
/// Every usage that a request may name.
const KNOWN_USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// How long a certificate is valid where the request does not say it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The parts of a stored request.
pub(crate) fn request(object: &Value) -> Option<Request> {
    let pem = BASE64.decode(json::text(object, &["spec", "request"]).as_bytes()).ok()?;
    Request::read(&pem)
}

/// Notes who made a request, whatever the request itself says.
pub(crate) fn stamp_requester(object: &mut Value, user: &User) {
    json::set(object, &["spec", "username"], user.name.as_str());
    json::set(object, &["spec", "groups"], user.groups.clone());
    json::remove(object, &["spec", "extra"]);
    match user.uid.as_str() {
        "" => {
            json::remove(object, &["spec", "uid"]);
        }
        uid => json::set(object, &["spec", "uid"], uid),
    }
}

/// Nobody gets a certificate of the masters' group from the API.
pub(crate) fn refuse_masters(object: &Value) -> Result<(), Refusal> {
    let masters = || request(object).is_some_and(|request| request.organisations.iter().any(|group| group == MASTERS));
    if json::text(object, &["spec", "signerName"]) == CLIENT_SIGNER && masters() {
        let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
        return Err(Refusal::forbidden(&SIGNINGREQUESTS, json::text(object, &["metadata", "name"]), &why));
    }
    Ok(())
}

pub(super) fn check(live: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    if request(object).is_none() {
        let value = json::at(object, &["spec", "request"]).unwrap_or(&Value::Null);
        causes.push(Cause::invalid(
            "spec.request",
            value,
            "PEM block type must be CERTIFICATE REQUEST, with a good signature",
        ));
    }
    let signer = json::text(object, &["spec", "signerName"]);
    if signer.is_empty() {
        causes.push(Cause::required("spec.signerName", ""));
    } else if !signer.split_once('/').is_some_and(|(domain, path)| domain.contains('.') && !path.is_empty()) {
        causes.push(Cause::invalid("spec.signerName", &signer.into(), "a domain and a path are needed"));
    }
    if json::list(object, &["spec", "usages"]).is_empty() {
        causes.push(Cause::required("spec.usages", ""));
    }
    for (i, usage) in json::texts(object, &["spec", "usages"]).iter().enumerate() {
        if !KNOWN_USAGES.contains(&usage.as_str()) {
            causes.push(Cause::unsupported(format!("spec.usages[{i}]"), usage.as_str(), &KNOWN_USAGES));
        }
    }
    if let Some(seconds) = json::at(object, &["spec", "expirationSeconds"])
        && seconds.as_i64().is_none_or(|seconds| seconds < 600)
    {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        causes.push(Cause::invalid("spec.expirationSeconds", seconds, why));
    }
    for decision in ["Approved", "Denied", "Failed"] {
        if live.is_some_and(|live| has(live, decision)) && !has(object, decision) {
            let why = format!("updates may not remove a condition of type {decision:?}");
            causes.push(Cause::forbidden("status.conditions", &why));
        }
    }
    if has(object, "Approved") && has(object, "Denied") {
        let conditions = json::at(object, &["status", "conditions"]).unwrap_or(&Value::Null);
        causes.push(Cause::invalid("status.conditions", conditions, "Approved and Denied exclude each other"));
    }
}

/// Whether a request has a condition that is true.
pub(crate) fn has(object: &Value, condition: &str) -> bool {
    json::list(object, &["status", "conditions"])
        .iter()
        .any(|have| json::text(have, &["type"]) == condition && json::text(have, &["status"]) == "True")
}

/// Whether the cluster's signer has something to do.
pub(crate) fn waits_for_signer(object: &Value) -> bool {
    has(object, "Approved")
        && !has(object, "Failed")
        && json::text(object, &["spec", "signerName"]) == CLIENT_SIGNER
        && json::text(object, &["status", "certificate"]).is_empty()
}

/// Fills in times that an approver left out.
pub(crate) fn stamp_conditions(object: &mut Value) {
    if let Some(Value::Array(conditions)) = object.pointer_mut("/status/conditions") {
        for condition in conditions {
            json::set_default(condition, &["lastUpdateTime"], clock::stamp());
            json::set_default(condition, &["lastTransitionTime"], clock::stamp());
            json::set_default(condition, &["status"], "True");
        }
    }
}

/// Signs an approved request: its status then has a certificate, or the condition `Failed`.
pub(crate) fn sign(ca: &Ca, object: &mut Value, longest: Option<SignedDuration>) {
    match certificate(ca, object, longest) {
        Ok(pem) => json::set(object, &["status", "certificate"], BASE64.encode(pem.as_bytes())),
        Err((reason, message)) => {
            let condition = json!({
                "type": "Failed",
                "status": "True",
                "reason": reason,
                "message": message,
                "lastUpdateTime": clock::stamp(),
                "lastTransitionTime": clock::stamp(),
            });
            let conditions = json::slot(object, &["status", "conditions"]);
            match conditions {
                Value::Array(conditions) => conditions.push(condition),
                other => *other = json!([condition]),
            }
        }
    }
}

fn certificate(ca: &Ca, object: &Value, longest: Option<SignedDuration>) -> Result<String, (&'static str, String)> {
    let invalid = |message: &str| ("SignerValidationFailure", message.to_owned());
    let mut key_usage = 0;
    let usages = json::texts(object, &["spec", "usages"]);
    for usage in &usages {
        let (_, bit) = USAGES
            .iter()
            .find(|(name, _)| name == usage)
            .ok_or_else(|| invalid(&format!("usage {usage:?} is not one of a client's")))?;
        key_usage |= bit;
    }
    if !usages.iter().any(|usage| usage == "client auth") {
        return Err(invalid("usages did not include \"client auth\""));
    }
    let request = request(object).ok_or_else(|| invalid("the request can't be read"))?;
    let asked = json::at(object, &["spec", "expirationSeconds"])
        .and_then(Value::as_i64)
        .map_or(LIFETIME, SignedDuration::from_secs);
    let now = clock::now();
    let leaf = Leaf {
        subject: &request.subject,
        public_key: &request.public_key,
        alternative_names: request.alternative_names.as_deref(),
        key_usage,
        not_before: now - BACKDATE,
        not_after: now + asked.min(longest.unwrap_or(LIFETIME)),
    };
    ca.sign(&leaf).map_err(|error| ("SigningError", error.to_string()))
}
