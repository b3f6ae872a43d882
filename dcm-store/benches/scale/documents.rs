//! What is stored: which documents there are, and where each lies.

use std::sync::Arc;

use dcm_core::store::{Body, Key, Precondition, Scan, Store};
use futures_util::{StreamExt as _, stream};

/// How many documents lie under one parent where they are spread.
pub(crate) const CHILDREN: u64 = 100;

/// How many writes wait at once while a store is filled.
const WRITERS: usize = 512;

/// How documents lie.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// All under one prefix.
    Flat,
    /// By the hundred under parents.
    Spread,
}

impl Shape {
    pub(crate) fn named(name: &str) -> Self {
        if name == Self::Flat.name() { Self::Flat } else { Self::Spread }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Spread => "spread",
        }
    }

    pub(crate) fn in_words(self, count: u64) -> String {
        match self {
            Self::Flat => format!("{count} documents under one prefix"),
            Self::Spread => format!("{count} documents under {} prefixes", count / CHILDREN),
        }
    }

    /// Where a document lies.
    pub(crate) fn key(self, n: u64) -> Key {
        match self {
            Self::Flat => Key::new(["logical-cloud", &uid(0), &format!("cloud-{n:07}")]),
            Self::Spread => Key::new(["status", &uid(n / CHILDREN), &format!("cluster-{:03}", n % CHILDREN)]),
        }
        .unwrap()
    }

    /// The prefix that a list of a document and its siblings goes over.
    pub(crate) fn parent(self, n: u64) -> Key {
        match self {
            Self::Flat => Key::new(["logical-cloud", &uid(0)]),
            Self::Spread => Key::new(["status", &uid(n / CHILDREN)]),
        }
        .unwrap()
    }
}

/// Spreads numbers over all 64 bits, the same in each run.
pub(crate) const fn spread(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

fn uid(n: u64) -> String {
    let (high, low) = (spread(n + 1), spread(!n));
    let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}

/// Some 500 bytes of JSON, which no other document has.
pub(crate) fn document(n: u64) -> Body {
    let mut text = format!("{{\"kind\":\"Bench\",\"version\":1,\"document\":{{\"n\":{n},\"text\":\"");
    while text.len() < 500 {
        text.push_str(&format!("{:016x}", spread(n + text.len() as u64)));
    }
    text.push_str("\"}}");
    Body::from_json(text.into_bytes())
}

/// Writes so many documents, in no order.
pub(crate) async fn fill(store: &Arc<dyn Store>, shape: Shape, count: u64) {
    // Each number once: the step and the count have no factor in common.
    let step = 7_368_787;
    let writes = stream::iter(0..count).map(|n| {
        let (store, n) = (Arc::clone(store), n * step % count);
        async move { store.put(&shape.key(n), document(n), Precondition::Absent).await.map(drop) }
    });
    let mut writes = writes.buffer_unordered(WRITERS);
    while let Some(written) = writes.next().await {
        written.unwrap();
    }
}

/// Reads all documents once.
pub(crate) async fn read_all(store: &Arc<dyn Store>) {
    let mut after = None;
    loop {
        let page = store.scan(Scan::everything(10_000).after(after.take())).await.unwrap();
        match page.last() {
            Some(last) => after = Some(last.key.clone()),
            None => return,
        }
    }
}
