//! What is said at the end.

use std::collections::HashSet;

use dcm_store::encryption::Keyring;

use crate::config::StoreOptions;

/// Which of these keys the key file lacks, and says so.
#[expect(clippy::print_stderr, reason = "this is what the command shows")]
pub(super) fn warn_of_keys(storage: &StoreOptions, ids: &[String]) {
    if ids.is_empty() {
        return;
    }
    let Some(file) = storage.key_file() else {
        eprintln!(
            "warning: secrets are sealed with {}: start the server with --encryption-key-file and the file that has it",
            list(ids)
        );
        return;
    };
    let known: HashSet<String> = if file.exists() {
        match Keyring::load(&file) {
            Ok(keyring) => keyring.ids().map(str::to_owned).collect(),
            Err(error) => {
                eprintln!("warning: {error}");
                HashSet::new()
            }
        }
    } else {
        HashSet::new()
    };
    let missing: Vec<String> = ids.iter().filter(|id| !known.contains(*id)).cloned().collect();
    if !missing.is_empty() {
        let remedy = if known.is_empty() { "put" } else { "add the lines of" };
        eprintln!(
            "warning: secrets are sealed with {}, which {} does not have: {remedy} the key file of the exported store there \
             before a server starts",
            list(&missing),
            file.display()
        );
    }
}

pub(super) fn list(ids: &[String]) -> String {
    let noun = if ids.len() == 1 { "the encryption key" } else { "the encryption keys" };
    format!("{noun} {}", ids.join(", "))
}

#[expect(clippy::print_stderr, reason = "this is what the command shows")]
pub(super) fn say(text: &str, quiet: bool) {
    if !quiet {
        eprintln!("{text}");
    }
}
