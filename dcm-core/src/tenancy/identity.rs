//! Who a logical cloud's user is on a cluster, and how its objects are called where names could meet.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::Tenancy;
use crate::{
    credential::Subject,
    model::{Uid, User, UserType},
    name::LogicalCloudName,
};

/// Who a logical cloud's user is on its clusters. What bindings name is made of it and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The common name of his certificate.
    CommonName(String),
    /// The name of his ServiceAccount in the logical cloud's own namespace.
    Account(String),
}

impl Identity {
    /// The name, of whichever kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::CommonName(name) | Self::Account(name) => name,
        }
    }
}

/// The longest common name that X.509 allows (RFC 5280, appendix A.1: `ub-common-name`).
const LONGEST_COMMON_NAME: usize = 64;

/// The first characters of the base32 of a SHA-256 over the parts, each with its length.
fn short_hash(parts: &[&[u8]], characters: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase();
    text.truncate(characters);
    text
}

/// The name of an object that lies where objects of other logical clouds may lie, or whose record's name
/// Kubernetes would not take: `dcm-<cloud>-<record>-<hash>`.
///
/// The hash is made of the cloud's uid and the record's name, so that neither two clouds nor two records
/// that differ in case only ever meet.
#[must_use]
pub fn object_name(cloud: &LogicalCloudName, record: &str, uid: &Uid) -> String {
    let readable = |text: &str| -> String {
        let lower = text.to_ascii_lowercase().replace(['_', '.'], "-");
        lower.chars().take(100).collect()
    };
    let hash = short_hash(&[uid.as_str().as_bytes(), record.as_bytes()], 10);
    format!("dcm-{}-{}-{hash}", readable(cloud.as_str()), readable(record))
}

impl Tenancy<'_> {
    /// The common name of the user's certificate: `dcm:<project>:<cloud>:<user>:<id>`, at most 64 bytes.
    ///
    /// Names that do not fit are cut and end in `~`; the id decides. It is made of the cloud's uid, the
    /// user's name and the credential epoch, so that a certificate from before a revoke or from a cloud
    /// of the same name that is gone fits no binding.
    #[must_use]
    pub fn common_name(&self, user: &User) -> String {
        let applied = self.applied;
        let id = self.user_id(user);
        // "dcm:" + ":" + ":" + ":" + id
        let space = LONGEST_COMMON_NAME - 7 - id.len();
        let [project, cloud, user] =
            fit([applied.project.as_str(), applied.name.as_str(), user.user_name.as_str()], space);
        format!("dcm:{project}:{cloud}:{user}:{id}")
    }

    /// Who the user is on clusters. His ServiceAccount is called `dcm-user-<id>` with the same id as in a
    /// common name: what is true for certificates is true for tokens.
    #[must_use]
    pub fn identity(&self, user: &User) -> Identity {
        match user.user_type {
            UserType::Certificate => Identity::CommonName(self.common_name(user)),
            UserType::Token => Identity::Account(format!("dcm-user-{}", self.user_id(user))),
        }
    }

    fn user_id(&self, user: &User) -> String {
        let epoch = self.applied.credential_epoch.to_be_bytes();
        short_hash(&[self.applied.cloud.as_str().as_bytes(), user.user_name.as_str().as_bytes(), &epoch], 16)
    }

    /// The subject of the user's certificate. Kubernetes reads the organization as a group, so it is never
    /// a name that someone chose, and nothing is ever bound to it.
    #[must_use]
    pub fn subject(&self, user: &User) -> Subject {
        Subject { common_name: self.common_name(user), organization: format!("dcm:{}", self.applied.cloud) }
    }
}

/// Cuts the longest texts until all fit together.
fn fit(texts: [&str; 3], space: usize) -> [String; 3] {
    let mut lengths = texts.map(str::len);
    while lengths.iter().sum::<usize>() > space {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let Some(length) = lengths.iter_mut().find(|length| **length == longest) else {
            break;
        };
        *length -= 1;
    }
    let mut cut = texts.iter().zip(lengths).map(|(text, length)| {
        if text.len() == length {
            (*text).to_owned()
        } else {
            // Names are ASCII, so any byte is a boundary; `get` keeps that from being a matter of trust.
            format!("{}~", text.get(..length.saturating_sub(1)).unwrap_or_default())
        }
    });
    std::array::from_fn(|_| cut.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::UserType, name::UserName, tenancy::tests::applied};

    fn user(name: &str) -> User {
        User { user_name: UserName::new(name).unwrap(), user_type: UserType::Certificate, permissions: Vec::new() }
    }

    fn common_name(cloud: &str, name: &str, epoch: u64) -> String {
        let mut applied = applied(Vec::new());
        applied.name = LogicalCloudName::new(cloud).unwrap();
        applied.credential_epoch = epoch;
        Tenancy { applied: &applied, installation: &Uid::from_random([9; 16]) }.common_name(&user(name))
    }

    #[test]
    fn a_common_name_has_at_most_64_bytes_whatever_the_names() {
        assert_eq!(common_name("lc-1", "user-1", 0).len(), "dcm:walmart:lc-1:user-1:".len() + 16);
        let long = common_name(&"c".repeat(128), &"u".repeat(63), 0);
        assert_eq!(long.len(), 64, "{long}");
        assert_eq!(long.matches(':').count(), 4, "{long}");
        assert!(long.starts_with("dcm:walmart:cccccc") && long.contains("c~:uuu"), "{long}");
    }

    #[test]
    fn another_epoch_is_another_user() {
        let epochs = [0, 1, 2].map(|epoch| common_name("lc-1", "user-1", epoch));
        assert_ne!(epochs[0], epochs[1]);
        assert_ne!(epochs[1], epochs[2]);
    }

    #[test]
    fn cut_names_still_differ_by_their_id() {
        let long = "u".repeat(62);
        assert_ne!(common_name("lc-1", &format!("{long}a"), 0), common_name("lc-1", &format!("{long}b"), 0));
    }

    #[test]
    fn object_names_of_two_clouds_or_records_never_meet() {
        let cloud = LogicalCloudName::new("lc-1").unwrap();
        let (a, b) = (Uid::from_random([1; 16]), Uid::from_random([2; 16]));
        assert_ne!(object_name(&cloud, "p", &a), object_name(&cloud, "p", &b));
        assert_ne!(object_name(&cloud, "p_1", &a), object_name(&cloud, "P-1", &a));
        assert!(object_name(&cloud, &"R".repeat(128), &a).len() <= 253);
    }
}
