//! What was acknowledged survives a killed process, a lost page cache and a full disk; a store that is damaged or taken
//! says so.
//!
//! Each test runs its writers in a child process: this program again, with [`child::work`] as its only test.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that fails says where, and one that is left out says so"
)]
#![cfg(all(feature = "sled", unix))]

mod child;
mod damage;
mod denied;
mod full;
mod kill;
mod locked;
mod power;

use std::{error::Error, path::Path, sync::Arc};

use dcm_core::store::{Body, Key, Store};
use dcm_store::OpenError;
use dcm_test_utils::environment::{skip, variable};

async fn open(place: &Path) -> Arc<dyn Store> {
    try_open(place).await.expect("the store opens")
}

async fn try_open(place: &Path) -> Result<Arc<dyn Store>, OpenError> {
    let config = dcm_store::SledConfig::new(place);
    dcm_store::open(dcm_store::Config::Sled(config)).await
}

/// An error with all that it comes from, as it is logged.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text.replace('\n', " ")
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

/// A document that shows whether it is whole: every part of it is made of its numbers.
fn document(writer: u64, n: u64, length: usize) -> Body {
    let piece = format!("{writer}:{n};");
    let text = piece.repeat(length / piece.len() + 1);
    Body::from_json(format!("{{\"writer\":{writer},\"n\":{n},\"text\":\"{text}\"}}").into_bytes())
}
