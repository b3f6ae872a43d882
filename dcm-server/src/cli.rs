//! The command line: the server, and the commands that work on its store.

mod config;
#[cfg(test)]
mod docs;
mod export;
mod import;
mod progress;
pub mod rotate_key;
mod serve;
mod summary;

use std::{ffi::OsString, future::Future, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};
use dcm_core::store::Store;

use crate::{
    config::{self as configuration, Config, LogFormat, StoreOptions},
    shutdown, telemetry,
};

/// How long work that was stopped may take to leave.
const LEAVE: Duration = Duration::from_secs(1);

/// The Distributed Cloud Manager: logical clouds over many Kubernetes clusters.
///
/// Without a command it serves. Every option of that can also be given as an environment variable, or in a file (--config);
/// the command line wins, then the environment.
#[derive(Clone, Debug, Parser, PartialEq, Eq)]
#[command(name = "dcm-server", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What is done instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How it serves.
    #[command(flatten)]
    pub serve: Config,
}

/// What can be done instead of serving.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Write everything that a store holds to a file: the backup, and the way to another store.
    ///
    /// Private keys and kubeconfigs stay encrypted in it: keep the key file too, and apart from it. With sled, stop the
    /// server before; with MongoDB the servers may run.
    Export(export::ExportOptions),
    /// Read everything from such a file into a store: all of it, or nothing.
    ///
    /// Stop the servers that use the store before. When it is cut off, the store is marked and no server starts on it: run it
    /// again with the same file and options, and it goes on; or empty the store.
    Import(import::ImportOptions),
    /// Give the key file a new key. The old ones stay: the server needs them until every document is encrypted anew.
    ///
    /// With one server: rotate-key, then restart it. It encrypts everything with the new key while it works, and says which
    /// lines can be removed when that is done. With several servers: --prepare, copy the file to all and restart them;
    /// then --make-current with the id that was printed, copy and restart again.
    RotateKey(rotate_key::RotateKey),
    /// Show what is in force, as a file for --config, with where each value comes from. Nothing is started.
    ///
    /// Passwords are hidden, and a file in which one is hidden is refused.
    Config(Box<config::ConfigOptions>),
}

impl Cli {
    /// Reads the command line and the environment of this process; ends it with a message where that
    /// cannot be read, or where help was asked for.
    #[must_use]
    pub fn read() -> Self {
        Self::from_options(std::env::args_os().skip(1)).unwrap_or_else(|error| error.exit())
    }

    /// Reads options, without a program's name before them, the environment, and the file that `--config` or `DCM_CONFIG`
    /// names.
    ///
    /// # Errors
    /// A message that names each wrong value, where it was given, and what is allowed.
    pub fn from_options<T: Into<OsString> + Clone>(options: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let given = configuration::read(Self::command(), options.into_iter().map(Into::into).collect())?;
        let mut cli = Self::from_arg_matches(&given.matches)?;
        let storage = match &mut cli.command {
            Some(Command::Export(options)) => &options.storage,
            Some(Command::Import(options)) => &options.storage,
            Some(Command::Config(options)) => {
                options.shown = options.shown(&given)?;
                return Ok(cli);
            }
            Some(Command::RotateKey(_)) => return Ok(cli),
            None => return Ok(Self { serve: cli.serve.checked()?, ..cli }),
        };
        if storage.store == dcm_store::Config::Memory {
            let advice = "--store memory: keeps nothing beyond this command: name a store that lasts";
            return Err(Self::command().error(ErrorKind::ValueValidation, advice));
        }
        Ok(cli)
    }

    /// Does what was asked; what went wrong is written to standard error.
    #[expect(clippy::print_stderr, reason = "there may be no log to write to")]
    #[must_use]
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            None => serve::run(self.serve),
            Some(Command::Export(options)) => export::run(&options),
            Some(Command::Import(options)) => import::run(&options),
            Some(Command::RotateKey(args)) => args.run(&mut std::io::stdout()).map_err(Into::into),
            Some(Command::Config(options)) => config::run(&options),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("dcm-server: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

/// What a command logs.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// What is logged: error, warn, info, debug or trace, or directives such as info,dcm_store=debug.
    #[arg(long, env = "DCM_LOG", value_name = "FILTER", default_value = "warn")]
    pub log: String,

    /// How it is logged.
    #[arg(long, env = "DCM_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Sets the log up, and says there what was probably misspelt.
fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    telemetry::init(filter, format)?;
    for fault in configuration::unknown_variables(Cli::command()) {
        tracing::warn!("{fault}");
    }
    Ok(())
}

/// Runs a command to its end, or until a signal drops it; `state` then says what that leaves behind.
fn command(
    log: &LogOptions,
    work: impl Future<Output = anyhow::Result<()>>,
    state: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    self::log(&log.log, log.log_format)?;
    crate::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let done = runtime.block_on(async {
        let requested = shutdown::requested()?;
        tokio::select! {
            biased;
            signal = requested => anyhow::bail!("stopped by {signal}: {}", state()),
            done = work => done,
        }
    });
    // What reads standard input may never come to an end.
    runtime.shutdown_timeout(LEAVE);
    done
}

/// Opens the store; `existing` where nothing is to be made in the place of what is missing.
async fn open(storage: &StoreOptions, existing: bool) -> anyhow::Result<Arc<dyn Store>> {
    let store = storage.store.clone();
    let store = if existing { store.existing() } else { store };
    dcm_store::open(store).await.context("--store cannot be opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said for one run, and not for all runs in a place.
    const ONCE: [&str; 10] =
        ["help", "version", "output", "force", "quiet", "file", "merge", "keep_existing", "overwrite", "prepare"];

    fn without_variable(command: &clap::Command) -> Vec<String> {
        let options = command.get_arguments().filter(|option| option.get_env().is_none());
        options.map(|option| option.get_id().to_string()).collect()
    }

    #[test]
    fn every_option_has_an_environment_variable_or_is_about_one_run() {
        Cli::command().debug_assert();
        let mut cli = Cli::command();
        cli.build();
        assert_eq!(without_variable(&cli), ["help", "version"]);
        for command in ["export", "import", "rotate-key"] {
            let found = without_variable(cli.find_subcommand(command).unwrap());
            let unknown: Vec<_> =
                found.iter().filter(|id| !ONCE.contains(&id.as_str()) && *id != "make_current").collect();
            assert!(unknown.is_empty(), "{command}: {unknown:?}");
        }
    }

    #[test]
    fn the_same_variable_names_the_same_option_everywhere() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            for option in command.get_arguments().filter(|option| option.get_env().is_some()) {
                let there = cli.get_arguments().find(|other| other.get_env() == option.get_env()).unwrap();
                assert_eq!(there.get_long(), option.get_long(), "{}", command.get_name());
            }
        }
    }

    #[test]
    fn every_help_says_what_is_done_and_what_to_mind() {
        for command in ["export", "import", "rotate-key", "config"] {
            let error = Cli::from_options([command, "--help"]).unwrap_err();
            let text = error.to_string();
            assert!(error.kind() == ErrorKind::DisplayHelp && text.contains("Usage: dcm-server"), "{text}");
            let about = text.split("Usage:").next().unwrap_or_default();
            assert!(about.trim().lines().count() > 2, "{command}: {about}");
        }
    }
}
