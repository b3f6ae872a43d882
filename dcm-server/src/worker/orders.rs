//! Hears of orders that other processes take.

use std::{collections::BTreeMap, time::Duration};

use dcm_core::{
    error::Error,
    service::Dcm,
    store::{self, Change, Key, Position, Revision},
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::News;
use crate::telemetry::chain;

/// How long to wait before the watch is begun again, and between two looks where there is none.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells of every order that changes. Never ends but with its listener.
pub(super) async fn run(dcm: Dcm, news: mpsc::Sender<News>) {
    if dcm.watches_by_looking() {
        return look(&dcm, &news).await;
    }
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

/// Looks at the waiting orders again and again: where a watch would look at everything.
async fn look(dcm: &Dcm, news: &mpsc::Sender<News>) {
    let mut known = BTreeMap::new();
    loop {
        match dcm.order_states().await {
            Ok(now) => {
                for told in differences(&known, &now) {
                    if news.send(told).await.is_err() {
                        return;
                    }
                }
                known = now;
            }
            Err(error) => tracing::warn!(error = %chain(&error), "orders could not be looked at; it is tried again"),
        }
        if news.is_closed() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn differences(known: &BTreeMap<Key, Revision>, now: &BTreeMap<Key, Revision>) -> Vec<News> {
    let changed = now.iter().filter(|(key, revision)| known.get(*key) != Some(*revision));
    let gone = known.keys().filter(|key| !now.contains_key(*key));
    let changed = changed.map(|(key, revision)| News::Changed(key.clone(), revision.clone()));
    changed.chain(gone.cloned().map(News::Gone)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_tell_of_what_is_new_or_another_or_gone() {
        let look = |orders: &[(&str, &str)]| -> BTreeMap<Key, Revision> {
            orders.iter().map(|(key, revision)| (key.parse().unwrap(), Revision::new(*revision))).collect()
        };
        let before = look(&[("order/gone", "1"), ("order/same", "1"), ("order/other", "1")]);
        let now = look(&[("order/new", "1"), ("order/same", "1"), ("order/other", "2")]);
        let told: Vec<String> = differences(&before, &now).iter().map(|news| format!("{news:?}")).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        let tells = |news: &str, key: &str| told.iter().any(|told| told.starts_with(news) && told.contains(key));
        assert!(tells("Changed", "new") && tells("Changed", "other") && tells("Gone", "gone"), "{told:?}");
        assert!(differences(&now, &now).is_empty());
    }
}
