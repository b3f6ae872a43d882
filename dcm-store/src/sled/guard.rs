//! Calls of sled that may panic: it meets some kinds of damage that way.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ::sled::Error;

/// What is left of a text that may hold a document's content.
const MOST: usize = 200;

/// Makes a panic of sled's an [`Error::ReportableBug`].
///
/// sled's locks are let go by unwinding and poison nothing. What it left half done inside is why nobody may write
/// afterwards.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // Nothing of ours is changed within such a call.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Error::ReportableBug(said(&*panic))))
}

/// The beginning of what a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason was given").chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::panic, reason = "a panic is what is looked at")]
    fn a_panic_becomes_an_error_with_the_beginning_of_what_it_said() {
        let bug = guarded(|| -> Result<(), Error> { panic!("{}{}", 7, "x".repeat(1000)) });
        assert!(matches!(bug, Err(Error::ReportableBug(text)) if text.starts_with("7x") && text.len() == MOST));
        assert!(matches!(guarded(|| Ok(7)), Ok(7)));
    }
}
