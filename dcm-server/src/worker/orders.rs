//! Hears of orders that other processes take.

use std::time::Duration;

use dcm_core::{
    error::Error,
    service::Dcm,
    store::{self, Change, Position},
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::News;
use crate::telemetry::chain;

/// How long to wait before the watch is begun again.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells of every order that changes. Never ends but with its listener.
pub(super) async fn run(dcm: Dcm, news: mpsc::Sender<News>) {
    let mut from = None;
    loop {
        if let Err(error) = follow(&dcm, &mut from, &news).await {
            if matches!(error, Error::Store(store::Error::Expired)) {
                from = None;
            } else {
                tracing::warn!(error = %chain(&error), "changes of orders could not be watched; it is tried again");
            }
        }
        if news.is_closed() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(dcm: &Dcm, from: &mut Option<Position>, news: &mpsc::Sender<News>) -> Result<(), Error> {
    let mut changes = dcm.watch_orders(from.clone()).await?;
    if from.is_none() {
        // What was taken before the watch began.
        let _ = news.send(News::LookAgain).await;
    }
    while let Some(event) = changes.next().await {
        let event = event?;
        *from = Some(event.position);
        let told = match event.change {
            Change::Put(document) => News::Changed(document.key, document.revision),
            Change::Deleted(key) => News::Gone(key),
        };
        if news.send(told).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
