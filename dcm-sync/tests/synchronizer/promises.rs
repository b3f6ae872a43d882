//! The promises, each for any cluster.

pub(crate) mod apply;
pub(crate) mod drift;
pub(crate) mod ownership;
pub(crate) mod prune;
pub(crate) mod removal;
pub(crate) mod rights;
pub(crate) mod sign;
