#![allow(dead_code, reason = "each test uses a part")]

use std::{fs, path::PathBuf, process::Command};

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// The OpenSSL program, working in a folder of its own.
pub(crate) struct OpenSsl(tempfile::TempDir);

pub(crate) fn openssl() -> Option<OpenSsl> {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        #[allow(clippy::disallowed_methods)] // A switch of the tests, not of the program.
        let required = std::env::var("DCM_TEST_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(!required, "no openssl on PATH, and DCM_TEST_REQUIRE_REAL=1");
        println!("SKIPPED (no openssl on PATH): install the package openssl");
        return None;
    }
    Some(OpenSsl(tempfile::tempdir().unwrap()))
}

impl OpenSsl {
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments).unwrap_or_else(|error| panic!("openssl {arguments:?}: {error}"))
    }

    /// What it writes; where it fails, what it complains of.
    pub(crate) fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("openssl").args(arguments).current_dir(self.0.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }
}
