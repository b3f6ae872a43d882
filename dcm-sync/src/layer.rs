//! Synchronizers around a synchronizer.

mod limited;
mod timeouts;

pub use limited::Limited;
pub use timeouts::Timeouts;
