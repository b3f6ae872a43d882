use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Metadata, MetadataInput, PermissionInput, Policy, Uid, UserPermission, quota::escape};
use crate::{
    fault::Faults,
    lifecycle::Lifecycle,
    name::{LogicalCloudName, Namespace, ProjectName, UserName, is_dns_subdomain, is_label_key, is_label_name},
    store::Stored,
};

/// A logical cloud as its tenant wants it, together with its user and permissions: they are one to one
/// and change together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogicalCloud {
    /// Its id for life; its children are keyed by it.
    pub uid: Uid,
    /// Its project.
    pub project: ProjectName,
    /// Its project's uid; it is keyed by it.
    pub project_uid: Uid,
    /// Its name and description.
    pub metadata: Metadata<LogicalCloudName>,
    /// What its tenant wants.
    pub spec: LogicalCloudSpec,
    /// How often `spec` has changed.
    pub edits: u64,
    /// Changes whenever its user's credentials are cut off, to a number that it never was. Part of the user's
    /// identity on clusters.
    pub credential_epoch: u64,
    /// What was ordered for its clusters.
    pub lifecycle: Lifecycle,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Stored for LogicalCloud {
    const KIND: &'static str = "LogicalCloud";
    const VERSION: u32 = 1;
}

/// What a tenant wants of a logical cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogicalCloudSpec {
    /// Its namespace; `None` only for an admin cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Standard or admin.
    #[serde(default)]
    pub level: Level,
    /// Its user; `None` only for an admin cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Labels of its namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether it gets a service mesh.
    #[serde(default)]
    pub mesh: MeshMode,
    /// Its trust domain, where it isn't the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// What to do with a namespace that is there already.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What becomes of the namespace at terminate.
    #[serde(default)]
    pub delete_policy: DeletePolicy,
}

/// The one user of a logical cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    /// The user's name.
    pub user_name: UserName,
    /// How the user proves who he is.
    #[serde(rename = "type")]
    pub user_type: UserType,
    /// What the user may do, ordered by name.
    pub permissions: Vec<UserPermission>,
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// The choice as it is written in requests and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            fn read(text: Option<String>) -> Result<Self, String> {
                let Some(text) = text else { return Ok(Self::default()) };
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is not one of {}", [$(concat!('"', $text, '"')),*].join(", "))),
                }
            }
        }
    )*};
}

choices! {
    /// Whom a logical cloud is for.
    Level {
        /// A tenant, with namespace, user and quotas.
        #[default]
        Standard = "1",
        /// The operator, with the clusters' own credentials.
        Admin = "0",
    }
    /// Whether a logical cloud gets a service mesh.
    MeshMode {
        /// Where its clusters can have one.
        #[default]
        Auto = "auto",
        /// It is not complete without.
        Required = "required",
        /// Never.
        None = "none",
    }
    /// What to do with a namespace that is there already.
    AdoptionPolicy {
        /// Refuse.
        #[default]
        Never = "never",
        /// Take it over if it is as it would have been made.
        IfIdentical = "if-identical",
        /// Take it over.
        Always = "always",
    }
    /// What becomes of the namespace at terminate.
    DeletePolicy {
        /// It is deleted with all that is in it.
        #[default]
        Delete = "delete",
        /// It is left there, without our labels.
        Keep = "keep",
    }
}

/// How a user proves who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserType {
    /// By an X.509 client certificate.
    Certificate,
    /// By a bound token of a ServiceAccount.
    Token,
}

impl UserType {
    /// The type as it is written in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Token => "token",
        }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "certificate" => Ok(Self::Certificate),
            "token" => Ok(Self::Token),
            "unpw" => Err(
                "\"UNPW\" is not possible: Kubernetes has dropped basic authentication (1.19); use \"certificate\" or \"token\"",
            ),
            _ => Err("must be \"certificate\" or \"token\""),
        }
    }
}

/// A logical cloud as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogicalCloudInput {
    /// See [`LogicalCloud::metadata`].
    pub metadata: MetadataInput,
    /// See [`LogicalCloudSpec::namespace`].
    pub namespace: Option<String>,
    /// See [`LogicalCloudSpec::level`].
    pub level: Option<String>,
    /// See [`LogicalCloudSpec::user`].
    pub user: Option<UserInput>,
    /// See [`LogicalCloudSpec::labels`].
    pub labels: BTreeMap<String, String>,
    /// See [`LogicalCloudSpec::mesh`].
    pub mesh: Option<String>,
    /// See [`LogicalCloudSpec::trust_domain`].
    pub trust_domain: Option<String>,
    /// See [`LogicalCloudSpec::adoption_policy`].
    pub adoption_policy: Option<String>,
    /// See [`LogicalCloudSpec::delete_policy`].
    pub delete_policy: Option<String>,
}

