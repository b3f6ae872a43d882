//! What requests and answers look like: one file per resource, on a small reader that collects every fault.

mod access;
mod cluster;
mod cluster_label;
mod controller;
mod emco_status;
mod encryption;
mod kv_pair;
mod logical_cloud;
mod metadata;
mod number;
mod order;
mod permission;
mod preview;
mod problem;
mod quota;
mod reader;
mod reference;
mod shapes;
mod status;
mod tree;
pub(crate) mod yaml;

use dcm_core::fault::Faults;
use serde_json::Value;

pub(crate) use access::RevokedAnswer;
pub(crate) use cluster::{ClusterAnswer, ClusterBody, ClusterOrNameSchema, capabilities, from_multipart};
pub(crate) use cluster_label::{ClusterLabelAnswer, ClusterLabelBody};
pub(crate) use controller::{ControllerAnswer, ControllerBody};
pub(crate) use emco_status::{
    EmcoQuery, EmcoStatus, List, Output, Source, StatusSchema, instance, is_deployed, is_object_deployed,
    is_object_ready,
};
pub(crate) use encryption::EncryptionAnswer;
pub(crate) use kv_pair::{KvPairAnswer, KvPairBody, KvPairOrValueSchema, KvValueAnswer};
pub(crate) use logical_cloud::{LogicalCloudAnswer, LogicalCloudBody, UserKey};
pub(crate) use metadata::{RecordAnswer, RecordBody, RecordSchema};
pub(crate) use order::{AcceptedAnswer, AppliedAnswer};
pub(crate) use permission::{PermissionAnswer, PermissionBody, PermissionsAnswer};
pub(crate) use preview::{DiffAnswer, DiffSchema, Manifests, ManifestsAnswer, ManifestsAnswerSchema};
pub(crate) use problem::ProblemSchema;
pub(crate) use quota::{QuotaAnswer, QuotaBody};
pub(crate) use reader::{Differing, Object, Remarks, plain};
pub(crate) use reference::{ReferenceAnswer, ReferenceBody};
pub(crate) use shapes::NameSchema;
pub(crate) use status::StatusAnswer;
use tree::Pointer;
pub(crate) use tree::{Node, NotJson};

use reader::Findings;

/// An input of the core, as it is read from a request's body.
pub(crate) trait Input: Sized {
    /// Reads all of it; what is wrong or unknown is noted by the reader.
    fn read(body: &Object<'_>) -> Self;
}

/// What a body held.
pub(crate) struct Read<T> {
    pub(crate) input: T,
    pub(crate) faults: Faults,
    pub(crate) remarks: Remarks,
}

/// Reads a body of so many levels at most.
pub(crate) fn read<T: Input>(body: &[u8], deepest: usize) -> Result<Read<T>, NotJson> {
    let node = Node::parse(body, deepest)?;
    let findings = Findings::default();
    let input = T::read(&Object::root(&node, &findings));
    let (faults, remarks) = findings.into_parts();
    Ok(Read { input, faults, remarks })
}

/// Reads a value that came as a text of JSON of so many levels at most. What is wrong is noted at the pointer, without quoting it.
pub(crate) fn value(text: &str, at: &str, deepest: usize, faults: &mut Faults) -> Value {
    match Node::parse(text.as_bytes(), deepest) {
        Ok(node) => node.to_value(Pointer::Of(at), &mut |at, detail| faults.add(at.to_string(), detail)),
        Err(error) => {
            faults.add(at, format!("must be the text of a JSON value, and {error}"));
            Value::Null
        }
    }
}

/// What a patch makes of what is there.
pub(crate) struct Merged<T> {
    pub(crate) read: Read<T>,
    /// Whether it makes a difference.
    pub(crate) is_changed: bool,
}

/// Reads a JSON merge patch (RFC 7396) of what is there already.
pub(crate) fn merge<T: Input>(patch: &Node, present: &Node) -> Merged<T> {
    let findings = Findings::default();
    let input = T::read(&Object::patch(patch, present, &findings));
    let is_changed = findings.is_changed();
    let (faults, remarks) = findings.into_parts();
    Merged { read: Read { input, faults, remarks }, is_changed }
}
