//! Stored documents, as the first release writes them. A golden file is never edited: another shape is
//! another version, with an upgrade from this one and a file of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod clusters;
mod installation;
mod keys;
mod lifecycle;
mod logical_clouds;

use std::{fmt::Debug, path::Path};

use dcm_core::{
    model::{Metadata, SecretKind, Uid},
    secret::Sealed,
    store::{Body, Key, Stored},
};
use jiff::Timestamp;

/// The golden file must be read as this value, and this value be written as the golden file.
#[track_caller]
fn holds<T: Stored + PartialEq + Debug>(value: &T) {
    holds_as(value, "");
}

/// The same for another form of the same version: with fields that came later.
#[track_caller]
fn holds_as<T: Stored + PartialEq + Debug>(value: &T, form: &str) {
    let key: Key = "golden/file".parse().unwrap();
    let file = format!("tests/golden/documents/{}.v{}{form}.json", T::KIND, T::VERSION);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let written: serde_json::Value = serde_json::from_slice(Body::write(&key, value).unwrap().as_bytes()).unwrap();
    let Ok(golden) = std::fs::read(&path) else {
        panic!("{} is missing; it should hold\n{written:#}", path.display());
    };
    assert_eq!(Body::from_json(golden.clone()).read::<T>(&key).unwrap(), *value, "{}", path.display());
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&golden).unwrap(), written, "{}", path.display());
}

fn uid(n: u8) -> Uid {
    Uid::from_random([n; 16])
}

fn time() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn sealed() -> Sealed {
    Sealed { key_id: "0123456789abcdef".to_owned(), nonce: vec![1; 12], ciphertext: vec![2; 20] }
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: Debug,
{
    text.parse().unwrap()
}

fn metadata<N: std::str::FromStr>(text: &str) -> Metadata<N>
where
    N::Err: Debug,
{
    Metadata { description: "a description".to_owned(), user_data1: "one".to_owned(), ..Metadata::named(name(text)) }
}

/// Where in a document a sealed value lies, as JSON pointers.
fn sealed_values(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    let serde_json::Value::Object(fields) = value else {
        if let serde_json::Value::Array(items) = value {
            items.iter().enumerate().for_each(|(i, item)| sealed_values(item, &format!("{at}/{i}"), found));
        }
        return;
    };
    if ["key-id", "nonce", "ciphertext"].iter().all(|field| fields.contains_key(*field)) {
        found.push(at.to_owned());
    }
    fields.iter().for_each(|(name, field)| sealed_values(field, &format!("{at}/{name}"), found));
}

/// A sealed value that a pass does not know would be lost with the key that it was sealed with.
#[test]
fn every_sealed_value_is_one_that_a_new_key_finds() {
    let mut seen: Vec<(String, String)> = Vec::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/documents")).unwrap() {
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let kind = golden["kind"].as_str().unwrap().to_owned();
        let mut found = Vec::new();
        sealed_values(&golden["document"], "", &mut found);
        seen.extend(found.into_iter().map(|pointer| (kind.clone(), pointer)));
    }
    seen.sort();
    seen.dedup();
    let mut known: Vec<(String, String)> = SecretKind::all()
        .iter()
        .flat_map(|kind| kind.sealed.iter().map(|pointer| (kind.kind.to_owned(), (*pointer).to_owned())))
        .collect();
    known.sort();
    assert_eq!(seen, known, "the golden files hold sealed values that SecretKind does not name, or fewer");
}
