//! What every store promises about ordered ranges.

use std::sync::Arc;

use dcm_core::store::Store;
use futures_util::future::join_all;
use serde_json::json as value;

use super::{get, insert, json, key, names, numbered, scan};

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
        let mut seen = Vec::new();
        loop {
            let after = seen.last().cloned();
            let page = scan(&*store, "p", after.as_deref(), limit).await;
            seen.extend(page.iter().map(|d| d.key.to_string()));
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(seen.len(), 300, "pages of {limit}");
        assert!(seen.is_sorted_by(|a, b| key(a) < key(b)), "pages of {limit}");
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
