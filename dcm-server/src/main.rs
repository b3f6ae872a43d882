//! The DCM server.

mod allocator;

use std::process::ExitCode;

use dcm_server::Cli;

fn main() -> ExitCode {
    Cli::read().run()
}
