//! Many logical clouds out of one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result};
use dcm_core::{
    model::{Credential, Proof},
    secret::{Sealed, Sealer, Secret},
    store::{Body, Document, Key, Precondition, Scan, Store},
};
use dcm_store::encryption::{AeadSealer, Keyring};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    server,
    template::{self, CLOUD, NAMESPACE},
};

/// How many writes wait at once.
const WRITERS: usize = 512;

/// The length of an id in its usual form.
const UID: usize = 36;

/// What is copied: documents as texts, and the credentials among them with their secrets opened.
struct Copied {
    documents: Vec<(String, String)>,
    credentials: Vec<(String, Opened)>,
    /// The ids that are the logical cloud's own, and so are others in each copy.
    uids: BTreeSet<String>,
}

struct Opened {
    credential: Credential,
    key: Option<Secret>,
    kubeconfig: Secret,
}

/// Fills a store.
pub(crate) async fn fill(directory: &Path, clouds: usize, clusters: usize) -> Result<()> {
    template::store(directory, clusters).await?;
    let config = server::config(directory, "kube")?;
    let keyring = Keyring::load_or_create(&config.key_file().context("no key")?)?;
    let sealer: Arc<dyn Sealer> = Arc::new(AeadSealer::new(keyring)?);
    let store = dcm_store::open(config.storage.store.clone()).await?;
    let copied = Arc::new(read(&*store, &*sealer).await?);
    let started = Instant::now();
    let copies = stream::iter(1..clouds).map(|n| {
        let (copied, sealer) = (Arc::clone(&copied), Arc::clone(&sealer));
        async move { tokio::task::spawn_blocking(move || copied.copy(n, &*sealer)).await? }
    });
    // One stream of all writes, so that none of them waits for the last one of a cloud.
    let writes =
        copies.buffered(4).map_ok(|documents| stream::iter(documents.into_iter().map(anyhow::Ok))).try_flatten();
    let written = writes.map_ok(|(key, body)| {
        let store = Arc::clone(&store);
        async move {
            let bytes = body.as_bytes().len();
            store.put(&key, body, Precondition::Absent).await?;
            anyhow::Ok(bytes)
        }
    });
    let mut written = std::pin::pin!(written.try_buffer_unordered(WRITERS));
    let (mut count, mut bytes) = (0, 0);
    while let Some(size) = written.try_next().await? {
        count += 1;
        bytes += size;
    }
    println!("{count} documents of {} MiB written in {:.0?}", bytes / 1024 / 1024, started.elapsed());
    Ok(())
}

async fn read(store: &dyn Store, sealer: &dyn Sealer) -> Result<Copied> {
    let all = store.scan(Scan::everything(usize::MAX)).await?;
    let cloud = all.iter().find(|document| document.key.last() == CLOUD).context("no logical cloud")?;
    let cloud: serde_json::Value = serde_json::from_slice(cloud.body.as_bytes())?;
    let uid = cloud["document"]["uid"].as_str().context("no uid")?;
    let is_its_own = |document: &&Document| {
        let key = document.key.as_str();
        key.contains(uid) || key.contains(CLOUD) || key.contains(NAMESPACE)
    };
    let (mut copied, mut others) =
        (Copied { documents: Vec::new(), credentials: Vec::new(), uids: BTreeSet::new() }, BTreeSet::new());
    for document in &all {
        let text = std::str::from_utf8(document.body.as_bytes())?;
        let key = document.key.as_str();
        let own = is_its_own(&document);
        let uids = if own { &mut copied.uids } else { &mut others };
        uids.extend(uids_in(key).chain(uids_in(text)).map(str::to_owned));
        if !own {
            continue;
        }
        if key.starts_with("credential/") {
            let credential: Credential = document.body.read(&document.key)?;
            let key_of = match &credential.proof {
                Proof::Certificate { key, .. } => Some(sealer.open(&document.key, key)?),
                Proof::Token { .. } => None,
            };
            let kubeconfig = sealer.open(&document.key, &credential.kubeconfig)?;
            copied.credentials.push((key.to_owned(), Opened { credential, key: key_of, kubeconfig }));
        } else {
            copied.documents.push((key.to_owned(), text.to_owned()));
        }
    }
    copied.uids.retain(|uid| !others.contains(uid));
    Ok(copied)
}

impl Copied {
    /// All documents of one more logical cloud.
    fn copy(&self, n: usize, sealer: &dyn Sealer) -> Result<Vec<(Key, Body)>> {
        let renamed: BTreeMap<&str, String> = self.uids.iter().map(|uid| (uid.as_str(), other_uid(uid, n))).collect();
        let mut copies = Vec::with_capacity(self.documents.len() + self.credentials.len());
        for (key, text) in &self.documents {
            copies.push((rename(key, n, &renamed).parse()?, Body::from_json(rename(text, n, &renamed).into_bytes())));
        }
        for (key, opened) in &self.credentials {
            let key: Key = rename(key, n, &renamed).parse()?;
            let body = Body::write(&key, &opened.seal(&key, sealer)?)?;
            let text = std::str::from_utf8(body.as_bytes())?;
            copies.push((key, Body::from_json(rename(text, n, &renamed).into_bytes())));
        }
        Ok(copies)
    }
}

impl Opened {
    fn seal(&self, at: &Key, sealer: &dyn Sealer) -> Result<Credential> {
        let mut credential = self.credential.clone();
        let seal = |secret: &Secret| -> Result<Sealed> { Ok(sealer.seal(at, secret)?) };
        credential.kubeconfig = seal(&self.kubeconfig)?;
        if let (Proof::Certificate { key, .. }, Some(opened)) = (&mut credential.proof, &self.key) {
            *key = seal(opened)?;
        }
        Ok(credential)
    }
}

/// The ids in a text.
fn uids_in(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices('-').filter_map(|(at, _)| at.checked_sub(8));
    starts.filter_map(|start| text.get(start..start + UID)).filter(|text| is_uid(text))
}

fn is_uid(text: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    text.bytes().enumerate().all(|(at, byte)| if dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// An id that is made of another one and a number.
fn other_uid(uid: &str, n: usize) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (uid, n, salt).hash(&mut hasher);
        hasher.finish()
    };
    let (high, low) = (half(0), half(1));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}

/// What a copy is called.
pub(crate) fn name(n: usize) -> String {
    format!("cloud-{n:05}")
}

/// A text with the names and ids of a copy.
fn rename(text: &str, n: usize, uids: &BTreeMap<&str, String>) -> String {
    let (cloud, namespace) = (name(n), format!("namespace-{n:05}"));
    let named = text.replace(CLOUD, &cloud).replace(NAMESPACE, &namespace);
    let mut renamed = String::with_capacity(named.len());
    let mut rest = named.as_str();
    while let Some(at) = uids_in(rest).next().map(|uid| uid.as_ptr() as usize - rest.as_ptr() as usize) {
        let (before, uid) = (&rest[..at], &rest[at..at + UID]);
        renamed.push_str(before);
        renamed.push_str(uids.get(uid).map_or(uid, String::as_str));
        rest = &rest[at + UID..];
    }
    renamed.push_str(rest);
    renamed
}
