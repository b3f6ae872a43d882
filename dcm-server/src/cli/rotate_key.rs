//! `dcm-server rotate-key`: gives the key file a new key.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use dcm_store::encryption::{Change, Keyring, KeyringError, rotate};

/// Give the key file a new key. The old ones stay: the server needs them until every document is encrypted anew.
///
/// With one server: rotate-key, then restart it. It encrypts everything with the new key while it works, and says which
/// lines can be removed when that is done. With several servers: --prepare, copy the file to all and restart them;
/// then --make-current with the id that was printed, copy and restart again.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RotateKey {
    /// The key file.
    #[arg(long, env = "DCM_ENCRYPTION_KEY_FILE", value_name = "FILE")]
    pub encryption_key_file: PathBuf,

    /// Put the new key second: servers open with it, and do not encrypt with it yet.
    #[arg(long, conflicts_with = "make_current")]
    pub prepare: bool,

    /// Make no new key; put the one with this id first.
    #[arg(long, value_name = "ID")]
    pub make_current: Option<String>,
}

/// Why a key file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateKeyError {
    /// The key file cannot be changed; it is as it was.
    #[error("--encryption-key-file was not changed")]
    Key(#[from] KeyringError),
    /// The key file was changed, and what is to be done then could not be printed.
    #[error("the key file was changed, and the keys' ids could not be printed")]
    Output(#[from] io::Error),
}

impl RotateKey {
    /// Changes the key file, and writes the keys' ids and what is to be done next.
    ///
    /// # Errors
    /// [`RotateKeyError`].
    pub fn run(&self, out: &mut impl Write) -> Result<(), RotateKeyError> {
        let change = match &self.make_current {
            Some(id) => Change::MakeCurrent(id.clone()),
            None if self.prepare => Change::Prepare,
            None => Change::NewCurrent,
        };
        let keyring = rotate(&self.encryption_key_file, &change)?;
        self.report(&keyring, out)?;
        Ok(())
    }

    fn report(&self, keyring: &Keyring, out: &mut impl Write) -> io::Result<()> {
        let file = self.encryption_key_file.display();
        let mut ids = keyring.ids();
        writeln!(out, "{file} has these keys now:")?;
        writeln!(out, "  {}  current: encrypts", ids.next().unwrap_or_default())?;
        if self.prepare {
            writeln!(out, "  {}  new: is not used yet", ids.next().unwrap_or_default())?;
        }
        for id in ids {
            writeln!(out, "  {id}  older: decrypts")?;
        }
        if self.prepare {
            let new = keyring.ids().nth(1).unwrap_or_default();
            writeln!(out, "Next: give this file to every server and restart each. When all of them have it, run")?;
            writeln!(out, "  dcm-server rotate-key --encryption-key-file {file} --make-current {new}")?;
            return writeln!(out, "and do the same again.");
        }
        writeln!(
            out,
            "Next: restart the server (several: give this file to each, then restart them; all must have had"
        )?;
        writeln!(
            out,
            "the current key before, see --prepare). It encrypts everything with the current key while it works;"
        )?;
        writeln!(
            out,
            "GET /v2/encryption and its log show how far it is. Keep the older lines until it says that they can"
        )?;
        writeln!(out, "be removed, and keep a copy of this file: without it the data cannot be read.")
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        rotate_key: RotateKey,
    }

    fn run(options: &[&str]) -> Result<String, String> {
        let cli = Cli::try_parse_from(std::iter::once(&"x").chain(options)).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        cli.rotate_key.run(&mut out).map_err(|error| crate::telemetry::chain(&error).to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn prints_ids_and_what_is_next_and_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        let old = Keyring::load_or_create(&path).unwrap().current_id().to_owned();
        let file = path.to_str().unwrap();
        let printed = run(&["--encryption-key-file", file]).unwrap();
        let new = Keyring::load(&path).unwrap().current_id().to_owned();
        assert!(printed.contains(&format!("{new}  current")), "{printed}");
        assert!(printed.contains(&format!("{old}  older")), "{printed}");
        assert!(printed.contains("restart") && printed.contains("/v2/encryption"), "{printed}");
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            assert!(!printed.contains(line.strip_prefix("dcm-key-v1:").unwrap()), "a key was printed");
        }
    }

    #[test]
    fn a_roll_out_over_several_servers_is_prepared_and_then_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        let old = Keyring::load_or_create(&path).unwrap().current_id().to_owned();
        let file = path.to_str().unwrap();
        let printed = run(&["--encryption-key-file", file, "--prepare"]).unwrap();
        let new = Keyring::load(&path).unwrap().ids().nth(1).unwrap().to_owned();
        assert!(printed.contains(&format!("{old}  current")), "{printed}");
        assert!(printed.contains(&format!("{new}  new")) && printed.contains(&format!("--make-current {new}")));
        run(&["--encryption-key-file", file, "--make-current", &new]).unwrap();
        assert_eq!(Keyring::load(&path).unwrap().ids().collect::<Vec<_>>(), [&new, &old]);
    }

    #[test]
    fn says_what_is_wrong_with_the_options_and_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        let error = run(&["--encryption-key-file", missing.to_str().unwrap()]).unwrap_err();
        assert!(error.contains("--encryption-key-file") && error.contains("missing"), "{error}");
        assert!(run(&["--prepare"]).unwrap_err().contains("--encryption-key-file"));
        let both = ["--encryption-key-file", "/k", "--prepare", "--make-current", "id"];
        assert!(run(&both).unwrap_err().contains("cannot be used with"));
    }
}
