//! Processes in other roles, reached over gRPC.

mod address;
mod hints;
mod peer;

pub(crate) use address::Place;
pub(crate) use hints::{Hints, HintsHandle, HintsSeed};
pub(crate) use peer::{LOOK_EVERY, Peer, Reach, WITHIN, reason};
