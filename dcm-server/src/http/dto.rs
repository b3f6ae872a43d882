//! What requests and answers look like: one file per resource, on a small reader that collects every fault.

mod access;
mod cluster;
mod encryption;
mod kv_pair;
mod logical_cloud;
mod metadata;
mod number;
mod order;
mod permission;
mod preview;
mod quota;
mod reader;
mod reference;
mod status;
mod tree;
pub(crate) mod yaml;

use dcm_core::fault::Faults;

pub(crate) use access::RevokedAnswer;
pub(crate) use cluster::{ClusterAnswer, from_multipart};
pub(crate) use encryption::EncryptionAnswer;
pub(crate) use kv_pair::KvPairAnswer;
pub(crate) use logical_cloud::{LogicalCloudAnswer, UserKey};
pub(crate) use metadata::RecordAnswer;
pub(crate) use order::{AcceptedAnswer, AppliedAnswer};
pub(crate) use permission::{PermissionAnswer, PermissionsAnswer};
pub(crate) use preview::{DiffAnswer, Manifests, ManifestsAnswer};
pub(crate) use quota::QuotaAnswer;
pub(crate) use reader::Object;
pub(crate) use reference::ReferenceAnswer;
pub(crate) use status::StatusAnswer;
pub(crate) use tree::NotJson;

use reader::Findings;
use tree::Node;

/// An input of the core, as it is read from a request's body.
pub(crate) trait Input: Sized {
    /// Reads all of it; what is wrong or unknown is noted by the reader.
    fn read(body: &Object<'_>) -> Self;
}

/// What a body held.
pub(crate) struct Read<T> {
    pub(crate) input: T,
    pub(crate) faults: Faults,
    /// Pointers of fields that nobody knows.
    pub(crate) unknown: Vec<String>,
}

/// Reads a body of so many levels at most.
pub(crate) fn read<T: Input>(body: &[u8], deepest: usize) -> Result<Read<T>, NotJson> {
    let node = Node::parse(body, deepest)?;
    let findings = Findings::default();
    let input = T::read(&Object::root(&node, &findings));
    let (faults, unknown) = findings.into_parts();
    Ok(Read { input, faults, unknown })
}
