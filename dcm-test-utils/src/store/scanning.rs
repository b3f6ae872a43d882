//! What every store promises about ordered ranges.

use std::sync::Arc;

use dcm_core::store::{Scan, Store};
use futures_util::future::join_all;
use serde_json::json as value;

use super::{get, insert, json, key, names, numbered, replace, scan, sized};

type AnyStore = Arc<dyn Store>;

/// A scan is ordered by the keys' segments, each by its bytes.
pub async fn scan_is_in_byte_order_of_segments(store: AnyStore) {
    let mut expected = vec![
        "p/a",
        "p/a/b",
        "p/a/b/c",
        "p/a/x",
        "p/a b",
        "p/a-b/x",
        "p/a.b",
        "p/aa",
        "p/b",
        "p/~",
        "p/é",
        "p/日本",
        "p/\u{ffff}",
        "p/\u{10000}",
    ];
    for at in expected.iter().rev() {
        insert(&*store, at, numbered(1)).await;
    }
    let found = scan(&*store, "p", None, 100).await;
    assert_eq!(names(&found), expected);
    expected.sort_by_key(|at| key(at));
    assert_eq!(names(&found), expected, "the order is Key's own");
}

/// `a/b` covers `a/b/c`, but neither itself nor `a/bc`.
pub async fn a_prefix_is_a_path_segment(store: AnyStore) {
    for at in ["a", "a/b", "a/b/c", "a/b/c/d", "a/b-c", "a/bc", "a/b.c/d", "aa/b", "b/c"] {
        insert(&*store, at, numbered(1)).await;
    }
    let below = async |prefix: &str| {
        let found = scan(&*store, prefix, None, 100).await;
        found.iter().map(|d| d.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(below("a/b").await, ["a/b/c", "a/b/c/d"]);
    assert_eq!(below("a/b/c").await, ["a/b/c/d"]);
    assert_eq!(below("a/b/c/d").await, [] as [&str; 0]);
    assert_eq!(below("aa").await, ["aa/b"]);
    assert_eq!(below("a").await.len(), 6);
}

/// The position of a scan need not exist, nor lie below the prefix.
pub async fn scan_after_a_key_that_does_not_exist(store: AnyStore) {
    for at in ["p/b", "p/d", "p/d/e", "p/f"] {
        insert(&*store, at, numbered(1)).await;
    }
    let after = async |at: &str| {
        let found = scan(&*store, "p", Some(at), 100).await;
        found.iter().map(|d| d.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(after("p/a").await, ["p/b", "p/d", "p/d/e", "p/f"]);
    assert_eq!(after("p/b").await, ["p/d", "p/d/e", "p/f"]);
    assert_eq!(after("p/c").await, ["p/d", "p/d/e", "p/f"]);
    assert_eq!(after("p/d").await, ["p/d/e", "p/f"]);
    assert_eq!(after("p/d/z").await, ["p/f"]);
    assert_eq!(after("p/f").await, [] as [&str; 0]);
    assert_eq!(after("p").await.len(), 4);
    assert_eq!(after("a").await.len(), 4);
    assert_eq!(after("q").await, [] as [&str; 0]);
    assert_eq!(after("pp").await, [] as [&str; 0]);
}

/// A scan answers the first documents of its range, as many as it may.
pub async fn a_scan_answers_no_more_than_its_limit(store: AnyStore) {
    for n in 0..10 {
        insert(&*store, &format!("p/{n}"), numbered(n)).await;
    }
    for limit in [1, 3, 9, 10, 11, usize::MAX] {
        let found = scan(&*store, "p", None, limit).await;
        assert_eq!(found.len(), limit.min(10));
        assert_eq!(found[0].key, key("p/0"));
    }
}

/// Page after page, each from the last key of the one before, comes by every document once.
pub async fn pages_cover_everything_once(store: AnyStore) {
    let writes = (0..300).map(|n| {
        let store = Arc::clone(&store);
        async move { insert(&*store, &format!("p/{}/{n}", n % 7), numbered(n)).await }
    });
    join_all(writes).await;
    for limit in [1, 7, 100, 300] {
        let seen = pages(&*store, limit).await;
        assert_eq!(seen.len(), 300, "pages of {limit}");
        assert!(seen.is_sorted_by(|a, b| key(a) < key(b)), "pages of {limit}");
    }
}

/// A scan ends after the document with which the bodies, as JSON, have as many bytes as it may answer: one is always answered.
pub async fn a_scan_ends_with_the_document_that_reaches_its_bytes(store: AnyStore) {
    // What takes another room than its JSON in many stores, and what is more than some read at once.
    let bodies = [
        numbered(1),
        json(&value!("é日本\u{10000}")),
        json(&value!({ "a.b": { "$c": [1, 2, 3], "": null }, "d": u64::MAX })),
        sized(40_000, 'x'),
        json(&value!(7)),
        sized(1_500_000, 'y'),
        json(&value!([[[[{}]]], -1.5, true])),
        sized(100, 'z'),
    ];
    let mut ends = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        ends.push(ends.last().unwrap_or(&0) + body.as_bytes().len());
        insert(&*store, &format!("p/{n}"), body.clone()).await;
    }
    insert(&*store, "q/0", numbered(1)).await;
    let around = ends.iter().flat_map(|end| [end - 1, *end, end + 1]);
    for bytes in around.chain([0, 1, usize::MAX]) {
        let reached = ends.iter().position(|end| *end >= bytes);
        let expected = reached.map_or(bodies.len(), |last| last + 1);
        let below = Scan::below(key("p"), 100).bytes(bytes);
        let found = store.scan(below.clone()).await.expect("scan");
        assert_eq!(found.len(), expected, "up to {bytes} bytes of documents that end at {ends:?}");
        assert!(found.iter().map(|d| &d.body).eq(&bodies[..expected]));
        assert_eq!(below.is_full(&found), reached.is_some());
        for limit in [1, 4, 7] {
            let found = store.scan(Scan { limit, ..below.clone() }).await.expect("scan");
            assert_eq!(found.len(), expected.min(limit), "up to {limit} documents or {bytes} bytes");
        }
    }
    // What was answered before, and lies elsewhere, does not count.
    let after = Scan::everything(100).after(Some(key("p/3"))).bytes(2);
    assert_eq!(names(&store.scan(after).await.expect("scan")), ["p/4", "p/5"]);
    assert!(store.scan(Scan::below(key("r"), 1).bytes(1)).await.expect("scan").is_empty());
}

/// Pages that end at a number of bytes come by every document once, and none ends earlier than it must.
pub async fn pages_bounded_in_bytes_cover_everything_once(store: AnyStore) {
    let sizes: Vec<usize> = (0..600).map(|n| if n % 50 == 7 { 70_000 } else { 10 + n % 90 }).collect();
    let writes = sizes.iter().enumerate().map(|(n, size)| {
        let store = Arc::clone(&store);
        async move { insert(&*store, &format!("p/{n:03}"), sized(*size, 'x')).await }
    });
    join_all(writes).await;
    for (bytes, limit) in [(1, 100), (300, 100), (70_000, 500), (150_000, 1_000), (400_000, 1_000)] {
        let (mut seen, mut rest) = (Vec::new(), Some(Scan::below(key("p"), limit).bytes(bytes)));
        while let Some(scan) = rest {
            let page = store.scan(scan.clone()).await.expect("scan");
            let (last, before) = sizes[seen.len()..][..page.len()].split_last().unwrap_or((&0, &[]));
            let size: usize = before.iter().sum();
            assert!(page.len() <= limit && (size < bytes || before.is_empty()), "a page of {} bytes", size + last);
            seen.extend(page.iter().map(|d| d.key.to_string()));
            rest = scan.rest(&page);
            let ends = page.len() == limit || size + last >= bytes || seen.len() == sizes.len();
            assert!(ends, "a page of {} documents and {} bytes of {bytes}", page.len(), size + last);
        }
        assert!(seen.iter().eq(&(0..600).map(|n| format!("p/{n:03}")).collect::<Vec<_>>()), "pages of {bytes} bytes");
    }
}

/// What a scan answers is what the reads of its keys answer.
pub async fn a_scan_answers_whole_documents(store: AnyStore) {
    for n in 0..5 {
        let text = "x".repeat(1 << (4 * n));
        insert(&*store, &format!("p/{n}"), json(&value!({ "text": text }))).await;
    }
    for document in scan(&*store, "p", None, 10).await {
        assert_eq!(get(&*store, document.key.as_str()).await, Some(document));
    }
}

/// Without a prefix a scan is about every document, in one order.
pub async fn a_scan_without_a_prefix_sees_everything_in_order(store: AnyStore) {
    let expected = ["a", "a/b", "a/b/c", "a-b", "a-b/c", "b", "z/y/x/w"];
    for at in expected.iter().rev() {
        insert(&*store, at, numbered(1)).await;
    }
    let everything = async |after: Option<&str>, limit| {
        let scan = Scan::everything(limit).after(after.map(key));
        let found = store.scan(scan).await.expect("scan");
        found.iter().map(|d| d.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(everything(None, 100).await, expected);
    assert_eq!(everything(None, 3).await, expected[..3]);
    assert_eq!(everything(Some("a/b/c"), 2).await, expected[3..5]);
    assert_eq!(everything(Some("a/z"), 100).await, expected[3..]);
    assert_eq!(everything(Some("z/y/x/w"), 100).await, [] as [&str; 0]);
}

/// A scan reads the store's own writes, as a read of one document does.
pub async fn a_scan_sees_what_was_written_and_deleted_before_it(store: AnyStore) {
    for n in 0..30 {
        let at = format!("p/{n:02}");
        let revision = insert(&*store, &at, numbered(n)).await;
        let last = scan(&*store, "p", None, 100).await.pop().expect("the document");
        assert_eq!((last.key, &last.revision, last.body), (key(&at), &revision, numbered(n)));
        if n % 3 == 0 {
            store.delete(&key(&at), &revision).await.expect("delete");
            assert_ne!(scan(&*store, "p", None, 100).await.pop().map(|d| d.key), Some(key(&at)));
        }
    }
    assert_eq!(scan(&*store, "p", None, 100).await.len(), 20);
}

/// While others write, pages answer each document that nobody touches once, and all in order.
pub async fn scans_beside_writes_see_what_is_left_alone_once(store: AnyStore) {
    const ALONE: usize = 60;
    let writes = (0..ALONE).map(|n| {
        let store = Arc::clone(&store);
        async move { insert(&*store, &format!("p/{n:02}"), numbered(1)).await }
    });
    join_all(writes).await;
    let (scanning, watched) = tokio::sync::watch::channel(());
    let writers = (0..4).map(|writer| {
        let (store, watched) = (Arc::clone(&store), watched.clone());
        tokio::spawn(async move {
            for n in (0..ALONE).cycle() {
                let at = format!("p/{n:02}-{writer}");
                let revision = insert(&*store, &at, numbered(0)).await;
                let revision = replace(&*store, &at, numbered(0), &revision).await;
                store.delete(&key(&at), &revision).await.expect("delete");
                // Also where the scans ended in a panic.
                if watched.has_changed().is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let expected: Vec<_> = (0..ALONE).map(|n| format!("p/{n:02}")).collect();
    for limit in [1000, 7, 31, 7] {
        let seen = pages(&*store, limit).await;
        assert!(seen.is_sorted_by(|a, b| key(a) < key(b)), "pages of {limit}");
        let alone: Vec<_> = seen.into_iter().filter(|at| !at.contains('-')).collect();
        assert_eq!(alone, expected, "pages of {limit}");
    }
    drop(scanning);
    for writer in join_all(writers).await {
        writer.expect("a writer");
    }
}

/// Many documents are read page by page, and from their middle.
pub async fn thousands_of_documents_are_paged(store: AnyStore) {
    const DOCUMENTS: usize = 2_000;
    let mut keys = (0..DOCUMENTS).map(|n| format!("p/{:02}/{n}", n % 100));
    loop {
        let some: Vec<_> = keys.by_ref().take(32).collect();
        if some.is_empty() {
            break;
        }
        join_all(some.iter().map(|at| insert(&*store, at, numbered(1)))).await;
    }
    let seen = pages(&*store, 300).await;
    assert_eq!(seen.len(), DOCUMENTS);
    assert!(seen.is_sorted_by(|a, b| key(a) < key(b)));
    assert_eq!(scan(&*store, "p/42", None, 1_000).await.len(), 20);
    let page = scan(&*store, "p", Some(&seen[999]), 10).await;
    assert_eq!(names(&page), seen[1_000..1_010]);
}

/// The keys of all documents below `p`, page by page.
async fn pages(store: &dyn Store, limit: usize) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    loop {
        let page = scan(store, "p", seen.last().map(String::as_str), limit).await;
        seen.extend(page.iter().map(|d| d.key.to_string()));
        if page.len() < limit {
            return seen;
        }
    }
}
