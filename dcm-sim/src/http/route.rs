//! Paths: which of them are about resources, and about which.

use http::Method;
use percent_encoding::percent_decode_str;

use super::query::Query;
use crate::auth::rbac::Attributes;

/// What a path is about.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// No resource: discovery, health, version.
    Path(String),
    Resource(Resource),
}

/// The parts of a resource's path.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

impl Target {
    pub(super) fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Self::Path(path.to_owned()),
        };
        let (namespace, plural, rest) = match rest {
            // A namespace's own parts, which are no kinds of things inside it.
            ["namespaces", name, "status" | "finalize"] => (*name, "namespaces", &rest[1..]),
            ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
            // To RBAC, a namespace is inside itself.
            ["namespaces", name] => (*name, "namespaces", &rest[1..]),
            [plural, rest @ ..] => ("", *plural, rest),
            [] => return Self::Path(path.to_owned()),
        };
        let at = |i: usize| rest.get(i).copied().unwrap_or_default();
        Self::Resource(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: at(0).to_owned(),
            subresource: rest.get(1..).unwrap_or_default().join("/"),
        })
    }

    /// What has to be allowed for a request.
    pub(super) fn attributes(&self, method: &Method, query: &Query) -> Attributes {
        let resource = match self {
            Self::Resource(resource) => resource,
            Self::Path(path) => {
                return Attributes {
                    verb: method.as_str().to_ascii_lowercase(),
                    path: Some(path.clone()),
                    ..Attributes::default()
                };
            }
        };
        let one = !resource.name.is_empty();
        let verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            _ if one => "get",
            _ if query.flag("watch") => "watch",
            _ => "list",
        };
        Attributes {
            verb: verb.to_owned(),
            group: resource.group.clone(),
            resource: resource.plural.clone(),
            subresource: resource.subresource.clone(),
            namespace: resource.namespace.clone(),
            name: match verb {
                "list" | "watch" => selected_name(query),
                _ => resource.name.clone(),
            },
            path: None,
        }
    }
}

/// A list of one name is allowed to who may list that name.
fn selected_name(query: &Query) -> String {
    query
        .get("fieldSelector")
        .and_then(|fields| fields.strip_prefix("metadata.name="))
        .filter(|name| !name.contains(','))
        .unwrap_or_default()
        .trim_start_matches('=')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> [String; 6] {
        match Target::parse(path) {
            Target::Resource(it) => [it.group, it.version, it.plural, it.namespace, it.name, it.subresource],
            Target::Path(path) => [path, String::new(), String::new(), String::new(), String::new(), String::new()],
        }
    }

    #[test]
    fn paths_are_taken_apart() {
        for (path, expected) in [
            ("/api/v1/namespaces", ["", "v1", "namespaces", "", "", ""]),
            ("/api/v1/namespaces/a", ["", "v1", "namespaces", "a", "a", ""]),
            ("/api/v1/namespaces/a/finalize", ["", "v1", "namespaces", "a", "a", "finalize"]),
            ("/api/v1/namespaces/a/pods", ["", "v1", "pods", "a", "", ""]),
            ("/api/v1/namespaces/a/pods/p/log", ["", "v1", "pods", "a", "p", "log"]),
            ("/apis/g.io/v1/things/x%3Ay", ["g.io", "v1", "things", "", "x:y", ""]),
            ("/apis/g.io/v1", ["/apis/g.io/v1", "", "", "", "", ""]),
        ] {
            assert_eq!(parts(path), expected, "{path}");
        }
    }

    #[test]
    fn verbs_follow_method_and_path() {
        let verb = |method, path, query| {
            let attributes = Target::parse(path).attributes(&method, &Query::parse(query));
            attributes.verb
        };
        assert_eq!(verb(Method::GET, "/api/v1/pods", ""), "list");
        assert_eq!(verb(Method::GET, "/api/v1/pods", "watch=1"), "watch");
        assert_eq!(verb(Method::GET, "/api/v1/namespaces/a", ""), "get");
        assert_eq!(verb(Method::DELETE, "/api/v1/namespaces/a/pods", ""), "deletecollection");
        assert_eq!(verb(Method::GET, "/healthz", ""), "get");
    }
}