/// A user as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInput {
    /// See [`User::user_name`].
    pub user_name: Option<String>,
    /// See [`User::user_type`]; `certificate` where absent.
    pub user_type: Option<String>,
    /// See [`User::permissions`].
    pub permissions: Vec<PermissionInput>,
}

impl LogicalCloudInput {
    /// Checks all of it; see [`MetadataInput::check`] for `known`.
    pub fn check(
        self,
        known: Option<&LogicalCloudName>,
        policy: &Policy,
        faults: &mut Faults,
    ) -> Option<(Metadata<LogicalCloudName>, LogicalCloudSpec)> {
        let metadata = self.metadata.check("/metadata", known, faults);
        let level = faults.check("/spec/level", Level::read(self.level));
        if let Some(level) = level {
            faults.check("/spec/level", policy.check_level(level));
        }
        let standard = level == Some(Level::Standard);
        let namespace = match self.namespace {
            Some(text) => faults.check("/spec/namespace", Namespace::new(&text)),
            None if standard => {
                faults.add("/spec/namespace", "is required: the name of the Kubernetes namespace");
                None
            }
            None => None,
        };
        if let Some(namespace) = &namespace {
            faults.check("/spec/namespace", policy.check_namespace(namespace));
        }
        let user = match self.user {
            Some(user) => user.check(namespace.as_ref(), policy, faults),
            None if standard => {
                faults.add("/spec/user", "is required: an object with user-name, type and user-permissions");
                None
            }
            None => None,
        };
        check_labels(&self.labels, faults);
        let mesh = faults.check("/spec/mesh", MeshMode::read(self.mesh));
        let adoption_policy = faults.check("/spec/adoption-policy", AdoptionPolicy::read(self.adoption_policy));
        if let Some(adoption) = adoption_policy {
            faults.check("/spec/adoption-policy", policy.check_adoption(adoption));
        }
        let delete_policy = faults.check("/spec/delete-policy", DeletePolicy::read(self.delete_policy));
        if self.trust_domain.as_deref().is_some_and(|domain| !is_dns_subdomain(domain)) {
            faults.add("/spec/trust-domain", "must be a DNS name in lower case");
        }
        let spec = LogicalCloudSpec {
            namespace,
            level: level?,
            user,
            labels: self.labels,
            mesh: mesh?,
            trust_domain: self.trust_domain,
            adoption_policy: adoption_policy?,
            delete_policy: delete_policy?,
        };
        Some((metadata?, spec))
    }
}

impl UserInput {
    fn check(self, own: Option<&Namespace>, policy: &Policy, faults: &mut Faults) -> Option<User> {
        let user_name = match self.user_name {
            Some(text) => faults.check("/spec/user/user-name", UserName::new(&text)),
            None => {
                faults.add("/spec/user/user-name", "is required");
                None
            }
        };
        let user_type = self.user_type.as_deref().map_or(Ok(UserType::Certificate), UserType::read);
        let user_type = faults.check("/spec/user/type", user_type);
        let list = "/spec/user/user-permissions";
        if self.permissions.len() > UserPermission::MOST {
            faults.add(
                list,
                format!("has {} entries; at most {} are allowed", self.permissions.len(), UserPermission::MOST),
            );
            return None;
        }
        let mut permissions = Vec::with_capacity(self.permissions.len());
        let mut seen = BTreeSet::new();
        for (i, input) in self.permissions.into_iter().enumerate() {
            let at = format!("{list}/{i}");
            if let Some(permission) = input.check(&at, "permission-name", None, own, policy, faults) {
                if !seen.insert(permission.name.clone()) {
                    faults.add(format!("{at}/permission-name"), format!("\"{}\" stands here twice", permission.name));
                }
                permissions.push(permission);
            }
        }
        permissions.sort_by(|a, b| a.name.cmp(&b.name));
        Some(User { user_name: user_name?, user_type: user_type?, permissions })
    }
}

