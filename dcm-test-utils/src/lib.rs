//! Fakes, builders and conformance suites for tests of DCM and of what embeds it
