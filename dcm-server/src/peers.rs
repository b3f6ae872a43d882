//! Processes in other roles, reached over gRPC.

mod address;
mod hints;

pub(crate) use address::Place;
pub(crate) use hints::{Hints, HintsHandle, HintsSeed};