/// Labels of a logical cloud's namespace: valid for Kubernetes, and none by which a tenant could widen
/// his rights (pod security, injection) or pass for somebody else's object.
fn check_labels(labels: &BTreeMap<String, String>, faults: &mut Faults) {
    const RESERVED: [&str; 4] = ["kubernetes.io", "k8s.io", "istio.io", "dcm.onap.org"];
    for (key, value) in labels {
        let at = format!("/spec/labels/{}", escape(key));
        let prefix = key.split_once('/').map(|(prefix, _)| prefix);
        if !is_label_key(key) {
            faults.add(&at, "the key must be a Kubernetes label key: up to 63 letters, digits, '-', '_' or '.', with a DNS name and '/' before it where wanted");
        }
        let reserved = |prefix: &str| {
            RESERVED.iter().find(|r| prefix == **r || prefix.strip_suffix(**r).is_some_and(|rest| rest.ends_with('.')))
        };
        if let Some(domain) = prefix.and_then(reserved) {
            faults.add(&at, format!("labels below {domain} are not the tenant's to set"));
        }
        if key == "istio-injection" {
            faults.add(&at, "is not the tenant's to set; the mesh is chosen by spec.mesh");
        }
        if !value.is_empty() && !is_label_name(value) {
            faults.add(&at, "the value must be empty or up to 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> LogicalCloudInput {
        LogicalCloudInput {
            metadata: MetadataInput { name: Some("lc-1".to_owned()), ..MetadataInput::default() },
            namespace: Some("ns-1".to_owned()),
            user: Some(UserInput {
                user_name: Some("user-1".to_owned()),
                user_type: Some("Certificate".to_owned()),
                permissions: Vec::new(),
            }),
            ..LogicalCloudInput::default()
        }
    }

    fn pointers(input: LogicalCloudInput) -> Vec<String> {
        let mut faults = Faults::new();
        input.check(None, &Policy::default(), &mut faults);
        faults.as_slice().iter().map(|f| f.pointer.clone()).collect()
    }

    #[test]
    fn takes_the_least_that_is_needed() {
        let (_, spec) = input().check(None, &Policy::default(), &mut Faults::new()).unwrap();
        assert_eq!(spec.level, Level::Standard);
        assert_eq!(spec.mesh, MeshMode::Auto);
        assert_eq!(spec.user.unwrap().user_type, UserType::Certificate);
    }

    #[test]
    fn names_every_bad_field_at_once() {
        let labels = [
            ("pod-security.kubernetes.io/enforce", "privileged"),
            ("istio-injection", "enabled"),
            ("team", "a b"),
            ("bad key", "x"),
            ("x.dcm.onap.org/y", "z"),
            ("notistio.io/fine", "yes"),
        ];
        let bad = LogicalCloudInput {
            metadata: MetadataInput {
                name: Some("lc/1".to_owned()),
                description: Some("d".repeat(1025)),
                ..MetadataInput::default()
            },
            namespace: Some("kube-system".to_owned()),
            user: Some(UserInput {
                user_name: Some("system:admin".to_owned()),
                user_type: Some("UNPW".to_owned()),
                permissions: Vec::new(),
            }),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            mesh: Some("maybe".to_owned()),
            ..LogicalCloudInput::default()
        };
        assert_eq!(
            pointers(bad),
            [
                "/metadata/name",
                "/metadata/description",
                "/spec/namespace",
                "/spec/user/user-name",
                "/spec/user/type",
                "/spec/labels/bad key",
                "/spec/labels/istio-injection",
                "/spec/labels/pod-security.kubernetes.io~1enforce",
                "/spec/labels/team",
                "/spec/labels/x.dcm.onap.org~1y",
                "/spec/mesh",
            ]
        );
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(pointers(LogicalCloudInput::default()), ["/metadata/name", "/spec/namespace", "/spec/user"]);
    }

    #[test]
    fn adoption_is_the_operators_to_refuse() {
        let taking = |text: &str| LogicalCloudInput { adoption_policy: Some(text.to_owned()), ..input() };
        let policy = Policy { refuse_adoption: true, ..Policy::default() };
        for (text, refused) in [("always", 1), ("if-identical", 1), ("never", 0)] {
            assert!(taking(text).check(None, &Policy::default(), &mut Faults::new()).is_some());
            let mut faults = Faults::new();
            taking(text).check(None, &policy, &mut faults);
            assert_eq!(faults.as_slice().len(), refused, "{text}");
        }
    }

    #[test]
    fn an_admin_cloud_is_the_operators_to_allow() {
        let admin = || LogicalCloudInput { level: Some("0".to_owned()), namespace: None, user: None, ..input() };
        assert_eq!(pointers(admin()), ["/spec/level"]);
        let policy = Policy { admin_clouds: true, ..Policy::default() };
        assert!(admin().check(None, &policy, &mut Faults::new()).is_some());
    }
}
