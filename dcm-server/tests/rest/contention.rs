//! Many writers of one record, on a store that takes its time: whoever loses reads the same state as all others who lost.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use dcm_core::store::{Body, Changes, Document, Error, Key, Position, Precondition, Revision, Scan, Store};
use serde_json::json;

use crate::support::{Dcm, LC};

/// A store that writes slowly.
#[derive(Debug)]
struct Slow(Arc<dyn Store>);

#[async_trait]
impl Store for Slow {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.0.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, Error> {
        self.0.scan(scan).await
    }

    async fn put(&self, key: &Key, body: Body, precondition: Precondition) -> Result<Revision, Error> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        self.0.put(key, body, precondition).await
    }

    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), Error> {
        self.0.delete(key, revision).await
    }

    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, Error> {
        self.0.watch(prefix, from).await
    }

    async fn position(&self) -> Result<Position, Error> {
        self.0.position().await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.0.ready().await
    }
}

#[tokio::test]
async fn forty_patches_of_one_record_at_once_are_all_kept() {
    let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
    let dcm = Dcm::over(Arc::new(Slow(store))).await;
    dcm.with_cloud().await;
    let patches = (0..40).map(|i| {
        let body = json!({ "spec": { "labels": { format!("l{i}"): "x" } } });
        let dcm = &dcm;
        async move { dcm.patch(LC, &body).await.expect(200) }
    });
    futures_util::future::join_all(patches).await;
    let labels = dcm.get(LC).await.expect(200)["spec"]["labels"].clone();
    assert_eq!(labels.as_object().map(serde_json::Map::len), Some(40));
    dcm.stop().await;
}
