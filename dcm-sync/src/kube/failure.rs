//! What an API server's refusal means.

use dcm_core::sync::{Failure, ObjectId, Reason};
use serde_json::Value;

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) code: u16,
    /// The `Status` document; null where the answer had none.
    pub(super) status: Value,
    /// When to try again, in seconds.
    pub(super) retry_after: Option<u64>,
}

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum CallError {
    /// The API server said no.
    Refused(Box<Refusal>),
    /// There was no answer, or none that makes sense.
    Failed(Failure),
}

impl Refusal {
    fn message(&self) -> &str {
        self.status["message"].as_str().unwrap_or_default()
    }

    pub(super) fn is_reason(&self, reason: &str) -> bool {
        self.status["reason"] == reason
    }

    fn has_cause(&self, reason: &str) -> bool {
        let causes = self.status["details"]["causes"].as_array();
        causes.is_some_and(|causes| causes.iter().any(|cause| cause["reason"] == reason))
    }

    /// Whether the API server itself says that something is not there: whoever stands before it (a load
    /// balancer, a proxy) answers with 404 too, and means something else.
    pub(super) fn is_absence(&self) -> bool {
        self.code == 404 && self.status["kind"] == "Status" && self.is_reason("NotFound")
    }

    /// Whether the namespace that an object was to be in is not there.
    pub(super) fn lacks_namespace(&self) -> bool {
        self.is_absence() && self.status["details"]["kind"] == "namespaces"
    }

    /// Whether the namespace that an object was to be in is on its way out.
    pub(super) fn namespace_terminates(&self) -> bool {
        self.code == 403
            && (self.has_cause("NamespaceTerminating") || self.message().contains("because it is being terminated"))
    }

    /// Whether nothing was written for sure.
    pub(super) fn is_definite(&self) -> bool {
        match self.code {
            404 => self.is_absence(),
            code => code < 500 && code != 408,
        }
    }

    /// Whether a webhook says no, with whatever code it likes.
    pub(super) fn is_of_a_webhook(&self) -> bool {
        self.message().contains("admission webhook") && self.message().contains("denied the request")
    }

    /// Whether it is for the object having changed meanwhile.
    pub(super) fn is_of_a_change(&self) -> bool {
        self.code == 409 && !self.is_of_a_webhook()
    }

    /// Whether a dry run is refused and the real thing perhaps is not: some webhooks cannot do without
    /// side effects.
    pub(super) fn is_of_dry_runs(&self) -> bool {
        self.message().contains("does not support dry run")
    }

    fn meaning(&self) -> (Reason, &'static str) {
        let says = |text: &str| self.message().contains(text);
        match self.code {
            _ if self.is_of_a_webhook() => {
                (Reason::Rejected, "a webhook of the cluster refuses it; ask the cluster's operator")
            }
            _ if says("failed calling webhook") => {
                (Reason::WebhookFailed, "a webhook of the cluster does not answer; ask the cluster's operator")
            }
            401 => (
                Reason::Unauthorized,
                "the cluster does not accept DCM's credential; register the cluster with a valid kubeconfig",
            ),
            403 if self.namespace_terminates() => {
                (Reason::NamespaceTerminating, "the namespace is still terminating; it is waited for")
            }
            403 if says("attempting to grant RBAC permissions not currently held") => (
                Reason::BeyondCeiling,
                "DCM may not grant this; ask for less, or let the cluster's operator widen DCM's own role",
            ),
            403 if says("exceeded quota") => {
                (Reason::QuotaExceeded, "a quota of the cluster is exhausted; raise it or ask for less")
            }
            403 if says("status unknown for quota") => {
                (Reason::Conflict, "the cluster has not yet counted what a new quota limits; it is waited for")
            }
            403 => (Reason::Forbidden, "DCM's credential lacks a right on the cluster; give it DCM's role"),
            404 if self.lacks_namespace() => (Reason::Conflict, "the namespace went away meanwhile"),
            404 if !self.is_absence() => (
                Reason::ServerError,
                "what answers there does not do so as an API server; \
                 check the server in the cluster's kubeconfig, and what stands before it",
            ),
            408 | 504 => (Reason::Timeout, "the API server did not get ready in time"),
            409 => (Reason::Conflict, "the object changed meanwhile"),
            410 => (Reason::Conflict, "what was being read is not there any more; it is read anew"),
            429 => (Reason::RateLimited, "the API server is overloaded; it is asked again when it says"),
            500 if says("failed to create typed patch object") || says("unable to convert") => {
                (Reason::Rejected, "the API server cannot read the object")
            }
            400..=499 => (Reason::Rejected, "the API server refuses it"),
            _ => (Reason::ServerError, "the API server answers with an error; its log says more"),
        }
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let (reason, words) = refusal.meaning();
        let message = shown(refusal.message());
        let detail = match (reason, message.is_empty()) {
            (Reason::Unauthorized, _) => words.to_owned(),
            (_, true) => format!("{words} (HTTP status {})", refusal.code),
            (_, false) => format!("{words}: {message}"),
        };
        Self { reason, detail, retry_after: refusal.retry_after }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => (&*refusal).into(),
            CallError::Failed(failure) => failure,
        }
    }
}

