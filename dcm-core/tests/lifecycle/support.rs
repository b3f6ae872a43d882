//! What the files of this suite share.

use std::sync::Arc;

use dcm_core::{
    error::{Error, ErrorKind},
    service::{CloudId, Overall},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::Fixture;

pub(crate) async fn fixture() -> Fixture {
    let fixture = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    fixture.register(&["c1", "c2", "c3"]).await.unwrap();
    fixture
}

pub(crate) async fn overall(fixture: &Fixture, id: &CloudId) -> Overall {
    fixture.dcm.status(id).await.unwrap().overall
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}
