use std::collections::BTreeMap;

use dcm_core::{
    model::{LogicalCloud, LogicalCloudInput, Metadata, User, UserInput, UserPermission},
    name::LogicalCloudName,
    service::LogicalCloudView,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Input,
    metadata::{MetadataBody, MetadataSchema, metadata},
    permission::{self, Rule, RuleBody},
    reader::Object,
};

impl Input for LogicalCloudInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["clusters", "generation", "applied-generation", "uid"]);
        let metadata = metadata(body, &["name", "logical-cloud-name"]);
        let spec = body.object_or_empty("spec");
        spec.read_only(&["clusters"]);
        body.repeats(&["namespace"], &spec, &["namespace"]);
        let user = spec.object("user");
        match &user {
            Some(user) => body.repeats(&["user-name", "user"], user, &["user-name"]),
            None => body.repeats(&["user-name", "user"], &spec, &["user"]),
        }
        Self {
            metadata,
            namespace: spec.text(&["namespace"]),
            level: spec.text(&["level"]),
            user: user.map(|user| self::user(&user)),
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

/// A logical cloud, as it is written.
#[derive(ToSchema)]
#[schema(as = LogicalCloudInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct LogicalCloudBody {
    metadata: Option<MetadataBody>,
    spec: SpecBody,
}

#[derive(ToSchema)]
#[schema(as = LogicalCloudInputSpec)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
struct SpecBody {
    /// The one namespace, on every cluster: a DNS-1123 label. Required at level `"1"`; does not change while applied.
    #[schema(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    namespace: Option<String>,
    /// `"1"` (default), or `"0"` for an admin cloud, which uses the clusters' own credentials. The operator has to allow it.
    #[schema(value_type = Option<Level>)]
    level: (),
    /// Required at level `"1"`.
    user: Option<UserBody>,
    /// Labels of the namespace.
    labels: Option<BTreeMap<String, String>>,
    /// Whether it has a service mesh; does not change while applied.
    #[schema(value_type = Option<MeshMode>)]
    mesh: (),
    /// The mesh's trust domain; does not change while applied.
    trust_domain: Option<String>,
    /// What becomes of a namespace that is there already and was not made for this logical cloud.
    #[schema(value_type = Option<AdoptionPolicy>)]
    adoption_policy: (),
    /// What becomes of the namespace at the end.
    #[schema(value_type = Option<DeletePolicy>)]
    delete_policy: (),
}

#[derive(ToSchema)]
#[schema(as = UserInput)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
struct UserBody {
    #[schema(pattern = "^[A-Za-z0-9]([-A-Za-z0-9_.@]*[A-Za-z0-9])?$", max_length = 63)]
    user_name: String,
    /// How he authenticates: `certificate` (default) or `token`, whatever its case.
    #[schema(rename = "type")]
    user_type: Option<String>,
    user_permissions: Option<Vec<NamedRuleBody>>,
}

#[derive(ToSchema)]
#[schema(as = NamedRuleInput)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
struct NamedRuleBody {
    permission_name: String,
    #[serde(flatten)]
    #[schema(inline)]
    rule: RuleBody,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a word")]
enum Level {
    #[schema(rename = "0")]
    Admin,
    #[schema(rename = "1")]
    Standard,
}

#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word")]
enum MeshMode {
    Auto,
    Required,
    None,
}

#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word")]
enum AdoptionPolicy {
    Never,
    IfIdentical,
    Always,
}

#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word")]
enum DeletePolicy {
    Delete,
    Keep,
}

/// A logical cloud.
#[derive(Serialize, ToSchema)]
#[schema(as = LogicalCloud)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LogicalCloudAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
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
    /// The state that its records are in: ahead of the applied one where they were edited since.
    generation: u64,
    /// The state that clusters hold, or are being made to hold.
    applied_generation: u64,
    uid: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LogicalCloudSpec)]
#[serde(rename_all = "kebab-case")]
struct Spec<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[schema(value_type = Level)]
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserAnswer<'a>>,
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[schema(value_type = MeshMode)]
    mesh: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_domain: Option<&'a str>,
    #[schema(value_type = AdoptionPolicy)]
    adoption_policy: &'static str,
    #[schema(value_type = DeletePolicy)]
    delete_policy: &'static str,
    /// The names of its cluster references.
    clusters: &'a [String],
}

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "kebab-case")]
struct UserAnswer<'a> {
    user_name: &'a str,
    #[serde(rename = "type")]
    user_type: &'static str,
    user_permissions: Vec<NamedRule<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NamedRule)]
#[serde(rename_all = "kebab-case")]
struct NamedRule<'a> {
    permission_name: &'a str,
    #[serde(flatten)]
    #[schema(inline)]
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
