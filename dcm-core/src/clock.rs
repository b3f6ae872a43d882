//! The ports to what differs from run to run: the time and chance.

use std::fmt;

use jiff::Timestamp;

/// The wall clock. It may jump; nothing that must be right rests on it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// A source of random bytes that nobody can guess.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Sixteen random bytes.
    fn bytes(&self) -> [u8; 16];
}
