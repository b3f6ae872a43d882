//! Many writers of one record, on a store that takes its time: whoever loses reads the same state as all others who lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use reqwest::Method;
use serde_json::json;

use crate::support::{Dcm, LC};

/// A store that writes slowly, and counts the writes that lost against others.
#[derive(Debug)]
struct Slow {
    store: Arc<dyn Store>,
    lost: Arc<AtomicUsize>,
}

/// A server on it with a logical cloud, and what it counts.
async fn slow() -> (Dcm, Arc<AtomicUsize>) {
    let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
    let lost = Arc::new(AtomicUsize::new(0));
    let dcm = Dcm::over(Arc::new(Slow { store, lost: Arc::clone(&lost) })).await;
    dcm.with_cloud().await;
    (dcm, lost)
}

#[async_trait]
impl Store for Slow {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.store.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.store.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let put = self.store.put(key, body, precondition).await;
        self.lost.fetch_add(usize::from(matches!(put, Err(Error::Conflict { .. }))), Ordering::Relaxed);
        put
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.store.delete(key, revision).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.store.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.store.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ready().await
    }
}

#[tokio::test]
async fn forty_patches_of_one_record_at_once_are_all_kept() {
    let (dcm, lost) = slow().await;
    let patches = (0..40).map(|i| {
        let body = json!({ "spec": { "labels": { format!("l{i}"): "x" } } });
        let dcm = &dcm;
        async move { dcm.patch(LC, &body).await.expect(200) }
    });
    futures_util::future::join_all(patches).await;
    let labels = dcm.get(LC).await.expect(200)["spec"]["labels"].clone();
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(40));
    // Each loses its first attempt at most, and is in nobody's way after that.
    let lost = lost.load(Ordering::Relaxed);
    assert!(lost < 2 * 40, "{lost} writes were made in vain");
    dcm.stop().await;
}

#[tokio::test]
async fn of_patches_of_one_state_at_once_one_is_carried_out_and_the_others_hear_that_it_is_past() {
    let (dcm, lost) = slow().await;
    let tag = dcm.get(LC).await.header("etag").to_owned();
    let patches = (0..20).map(|number| {
        let body = json!({ "spec": { "labels": { format!("l{number}"): "x" } } });
        let request = dcm.request(Method::PATCH, LC).header("content-type", "application/merge-patch+json");
        dcm.send(request.header("if-match", &tag).body(body.to_string()))
    });
    let replies = futures_util::future::join_all(patches).await;
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((count(200), count(412)), (1, 19));
    let labels = dcm.get(LC).await.expect(200)["spec"]["labels"].clone();
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(1));
    assert!(lost.load(Ordering::Relaxed) < 20, "one that cannot succeed was tried again");
    dcm.stop().await;
}
