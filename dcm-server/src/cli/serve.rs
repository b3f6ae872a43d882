use std::pin::pin;

use anyhow::Context as _;
use tokio::signal::unix::Signal;

use crate::{Config, shutdown};

pub(super) fn run(config: Config) -> anyhow::Result<()> {
    super::log(&config.log, config.log_format)?;
    crate::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        // Who sees that it serves may stop it at once.
        let mut requested = pin!(shutdown::requested()?);
        // Without files there is nothing to read again, and SIGHUP ends the process as it always does.
        let mut hangups = config.tls.has_files().then(shutdown::hangups).transpose()?;
        let server = tokio::select! {
            biased;
            signal = &mut requested => {
                tracing::info!(signal, "stopped while starting");
                return Ok(());
            }
            server = crate::start(config) => server?,
        };
        tracing::info!(address = %server.http_addr(), tls = server.is_http_secure(), "serving HTTP");
        tracing::info!(address = %server.grpc_addr(), tls = server.is_grpc_secure(), "serving gRPC");
        let signal = loop {
            tokio::select! {
                signal = &mut requested => break signal,
                Some(()) = next(&mut hangups) => {
                    tracing::info!("SIGHUP: taking certificates, keys and CAs that have changed");
                    server.reload_tls().await;
                }
            }
        };
        tracing::info!(signal, "stopping");
        server.stop().await;
        Ok(())
    })
}

async fn next(hangups: &mut Option<Signal>) -> Option<()> {
    match hangups {
        Some(hangups) => hangups.recv().await,
        None => std::future::pending().await,
    }
}
