//! The DCM server.

use std::process::ExitCode;

use dcm_server::Cli;

fn main() -> ExitCode {
    Cli::read().run()
}
