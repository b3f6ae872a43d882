//! What the fields of a kubeconfig hold: what a client of the cluster could not read is refused when it is uploaded, and not
//! found out when it is used.

use serde_json::Value;

use crate::fault::Faults;

/// What a field holds, where it is there.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Flag,
    Texts,
    MapOfTexts,
}

type Fields = &'static [(&'static str, Shape)];

/// Of a cluster; what is checked more closely is left out.
pub(super) const CLUSTER: Fields = &[
    ("insecure-skip-tls-verify", Shape::Flag),
    ("proxy-url", Shape::Text),
    ("tls-server-name", Shape::Text),
    ("disable-compression", Shape::Flag),
];

/// Of a user; what is checked more closely is left out.
pub(super) const USER: Fields = &[
    ("token", Shape::Text),
    ("username", Shape::Text),
    ("password", Shape::Text),
    ("as", Shape::Text),
    ("as-uid", Shape::Text),
    ("as-groups", Shape::Texts),
    ("as-user-extra", Shape::MapOfTexts),
];

/// Of a context.
pub(super) const CONTEXT: Fields = &[("cluster", Shape::Text), ("user", Shape::Text), ("namespace", Shape::Text)];

/// Checks that it is an object whose fields hold what they should. Says whether it is an object at all.
pub(super) fn check(at: &str, value: &Value, fields: Fields, faults: &mut Faults) -> bool {
    let Some(object) = value.as_object() else {
        faults.add(at, "is required: an object");
        return false;
    };
    for (field, shape) in fields {
        if let Some(value) = object.get(*field).filter(|value| !value.is_null())
            && !shape.fits(value)
        {
            faults.add(format!("{at}/{field}"), shape.rule());
        }
    }
    true
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        let is_texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        match self {
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Texts => is_texts(value),
            Self::MapOfTexts => value.as_object().is_some_and(|map| map.values().all(is_texts)),
        }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::Text => "must be a text; in YAML, what looks like a number or a boolean stands in quotes",
            Self::Flag => "must be true or false, without quotes",
            Self::Texts => "must be an array of texts",
            Self::MapOfTexts => "must be an object of arrays of texts",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(value: &Value, fields: Fields) -> Vec<String> {
        let mut faults = Faults::new();
        check("", value, fields, &mut faults);
        faults.as_slice().iter().map(|fault| fault.pointer.clone()).collect()
    }

    #[test]
    fn what_a_client_could_not_read_is_named() {
        let user = json!({
            "token": 12345, "username": true, "password": ["s3cret"], "as": {}, "as-groups": "system:masters",
            "as-user-extra": { "a": "b" }, "anything": 1,
        });
        assert_eq!(pointers(&user, USER), ["/token", "/username", "/password", "/as", "/as-groups", "/as-user-extra"]);
        let cluster = json!({ "insecure-skip-tls-verify": "false", "tls-server-name": 1, "disable-compression": null });
        assert_eq!(pointers(&cluster, CLUSTER), ["/insecure-skip-tls-verify", "/tls-server-name"]);
        for odd in [json!("token: t"), json!(["a"]), Value::Null] {
            assert_eq!(pointers(&odd, USER), [""], "{odd}");
        }
    }

    #[test]
    fn what_a_client_reads_is_taken() {
        let user = json!({ "token": "t", "as-groups": ["g"], "as-user-extra": { "a": ["b", "c"] }, "as": null });
        assert_eq!(pointers(&user, USER), [""; 0]);
        assert_eq!(pointers(&json!({}), USER), [""; 0]);
    }
}
