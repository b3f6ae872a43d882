use super::{AdoptionPolicy, KubeconfigRules, Level, LogicalCloudSpec};
use crate::name::Namespace;

/// What the operator allows, beyond the defaults that are safe for tenants who don't trust each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Namespaces that logical clouds may use although they are reserved (`default`, `istio-system`,
    /// `kube-*`).
    pub allowed_namespaces: Vec<String>,
    /// Whether admin clouds (level `"0"`) may be made.
    pub admin_clouds: bool,
    /// Whether a permission may be cluster-wide (namespace `""`).
    pub cluster_wide_permissions: bool,
    /// Whether a permission may reach into another namespace.
    pub foreign_namespace_permissions: bool,
    /// Whether a permission may reach what lets its holder widen his own rights or limits.
    pub privileged_permissions: bool,
    /// Whether logical clouds may take over namespaces that are there already: whoever may reaches what is in
    /// them with his permissions.
    pub refuse_adoption: bool,
    /// Whether projects must be registered before they are used.
    pub registered_projects: bool,
    /// What uploaded kubeconfigs may hold.
    pub kubeconfigs: KubeconfigRules,
}

impl Policy {
    pub(super) fn check_namespace(&self, namespace: &Namespace) -> Result<(), String> {
        let name = namespace.as_str();
        let reserved = matches!(name, "default" | "istio-system") || name.starts_with("kube-");
        if reserved && !self.allowed_namespaces.iter().any(|allowed| allowed == name) {
            return Err(
                "must not be 'default', 'istio-system' or begin with 'kube-': these belong to the cluster".to_owned()
            );
        }
        Ok(())
    }

    pub(super) fn check_adoption(&self, policy: AdoptionPolicy) -> Result<(), String> {
        if self.refuse_adoption && policy != AdoptionPolicy::Never {
            return Err(
                "namespaces that are there already may not be taken over here; use \"never\", or ask the operator"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What of a logical cloud that was written before is not allowed any more, by the names of the fields.
    pub(crate) fn refuses(&self, spec: &LogicalCloudSpec) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        let mut note = |field: &str, checked: Result<(), String>| {
            if let Err(why) = checked {
                refused.push((field.to_owned(), why));
            }
        };
        note("spec.level", self.check_level(spec.level));
        note("spec.adoption-policy", self.check_adoption(spec.adoption_policy));
        if let Some(namespace) = &spec.namespace {
            note("spec.namespace", self.check_namespace(namespace));
        }
        for permission in spec.user.iter().flat_map(|user| &user.permissions) {
            note(&format!("the permission \"{}\"", permission.name), permission.check_policy(self));
        }
        refused
    }

    pub(super) fn check_level(&self, level: Level) -> Result<(), String> {
        if level == Level::Admin && !self.admin_clouds {
            return Err("\"0\" (admin cloud) is not allowed here; use \"1\", or ask the operator".to_owned());
        }
        Ok(())
    }
}
