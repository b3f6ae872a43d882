//! Messages from what the core has, and what the core takes from messages: one file per resource.

pub(super) mod cloud_status;
pub(super) mod cluster;
pub(super) mod cluster_label;
pub(super) mod controller;
pub(super) mod kv_pair;
pub(super) mod logical_cloud;
pub(super) mod metadata;
pub(super) mod object;
pub(super) mod order;
pub(super) mod permission;
pub(super) mod preview;
pub(super) mod quota;
pub(super) mod reference;

use dcm_core::store::Revision;
use jiff::Timestamp;

/// The state of a document, as a client gives it back.
fn etag(revision: &Revision) -> String {
    format!("\"{revision}\"")
}

fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}
