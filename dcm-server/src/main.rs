//! The DCM server.

use std::process::ExitCode;

use anyhow::Context as _;
use dcm_server::{Config, shutdown, telemetry};

#[expect(clippy::print_stderr, reason = "there may be no log to write to")]
fn main() -> ExitCode {
    let config = Config::read();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dcm-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> anyhow::Result<()> {
    telemetry::init(&config.log, config.log_format)?;
    dcm_server::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let server = dcm_server::start(config).await?;
        tracing::info!(address = %server.http_addr(), "serving HTTP");
        let signal = shutdown::requested().await?;
        tracing::info!(signal, "stopping");
        server.stop().await;
        Ok(())
    })
}
