//! Stores, clusters and sealers in which something happens at a chosen moment.

use std::collections::BTreeMap;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use dcm_core::{
    name::ReferenceName,
    secret::{Error as SecretError, Sealed, Sealer, Secret},
    service::{Dcm, Ports, Settings},
    store::{Body, Changes, Document, Error as StoreError, Key, Position, Precondition, Revision, Scan, Store},
    sync::{
        CertificateRequest, ClusterAccess, Comparison, CutOff, Desired, Facts, Failure, Grant, IssuedToken, Removal,
        Report, Synchronizer, TokenRequest,
    },
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, cloud_id, cloud_input, cluster_input, provider, reference_input},
    clusters::FakeClusters,
    ports::{CountingEntropy, FakeCredentials, ManualClock, RecordingWake, TransparentSealer},
};

pub(crate) type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Runs something once, just before the first call of a kind with a key that has a part.
#[derive(Default)]
pub(crate) struct HookStore {
    pub(crate) inner: MemoryStore,
    pub(crate) hook: Mutex<Option<(String, Call, Hook)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Put,
    Delete,
}

impl std::fmt::Debug for HookStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookStore")
    }
}

/// A test whose moment never came has shown nothing.
impl Drop for HookStore {
    fn drop(&mut self) {
        let waits = self.hook.lock().is_ok_and(|hook| hook.is_some());
        assert!(!waits || std::thread::panicking(), "what should have happened in between never did");
    }
}

impl HookStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(), hook: Mutex::new(None) })
    }

    /// `put`: before a put, else before a delete.
    pub(crate) fn before<F: Future<Output = ()> + Send + 'static>(
        &self,
        part: &str,
        put: bool,
        run: impl FnOnce() -> F + Send + 'static,
    ) {
        self.before_call(part, if put { Call::Put } else { Call::Delete }, run);
    }

    pub(crate) fn before_call<F: Future<Output = ()> + Send + 'static>(
        &self,
        part: &str,
        call: Call,
        run: impl FnOnce() -> F + Send + 'static,
    ) {
        *self.hook.lock().unwrap() = Some((part.to_owned(), call, Box::new(move || Box::pin(run()))));
    }

    async fn fire(&self, key: &Key, call: Call) {
        let hook = {
            let mut slot = self.hook.lock().unwrap();
            match &*slot {
                Some((part, c, _)) if *c == call && key.as_str().contains(part.as_str()) => slot.take(),
                _ => None,
            }
        };
        if let Some((_, _, run)) = hook {
            run().await;
        }
    }
}

#[async_trait]
impl Store for HookStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.fire(key, Call::Get).await;
        self.inner.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.inner.scan(scan).await
    }
    async fn put(&self, key: &Key, body: Body, p: Precondition) -> Result<Revision, StoreError> {
        self.fire(key, Call::Put).await;
        self.inner.put(key, body, p).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), StoreError> {
        self.fire(key, Call::Delete).await;
        self.inner.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, StoreError> {
        self.inner.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, StoreError> {
        self.inner.position().await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.inner.ready().await
    }
}

/// Runs something once inside a probe: a cluster that is slow to answer. Remembers `force`.
#[derive(Default)]
pub(crate) struct HookClusters {
    pub(crate) inner: FakeClusters,
    pub(crate) hook: Mutex<Option<Hook>>,
    /// … inside a call that cuts a user off.
    pub(crate) cutting: Mutex<Option<Hook>>,
    pub(crate) forced: Mutex<Vec<bool>>,
}

impl std::fmt::Debug for HookClusters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookClusters")
    }
}

#[async_trait]
impl Synchronizer for HookClusters {
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let hook = self.hook.lock().unwrap().take();
        if let Some(run) = hook {
            run().await;
        }
        self.inner.probe(access).await
    }
    async fn capabilities(&self, access: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        self.inner.capabilities(access).await
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        self.forced.lock().unwrap().push(desired.force);
        self.inner.apply(access, desired).await
    }
    async fn sign(&self, access: &ClusterAccess, request: &CertificateRequest) -> Result<String, Failure> {
        self.inner.sign(access, request).await
    }
    async fn token(&self, access: &ClusterAccess, request: &TokenRequest) -> Result<IssuedToken, Failure> {
        self.inner.token(access, request).await
    }
    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        self.inner.compare(access, desired).await
    }
    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        let hook = self.cutting.lock().unwrap().take();
        if let Some(run) = hook {
            run().await;
        }
        self.inner.cut_off(access, cut).await
    }
    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        self.forced.lock().unwrap().push(removal.force);
        self.inner.remove(access, removal).await
    }
}

