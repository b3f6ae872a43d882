//! `dcm-server config`: shows what is in force.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};

use super::Cli;
use crate::config::{self, Config, Given};

/// What is looked at: everything that serving takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ConfigOptions {
    /// What would be served.
    #[command(flatten)]
    pub serve: Config,

    /// It, as a file.
    #[arg(skip)]
    pub(super) shown: String,
}

impl ConfigOptions {
    pub(super) fn shown(&self, given: &Given) -> Result<String, clap::Error> {
        let config = self.serve.clone().checked()?;
        let command = config::prepare(Cli::command());
        let matches = given.matches.subcommand().map_or(&given.matches, |(_, matches)| matches);
        Ok(config::shown(given, &command, matches, &config))
    }
}

#[expect(clippy::print_stderr, reason = "what is shown is no place for it, and there is no log")]
pub(super) fn run(options: &ConfigOptions) -> anyhow::Result<()> {
    for fault in config::unknown_variables(Cli::command()) {
        eprintln!("dcm-server: {fault}");
    }
    match io::stdout().lock().write_all(options.shown.as_bytes()) {
        // Who reads no further has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        done => done?,
    }
    // Each value is right, and together they are no server.
    Ok(crate::assemble::check(&options.serve)?)
}
