//! The two ports that only a program itself can fill: its clock and its chance.

use dcm_core::clock::{Clock, Entropy};
use jiff::Timestamp;

/// This machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the port's home here")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// This machine's random bytes.
#[derive(Debug)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    #[allow(clippy::expect_used, reason = "ids that can be guessed are worse than none")]
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes).expect("random bytes of the system");
        bytes
    }
}
