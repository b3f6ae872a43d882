use std::pin::pin;

use anyhow::Context as _;

use crate::{Config, shutdown};

pub(super) fn run(config: Config) -> anyhow::Result<()> {
    super::log(&config.log, config.log_format)?;
    crate::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        // Who sees that it serves may stop it at once.
        let mut requested = pin!(shutdown::requested()?);
        let server = tokio::select! {
            biased;
            signal = &mut requested => {
                tracing::info!(signal, "stopped while starting");
                return Ok(());
            }
            server = crate::start(config) => server?,
        };
        tracing::info!(address = %server.http_addr(), "serving HTTP");
        let signal = requested.await;
        tracing::info!(signal, "stopping");
        server.stop().await;
        Ok(())
    })
}
