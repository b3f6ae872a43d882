//! What a test is told from outside, and what it does where something that it needs is not there.

#![allow(clippy::print_stdout, reason = "what is left out is said")]

/// A variable of the environment, where it is set to something.
#[allow(clippy::disallowed_methods, reason = "a test's own knob")]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says what is left out, and why.
///
/// # Panics
/// Where `DCM_TEST_REQUIRE_REAL=1` demands that nothing is.
pub fn skip(reason: &str, what: &str) {
    println!("SKIPPED ({reason}): {what}");
    let demanded = variable("DCM_TEST_REQUIRE_REAL").is_some_and(|value| value == "1");
    assert!(!demanded, "DCM_TEST_REQUIRE_REAL=1, but {reason}");
}
