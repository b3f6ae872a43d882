//! Names that cannot be wrong: each is checked where it is made, so that no other code has to.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A text that breaks the rule of the name that it was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct InvalidName {
    rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $check:path, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = concat!("The rule that every `", stringify!($name), "` keeps.")]
            pub const RULE: &'static str = $rule;

            /// Checks a text.
            ///
            /// # Errors
            #[doc = concat!("[`InvalidName`] where it is not so: ", $rule, ".")]
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if $check(text) { Ok(Self(text.into())) } else { Err(InvalidName { rule: $rule }) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// A project: the tenant, first segment of every path.
    ProjectName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A logical cloud's name, unique in its project.
    LogicalCloudName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A cluster reference's name, unique in its logical cloud.
    ReferenceName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A user permission's name, unique in its logical cloud.
    PermissionName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A quota's name, unique in its logical cloud.
    QuotaName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A kv-pair's name, unique in its logical cloud or at its cluster.
    KvPairName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A cluster provider's name.
    ProviderName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A cluster's name, unique at its provider.
    ClusterName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// The key of a cluster's label.
    LabelKey: is_label_key, "must be a Kubernetes label key: up to 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, with a DNS name and '/' before it where wanted";
    /// A controller's name.
    ControllerName: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// A Kubernetes namespace: a DNS label of RFC 1123.
    Namespace: is_dns_label, "must be a DNS-1123 label: 1 to 63 characters, lower-case letters, digits or '-', beginning and ending with a letter or digit";
    /// A SPIFFE trust domain: what the names of a logical cloud's workloads begin with.
    TrustDomain: is_dns_subdomain, "must be a DNS name in lower case, at most 253 characters";
    /// What a cluster is known by, however often it is registered: the uid of its `kube-system` namespace.
    ClusterIdentity: is_record_name, "must be 1 to 128 characters, letters, digits, '-', '_' or '.', beginning and ending with a letter or digit";
    /// The name of a logical cloud's user. It has no colon, so it cannot look like one of Kubernetes' own users.
    UserName: is_user_name, "must be 1 to 63 characters, letters, digits, '-', '_', '.' or '@', beginning with a letter or digit and ending with one; no colon, so no 'system:' user";
}

fn is_alphanumeric_at_both_ends(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
}

fn is_record_name(text: &str) -> bool {
    text.len() <= 128
        && is_alphanumeric_at_both_ends(text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A label's key: a name, with a DNS name and a slash before it where wanted. A key of dots alone, or with another slash, would
/// lead a client to another path than that of the label.
pub(crate) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    is_label_name(name) && prefix.is_none_or(is_dns_subdomain)
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.
pub(crate) fn is_label_name(text: &str) -> bool {
    text.len() <= 63
        && is_alphanumeric_at_both_ends(text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_user_name(text: &str) -> bool {
    text.len() <= 63
        && is_alphanumeric_at_both_ends(text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b))
}

/// RFC 1123 as Kubernetes reads it:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>.
pub(crate) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_subdomain(text) && !text.contains('.')
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            is_alphanumeric_at_both_ends(label)
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_name_keeps_the_designs_rule() {
        for good in ["a", "lc-1", "LC_1.x", "9", &"x".repeat(128)] {
            assert!(LogicalCloudName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a/b", "a b", "a\0", "ä", "a:b", &"x".repeat(129)] {
            assert!(LogicalCloudName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_namespace_is_a_dns_label() {
        for good in ["ns-1", "0", &"n".repeat(63)] {
            assert!(Namespace::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Ns", "n.s", "-n", "n-", "n_s", &"n".repeat(64)] {
            assert!(Namespace::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_name_cannot_look_like_a_user_of_kubernetes() {
        assert!(UserName::new("jane.doe@example.com").is_ok());
        for bad in ["system:admin", "system:masters", "a b", "a\u{7}", "@a", ""] {
            assert!(UserName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reading_json_checks_the_rule() {
        assert!(serde_json::from_str::<Namespace>("\"ns-1\"").is_ok());
        assert!(serde_json::from_str::<Namespace>("\"kube/system\"").is_err());
    }
}
