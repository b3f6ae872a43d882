//! The CA that is built in, with real cryptography: what it promises, on memory and on sled.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Helpers of tests; clippy.toml knows the tests themselves only.

mod broken;
mod conformance;
mod judged;
mod keeping;
mod profile;

#[path = "../credential/openssl.rs"]
mod openssl;
