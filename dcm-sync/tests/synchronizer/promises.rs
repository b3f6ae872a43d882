//! The promises, each for any cluster.

pub(crate) mod apply;
pub(crate) mod changes;
pub(crate) mod compare;
pub(crate) mod cut_off;
pub(crate) mod drift;
pub(crate) mod ownership;
pub(crate) mod prune;
pub(crate) mod removal;
pub(crate) mod rights;
pub(crate) mod scopes;
pub(crate) mod sign;
pub(crate) mod token;
