use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Uid;
use crate::{
    name::ReferenceName,
    secret::Sealed,
    store::{Key, Stored},
};

/// A user's credential for one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Credential {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Which cluster it is for.
    pub cluster_identity: String,
    /// The user's name on the cluster ([`Identity::name`](crate::tenancy::Identity::name)).
    #[serde(rename = "common-name")]
    pub name_there: String,
    /// What the user shows.
    #[serde(flatten)]
    pub proof: Proof,
    /// It is not valid before this time.
    pub not_before: Timestamp,
    /// It is not valid after this time.
    pub not_after: Timestamp,
    /// When it is to be renewed, by our own clock: the cluster's may be another one. `None` only where an
    /// earlier release wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<Timestamp>,
    /// A digest of what the kubeconfig was made of: server, CA, namespace, names.
    pub kubeconfig_of: String,
    /// The kubeconfig as JSON.
    pub kubeconfig: Sealed,
}

/// What a user shows to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "kebab-case")]
pub enum Proof {
    /// A client certificate.
    Certificate {
        /// The private key, PKCS #8 in PEM.
        key: Sealed,
        /// The request, PEM.
        csr: String,
        /// The certificate, PEM.
        certificate: String,
    },
    /// A token of a ServiceAccount.
    Token {
        /// The token.
        token: Sealed,
        /// The uid of the ServiceAccount: another one of that name does not make the token valid.
        account_uid: String,
    },
}

impl Stored for Credential {
    const KIND: &'static str = "Credential";
    const VERSION: u32 = 1;
}

/// When what has so long to live is to be renewed: at two thirds of it, or by chance a little earlier (up to a
/// fifteenth), so that what was issued together is not renewed together. `chance` is from 0 to 255.
#[must_use]
pub fn renew_after(life: SignedDuration, chance: u8) -> SignedDuration {
    life / 3 * 2 - life / 15 * i32::from(chance) / 255
}

/// That a credential is to be renewed. Its key begins with the time, so that what is due is found without
/// reading anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Renewal {
    /// When.
    pub at: Timestamp,
    /// Where the logical cloud lies.
    pub cloud: Key,
    /// The logical cloud's uid.
    pub cloud_uid: Uid,
    /// The cluster reference.
    pub reference: ReferenceName,
}

impl Stored for Renewal {
    const KIND: &'static str = "Renewal";
    const VERSION: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_renewed_at_two_thirds_or_a_little_earlier() {
        let life = SignedDuration::from_hours(90 * 24);
        assert_eq!(renew_after(life, 0), SignedDuration::from_hours(60 * 24));
        assert_eq!(renew_after(life, 255), SignedDuration::from_hours(54 * 24));
        assert!(renew_after(SignedDuration::from_secs(600), 128) < SignedDuration::from_secs(400));
    }
}
