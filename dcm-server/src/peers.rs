//! Processes in other roles, reached over gRPC.

mod address;
mod gateway;
mod hints;
mod link;

pub(crate) use address::Place;
pub(crate) use gateway::SynchronizerGateway;
pub(crate) use hints::{Hints, HintsHandle, HintsSeed};
pub(crate) use link::{LOOK_EVERY, Link, NoWay, WITHIN, reason};