impl CallError {
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Failed(_) => None,
        }
    }
}

/// Says which object a failure is about.
pub(super) fn about(id: &ObjectId, failure: Failure) -> Failure {
    Failure { detail: format!("{id}: {}", failure.detail), ..failure }
}

/// An answer that is not what the Kubernetes API promises.
pub(super) fn nonsense(what: &str) -> Failure {
    Failure::new(Reason::ServerError, format!("the API server's answer makes no sense: {what}"))
}

/// A text from outside as it may be shown: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 600;
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meaning(code: u16, status: Value) -> Reason {
        let refusal = Refusal { code, status, retry_after: None };
        Failure::from(&refusal).reason
    }

    fn says(code: u16, message: &str) -> Reason {
        meaning(code, json!({ "kind": "Status", "message": message }))
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let quota = r#"resourcequotas "b" is forbidden: exceeded quota: a, requested: resourcequotas=1, used: resourcequotas=1, limited: resourcequotas=1"#;
        let ceiling = r#"roles.rbac.authorization.k8s.io "r" is forbidden: user "dcm" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:"#;
        let gone = json!({ "kind": "Status", "reason": "NotFound", "details": { "kind": "namespaces", "name": "ns" } });
        let unknown =
            json!({ "kind": "Status", "reason": "NotFound", "message": "could not find the requested resource" });
        let terminating = json!({ "details": { "causes": [{ "reason": "NamespaceTerminating" }] } });
        for (reason, expected) in [
            (says(401, "Unauthorized"), Reason::Unauthorized),
            (says(403, "User \"dcm\" cannot create resource"), Reason::Forbidden),
            (says(403, quota), Reason::QuotaExceeded),
            (
                says(403, r#"roles "r" is forbidden: status unknown for quota: q, resources: count/roles"#),
                Reason::Conflict,
            ),
            (says(403, ceiling), Reason::BeyondCeiling),
            (meaning(403, terminating), Reason::NamespaceTerminating),
            (meaning(404, gone), Reason::Conflict),
            (meaning(404, unknown), Reason::Rejected),
            (says(404, "no such page"), Reason::ServerError),
            (meaning(404, json!({ "reason": "NotFound", "details": { "kind": "namespaces" } })), Reason::ServerError),
            (meaning(404, Value::Null), Reason::ServerError),
            (says(409, "the object has been modified"), Reason::Conflict),
            (says(410, "The provided continue parameter is too old"), Reason::Conflict),
            (says(422, "Invalid value"), Reason::Rejected),
            (says(429, ""), Reason::RateLimited),
            (
                says(500, "failed to create typed patch object (…): .spec.x: field not declared in schema"),
                Reason::Rejected,
            ),
            (says(500, "unable to convert …"), Reason::Rejected),
            (says(500, "etcdserver: request timed out"), Reason::ServerError),
            (says(403, r#"admission webhook "p.example" denied the request: no"#), Reason::Rejected),
            (says(500, r#"failed calling webhook "p.example": timeout"#), Reason::WebhookFailed),
            (meaning(503, Value::Null), Reason::ServerError),
            (meaning(504, Value::Null), Reason::Timeout),
            (meaning(302, Value::Null), Reason::ServerError),
        ] {
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn a_hostile_message_is_cut_and_keeps_to_one_line() {
        let refusal = Refusal {
            code: 422,
            status: json!({ "message": format!("a\n\u{1b}[31mb{}", "x".repeat(10_000)) }),
            retry_after: None,
        };
        let detail = Failure::from(&refusal).detail;
        assert!(detail.chars().count() < 800 && !detail.contains(['\n', '\u{1b}']));
    }
}
