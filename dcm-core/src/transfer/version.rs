//! Documents that this release could not read.

use std::borrow::Cow;

use serde::Deserialize;

use super::Unfinished;
use crate::{
    model::{
        Applied, CertificateAuthority, Cluster, ClusterHealth, ClusterProvider, ClusterReference, ClusterStatus,
        ClusterUse, Controller, Credential, Encryption, Installation, IntermediateCa, KvPair, LogicalCloud, Member,
        Order, PendingForget, Project, Quota, ReferencePage, Renewal, Reservation,
    },
    store::Stored,
};

/// Every kind of document, and the version of it that this release writes.
const KINDS: &[(&str, u32)] = &[
    of::<Applied>(),
    of::<CertificateAuthority>(),
    of::<Cluster>(),
    of::<ClusterHealth>(),
    of::<ClusterProvider>(),
    of::<ClusterReference>(),
    of::<ClusterStatus>(),
    of::<ClusterUse>(),
    of::<Controller>(),
    of::<Credential>(),
    of::<Encryption>(),
    of::<Installation>(),
    of::<IntermediateCa>(),
    of::<KvPair>(),
    of::<LogicalCloud>(),
    of::<Member>(),
    of::<Order>(),
    of::<PendingForget>(),
    of::<Project>(),
    of::<Quota>(),
    of::<ReferencePage>(),
    of::<Renewal>(),
    of::<Reservation>(),
    of::<Unfinished>(),
];

const fn of<T: Stored>() -> (&'static str, u32) {
    (T::KIND, T::VERSION)
}

/// What a document says of itself.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    version: u64,
}

/// Fails where a document's version is more than one ahead; see [`Stored`]. The error says so without quoting it.
pub(super) fn refuse_too_new(body: &str) -> Result<(), String> {
    let Ok(head) = serde_json::from_str::<Head<'_>>(body) else { return Ok(()) };
    match KINDS.iter().find(|(kind, _)| *kind == head.kind) {
        Some((kind, version)) if head.version > u64::from(*version) + 1 => Err(format!(
            "a newer release wrote this {kind}: its version {} is more than one ahead of {version}; import it with a newer release",
            head.version
        )),
        _ => Ok(()),
    }
}