#[derive(Debug, Default)]
pub(crate) struct LosingSealer(pub(crate) std::sync::atomic::AtomicBool);

impl Sealer for LosingSealer {
    fn current_key(&self) -> &str {
        TransparentSealer.current_key()
    }
    fn key_ids(&self) -> Vec<&str> {
        TransparentSealer.key_ids()
    }
    fn seal(&self, key: &Key, secret: &Secret) -> Result<Sealed, SecretError> {
        TransparentSealer.seal(key, secret)
    }
    fn open(&self, key: &Key, sealed: &Sealed) -> Result<Secret, SecretError> {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(SecretError::UnknownKey { key_id: "old".to_owned() });
        }
        TransparentSealer.open(key, sealed)
    }
}

pub(crate) struct Own {
    pub(crate) dcm: Dcm,
    pub(crate) clusters: Arc<HookClusters>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sealer: Arc<LosingSealer>,
}

pub(crate) async fn own() -> Own {
    own_with(Settings::default()).await
}

pub(crate) async fn own_with(settings: Settings) -> Own {
    let (clusters, clock, sealer) =
        (Arc::<HookClusters>::default(), Arc::<ManualClock>::default(), Arc::<LosingSealer>::default());
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        sealer: Arc::clone(&sealer) as _,
        credentials: Arc::new(FakeCredentials),
        synchronizer: Arc::clone(&clusters) as _,
        clock: Arc::clone(&clock) as _,
        entropy: Arc::new(CountingEntropy::default()),
        wake: Arc::new(RecordingWake::default()),
    };
    let dcm = Dcm::open(ports, settings).await.unwrap();
    dcm.ensure_default_provider().await.unwrap();
    for name in ["c1", "c2"] {
        dcm.create_cluster(&provider("default"), cluster_input(name).into()).await.unwrap();
    }
    let id = cloud_id("lc-1");
    dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
    dcm.create_reference(&id, reference_input("c1").into()).await.unwrap();
    Own { dcm, clusters, clock, sealer }
}

pub(crate) async fn hooked() -> (Fixture, Arc<HookStore>) {
    let store = HookStore::new();
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1", "c2", "c3"]).await.unwrap();
    (f, store)
}

pub(crate) async fn memory() -> Fixture {
    let f = Fixture::new(Arc::new(MemoryStore::new())).await.unwrap();
    f.register(&["c1", "c2", "c3"]).await.unwrap();
    f
}

pub(crate) fn reference(name: &str) -> ReferenceName {
    ReferenceName::new(name).unwrap()
}

/// On a store that counts the documents that are read.
pub(crate) async fn counting() -> (Fixture, Arc<CountingStore>) {
    let store = Arc::new(CountingStore::default());
    (Fixture::new(Arc::clone(&store) as _).await.unwrap(), store)
}

#[derive(Debug, Default)]
pub(crate) struct CountingStore(pub(crate) MemoryStore, pub(crate) std::sync::atomic::AtomicUsize);

impl CountingStore {
    pub(crate) fn take(&self) -> usize {
        self.1.swap(0, std::sync::atomic::Ordering::SeqCst)
    }
    pub(crate) fn add(&self, n: usize) {
        self.1.fetch_add(n, std::sync::atomic::Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for CountingStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, StoreError> {
        self.add(1);
        self.0.get(key).await
    }
    async fn scan(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        let found = self.0.scan(scan).await?;
        self.add(found.len());
        Ok(found)
    }
    async fn put(&self, key: &Key, body: Body, p: Precondition) -> Result<Revision, StoreError> {
        self.0.put(key, body, p).await
    }
    async fn delete(&self, key: &Key, revision: &Revision) -> Result<(), StoreError> {
        self.0.delete(key, revision).await
    }
    async fn watch(&self, prefix: Option<&Key>, from: Option<Position>) -> Result<Changes, StoreError> {
        self.0.watch(prefix, from).await
    }
    async fn position(&self) -> Result<Position, StoreError> {
        self.0.position().await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        self.0.ready().await
    }
}
