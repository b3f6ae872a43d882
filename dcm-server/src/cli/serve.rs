use anyhow::Context as _;

use crate::{Config, shutdown, telemetry};

pub(super) fn run(config: Config) -> anyhow::Result<()> {
    telemetry::init(&config.log, config.log_format)?;
    crate::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let server = crate::start(config).await?;
        tracing::info!(address = %server.http_addr(), "serving HTTP");
        let signal = shutdown::requested().await?;
        tracing::info!(signal, "stopping");
        server.stop().await;
        Ok(())
    })
}
