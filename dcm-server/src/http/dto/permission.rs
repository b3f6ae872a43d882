use dcm_core::model::{PermissionInput, PermissionScope, UserPermission};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Input,
    reader::Object,
    shapes::{NameSchema, any_of},
};

/// Reads what a permission grants, flat. `names` are the names of its name.
pub(super) fn rule(object: &Object<'_>, names: &[&str]) -> PermissionInput {
    PermissionInput {
        name: object.text(names),
        api_groups: object.texts("apiGroups"),
        resources: object.texts("resources"),
        verbs: object.texts("verbs"),
        resource_names: object.texts("resourceNames"),
        namespace: object.text(&["namespace"]),
    }
}

/// The fields of a rule, which our answers have twice.
const RULE: [&str; 5] = ["apiGroups", "resources", "verbs", "resourceNames", "namespace"];

/// Flat, as the design has it, or with `metadata` and `spec`.
impl Input for PermissionInput {
    fn read(body: &Object<'_>) -> Self {
        let names = ["name", "permission-name"];
        let metadata = body.object_or_empty("metadata");
        metadata.read_only(&["description", "userData1", "userData2"]);
        let name = metadata.text(&["name"]);
        if !body.has(&["spec"]) {
            let flat = rule(body, &names);
            if body.has(&names) {
                metadata.repeats_name(&["name"], body, &names);
            }
            let name = if body.has(&names) { flat.name.or(name) } else { name.or(flat.name) };
            return Self { name, ..flat };
        }
        let spec = body.object_or_empty("spec");
        for field in RULE {
            body.repeats(&[field], &spec, &[field]);
        }
        let rule = rule(&spec, &names);
        let name = if metadata.has(&["name"]) {
            body.repeats_name(&names, &metadata, &["name"]);
            spec.repeats_name(&names, &metadata, &["name"]);
            name.or(rule.name)
        } else {
            body.repeats_name(&names, &spec, &names);
            rule.name.or(name)
        };
        Self { name, ..rule }
    }
}

/// A user permission, as it is written. An answer of ours has both shapes.
#[expect(dead_code, reason = "describes what is read")]
pub(crate) enum PermissionBody {
    Flat(FlatPermissionBody),
    Whole(WholePermissionBody),
}

any_of!(
    PermissionBody,
    "UserPermissionInput",
    "A user permission, as it is written: flat, or with `metadata` and `spec`.",
    FlatPermissionBody,
    WholePermissionBody
);

#[derive(ToSchema)]
#[schema(as = UserPermissionInputFlat)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct FlatPermissionBody {
    /// Required to create one; may be left out where the path has it.
    #[schema(value_type = Option<NameSchema>)]
    name: Option<String>,
    #[serde(flatten)]
    #[schema(inline)]
    rule: RuleBody,
}

#[derive(ToSchema)]
#[schema(as = UserPermissionInputWhole)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct WholePermissionBody {
    metadata: Option<super::metadata::MetadataBody>,
    spec: RuleBody,
}

/// What a permission grants, as it is written.
#[derive(ToSchema)]
#[schema(as = RuleInput)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is read")]
pub(super) struct RuleBody {
    /// API groups; `""` is the core one, `*` all.
    api_groups: Vec<String>,
    /// Resources, also as `resource/subresource`; `*` all.
    resources: Vec<String>,
    /// Verbs; `*` all.
    verbs: Vec<String>,
    /// Only objects of these names.
    resource_names: Option<Vec<String>>,
    /// Another namespace than the logical cloud's own, or `""` for the whole cluster; the operator has to allow it.
    namespace: Option<String>,
}

/// What a permission grants.
#[derive(Serialize, ToSchema)]
#[schema(as = Rule)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rule<'a> {
    api_groups: &'a [String],
    resources: &'a [String],
    verbs: &'a [String],
    #[schema(required = false)]
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    resource_names: &'a [String],
    /// `""` for the whole cluster; absent for the logical cloud's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl<'a> Rule<'a> {
    pub(super) fn new(permission: &'a UserPermission) -> Self {
        Self {
            api_groups: &permission.api_groups,
            resources: &permission.resources,
            verbs: &permission.verbs,
            resource_names: &permission.resource_names,
            namespace: match &permission.scope {
                PermissionScope::Own => None,
                PermissionScope::Namespace(namespace) => Some(namespace.as_str()),
                PermissionScope::Cluster => Some(""),
            },
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlatUserPermission)]
pub(crate) struct Flat<'a> {
    name: &'a str,
    #[serde(flatten)]
    #[schema(inline)]
    rule: Rule<'a>,
}

impl<'a> Flat<'a> {
    fn new(permission: &'a UserPermission) -> Self {
        Self { name: permission.name.as_str(), rule: Rule::new(permission) }
    }
}

/// One permission: flat, and as a resource.
#[derive(Serialize, ToSchema)]
#[schema(as = UserPermission)]
pub(crate) struct PermissionAnswer<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    flat: Flat<'a>,
    metadata: Name<'a>,
    spec: Rule<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserPermissionMetadata)]
struct Name<'a> {
    name: &'a str,
}

impl<'a> PermissionAnswer<'a> {
    pub(crate) fn new(permission: &'a UserPermission) -> Self {
        Self {
            flat: Flat::new(permission),
            metadata: Name { name: permission.name.as_str() },
            spec: Rule::new(permission),
        }
    }
}

/// The permissions of a logical cloud.
#[derive(Serialize, ToSchema)]
#[schema(as = UserPermissions)]
pub(crate) struct PermissionsAnswer<'a> {
    permissions: Vec<Flat<'a>>,
}

impl<'a> PermissionsAnswer<'a> {
    pub(crate) fn new(permissions: &'a [UserPermission]) -> Self {
        Self { permissions: permissions.iter().map(Flat::new).collect() }
    }
}
