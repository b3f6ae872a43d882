//! What an API server answers when it refuses: a `Status` object with a reason, a code and details.

use serde_json::{Value, json};

use crate::kinds::{self, Kind};

/// A refusal, which becomes a `Status` object with the HTTP status of its code.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
    pub(crate) retry_after: Option<u64>,
}

/// One field that is not as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    field: String,
    reason: &'static str,
    message: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, message: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueRequired", message: joined("Required value", message) }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, message: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {message}") }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: impl Into<Value>, supported: &[&str]) -> Self {
        let value = value.into();
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        Self {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {value}: supported values: {}", supported.join(", ")),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, message: &str) -> Self {
        Self { field: field.into(), reason: "FieldValueForbidden", message: joined("Forbidden", message) }
    }

    fn value(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn joined(head: &str, tail: &str) -> String {
    match tail {
        "" => head.to_owned(),
        tail => format!("{head}: {tail}"),
    }
}

fn details(kind: &Kind, name: &str) -> Value {
    described(kind.group(), kind.plural, name)
}

/// Name, group and kind, as far as there are any.
fn described(group: &str, kind: &str, name: &str) -> Value {
    let parts = [("name", name), ("group", group), ("kind", kind)];
    parts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, retry_after: None }
    }

    pub(crate) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_details(json!({}))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.qualified())).with_details(details(kind, name))
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.qualified()))
            .with_details(details(kind, name))
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::new(409, "Conflict", message).with_details(details(kind, name))
    }

    /// A precondition of a delete that does not hold; here the kind is named, not its plural.
    pub(crate) fn unmet(kind: &Kind, name: &str, why: &str) -> Self {
        let what = kinds::qualify(kind.kind, kind.group());
        let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
        Self::new(409, "Conflict", message).with_details(described(kind.group(), kind.kind, name))
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::forbidden_as(kind.group(), kind.plural, name, why)
    }

    /// The same for a resource that need not be in the table.
    pub(crate) fn forbidden_as(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let object = match name {
            "" => String::new(),
            name => format!(" {name:?}"),
        };
        let message = format!("{}{object} is forbidden: {why}", kinds::qualify(resource, group));
        Self::new(403, "Forbidden", message).with_details(described(group, resource, name))
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_as(kind.group(), kind.kind, name, causes)
    }

    /// The same for a kind that need not be in the table.
    pub(crate) fn invalid_as(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let what = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut details = described(group, kind, name);
        details["causes"] = causes.iter().map(Cause::value).collect();
        let message = format!("{} {name:?} is invalid: {what}", kinds::qualify(kind, group));
        Self::new(422, "Invalid", message).with_details(details)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn unsupported_media(content_type: &str) -> Self {
        let message = format!("the body of the request was in an unknown format - {content_type:?} is not understood");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// What a real server did not foresee: 500 without a reason.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The refusal as the `Status` object of the answer.
    pub(crate) fn body(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        if let Some(seconds) = self.retry_after {
            status["details"]["retryAfterSeconds"] = seconds.into();
        }
        status
    }
}
