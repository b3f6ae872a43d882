use std::collections::BTreeMap;

use dcm_core::{
    model::{LogicalCloud, LogicalCloudInput, Metadata, User, UserInput, UserPermission},
    name::LogicalCloudName,
    service::LogicalCloudView,
};
use serde::Serialize;

use super::{
    Input,
    metadata::metadata,
    permission::{self, Rule},
    reader::Object,
};

impl Input for LogicalCloudInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&[
            "name",
            "logical-cloud-name",
            "namespace",
            "user-name",
            "user",
            "clusters",
            "generation",
            "applied-generation",
            "uid",
        ]);
        let metadata = metadata(body);
        let spec = body.object_or_empty("spec");
        spec.read_only(&["clusters"]);
        Self {
            metadata,
            namespace: spec.text(&["namespace"]),
            level: spec.text(&["level"]),
            user: spec.object("user").map(|user| self::user(&user)),
            labels: spec.map("labels", false).unwrap_or_default(),
            mesh: spec.text(&["mesh"]),
            trust_domain: spec.text(&["trust-domain"]),
            adoption_policy: spec.text(&["adoption-policy"]),
            delete_policy: spec.text(&["delete-policy"]),
        }
    }
}

fn user(user: &Object<'_>) -> UserInput {
    // The design's example of a GET has the clusters in here.
    user.read_only(&["clusters"]);
    let permissions = user.objects(&["user-permissions", "permissions"]).unwrap_or_default();
    UserInput {
        user_name: user.text(&["user-name"]),
        user_type: user.text(&["type"]),
        permissions: permissions.iter().map(|one| permission::rule(one, &["permission-name", "name"])).collect(),
    }
}

/// A logical cloud.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LogicalCloudAnswer<'a> {
    metadata: &'a Metadata<LogicalCloudName>,
    spec: Spec<'a>,
    name: &'a str,
    logical_cloud_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    generation: u64,
    applied_generation: u64,
    uid: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserAnswer<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    mesh: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_domain: Option<&'a str>,
    adoption_policy: &'static str,
    delete_policy: &'static str,
    clusters: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UserAnswer<'a> {
    user_name: &'a str,
    #[serde(rename = "type")]
    user_type: &'static str,
    user_permissions: Vec<NamedRule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NamedRule<'a> {
    permission_name: &'a str,
    #[serde(flatten)]
    rule: Rule<'a>,
}

/// How the design spells the user's name in an answer's summary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserKey {
    /// `user-name`, as for POST.
    UserName,
    /// `user`, as for PUT.
    User,
    /// Both: what a patch may repeat.
    Both,
}

impl<'a> LogicalCloudAnswer<'a> {
    pub(crate) fn new(view: &'a LogicalCloudView, key: UserKey) -> Self {
        let LogicalCloud { metadata, spec, .. } = &view.cloud;
        let namespace = spec.namespace.as_ref().map(AsRef::as_ref);
        let user = spec.user.as_ref().map(|user| user.user_name.as_str());
        Self {
            metadata,
            spec: Spec {
                namespace,
                level: spec.level.as_str(),
                user: spec.user.as_ref().map(UserAnswer::new),
                labels: &spec.labels,
                mesh: spec.mesh.as_str(),
                trust_domain: spec.trust_domain.as_deref(),
                adoption_policy: spec.adoption_policy.as_str(),
                delete_policy: spec.delete_policy.as_str(),
                clusters: &view.references,
            },
            name: metadata.name.as_str(),
            logical_cloud_name: metadata.name.as_str(),
            namespace,
            user_name: user.filter(|_| key != UserKey::User),
            user: user.filter(|_| key != UserKey::UserName),
            generation: view.generation,
            applied_generation: view.cloud.lifecycle.applied_generation,
            uid: view.cloud.uid.as_str(),
        }
    }
}

impl<'a> UserAnswer<'a> {
    fn new(user: &'a User) -> Self {
        let named = |permission: &'a UserPermission| NamedRule {
            permission_name: permission.name.as_str(),
            rule: Rule::new(permission),
        };
        Self {
            user_name: user.user_name.as_str(),
            user_type: user.user_type.as_str(),
            user_permissions: user.permissions.iter().map(named).collect(),
        }
    }
}
