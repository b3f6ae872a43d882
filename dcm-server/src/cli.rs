//! The command line: the server, and the commands that work on its store.

mod export;
mod import;
mod progress;
pub mod rotate_key;
mod serve;
mod summary;

use std::{ffi::OsString, future::Future, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use dcm_core::store::Store;

use crate::{
    config::{Config, LogFormat, StoreOptions},
    shutdown, telemetry,
};

/// The Distributed Cloud Manager: logical clouds over many Kubernetes clusters.
///
/// Without a command it serves. Every option can also be given as an environment variable; the command line wins.
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
    Export(export::ExportOptions),
    /// Read everything from such a file into a store: all of it, or nothing.
    Import(import::ImportOptions),
    /// Give the key file a new key.
    RotateKey(rotate_key::RotateKey),
}

impl Cli {
    /// Reads the command line and the environment of this process; ends it with a message where that
    /// cannot be read, or where help was asked for.
    #[must_use]
    pub fn read() -> Self {
        Self::from_options(std::env::args_os().skip(1)).unwrap_or_else(|error| error.exit())
    }

    /// Reads options, without a program's name before them, and the environment.
    ///
    /// # Errors
    /// A message that names the option and what is allowed.
    pub fn from_options<T: Into<OsString> + Clone>(options: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let name = std::iter::once(OsString::from("dcm-server"));
        let cli = Self::try_parse_from(name.chain(options.into_iter().map(Into::into)))?;
        let storage = match &cli.command {
            Some(Command::Export(options)) => Some(&options.storage),
            Some(Command::Import(options)) => Some(&options.storage),
            Some(Command::RotateKey(_)) | None => None,
        };
        if storage.is_some_and(|storage| storage.store == dcm_store::Config::Memory) {
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
            Some(Command::Export(options)) => command(export::run(options)),
            Some(Command::Import(options)) => command(import::run(options)),
            Some(Command::RotateKey(args)) => args.run(&mut std::io::stdout()).map_err(Into::into),
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

/// Runs a command to its end, or until a signal drops it.
fn command(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    telemetry::init("warn", LogFormat::Text)?;
    crate::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            signal = shutdown::requested() => anyhow::bail!("stopped by {}", signal?),
        }
    })
}

/// Opens the store; `existing` where nothing is to be made in the place of what is missing.
async fn open(storage: &StoreOptions, existing: bool) -> anyhow::Result<Arc<dyn Store>> {
    if let dcm_store::Config::Sled(sled) = &storage.store
        && existing
        && !sled.path.is_dir()
    {
        anyhow::bail!("--store: there is no directory {}", sled.path.display());
    }
    dcm_store::open(storage.store.clone()).await.context("--store cannot be opened")
}
