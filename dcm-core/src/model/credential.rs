use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Uid;
use crate::{secret::Sealed, store::Stored};

/// A user's credential for one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Credential {
    /// The logical cloud's uid.
    pub cloud: Uid,
    /// Which cluster it is for.
    pub cluster_identity: String,
    /// The common name of the certificate: the user's name on the cluster.
    pub common_name: String,
    /// The private key, PKCS #8 in PEM.
    pub key: Sealed,
    /// The request, PEM.
    pub csr: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// The certificate is not valid before this time.
    pub not_before: Timestamp,
    /// The certificate is not valid after this time.
    pub not_after: Timestamp,
    /// A digest of what the kubeconfig was made of: server, CA, namespace, names.
    pub kubeconfig_of: String,
    /// The kubeconfig as JSON.
    pub kubeconfig: Sealed,
}

impl Stored for Credential {
    const KIND: &'static str = "Credential";
    const VERSION: u32 = 1;
}

impl Credential {
    /// When it is to be renewed: at two thirds of its life.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        let (from, to) = (self.not_before.as_second(), self.not_after.as_second());
        let at = from.saturating_add(to.saturating_sub(from) / 3 * 2);
        Timestamp::from_second(at).unwrap_or(self.not_after)
    }
}
