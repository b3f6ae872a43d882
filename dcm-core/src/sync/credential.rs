//! A user's access on a cluster: asked for, and taken away.

use std::time::Duration;

use jiff::Timestamp;

use super::{InventoryItem, ObjectId, Owner};
use crate::{name::Namespace, secret::Secret, tenancy::Identity};

/// A request for a user's client certificate.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// On whose behalf.
    pub owner: Owner,
    /// The PKCS #10 request, PEM.
    pub csr_pem: String,
    /// How long the certificate should live; the cluster may cap it.
    pub lifetime: Duration,
}

/// A request for a token of a user's ServiceAccount.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// On whose behalf.
    pub owner: Owner,
    /// The ServiceAccount's namespace.
    pub namespace: Namespace,
    /// The ServiceAccount's name. It must carry the owner's marks.
    pub account: String,
    /// How long the token should live; the cluster may cap it.
    pub lifetime: Duration,
}

/// A token of a user's ServiceAccount.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token: a JWT.
    pub token: Secret,
    /// The uid of the ServiceAccount that it is bound to: it dies with that.
    pub account_uid: String,
    /// When it was issued, by the cluster's clock.
    pub issued_at: Timestamp,
    /// Until when it is valid, by the cluster's clock.
    pub expires_at: Timestamp,
}

/// Who is to be cut off on one cluster.
#[derive(Clone, Debug)]
pub struct CutOff {
    /// On whose behalf.
    pub owner: Owner,
    /// The cloud's own namespace.
    pub namespace: Namespace,
    /// What was recorded of earlier work.
    pub inventory: Vec<InventoryItem>,
    /// The identity that stays: bindings to it, and its account, are left alone.
    pub keep: Identity,
}

/// Something by which a user who was cut off may still have access, made by himself or by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it is.
    pub id: ObjectId,
    /// Whom it gives access, for people.
    pub detail: String,
}
