//! What every store promises to those who come at the same time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dcm_core::store::{Body, Precondition, Revision, Store};
use futures_util::future::join_all;

use crate::linearizability::LinearizabilityRun;

use super::{assert_conflict, get, insert, key, number, numbered, put, replace, scan, sized};

type AnyStore = Arc<dyn Store>;

/// Of many that replace one state at once, exactly one does, and it is what is read.
pub async fn one_winner_per_revision(store: AnyStore) {
    let mut revision = insert(&*store, "a/b", numbered(0)).await;
    for _ in 0..20 {
        let at = Precondition::AtRevision(revision);
        let (body, winner) = one_winner(&store, "a/b", &at).await;
        let read = get(&*store, "a/b").await.expect("the document");
        assert_eq!((read.body, &read.revision), (body, &winner));
        revision = winner;
    }
}

/// Of many that insert one document at once, exactly one does.
pub async fn one_winner_where_nothing_was(store: AnyStore) {
    for round in 0..20 {
        let at = format!("a/{round}");
        let (body, winner) = one_winner(&store, &at, &Precondition::Absent).await;
        let read = get(&*store, &at).await.expect("the document");
        assert_eq!((read.body, read.revision), (body, winner));
    }
}

async fn one_winner(store: &AnyStore, at: &str, precondition: &Precondition) -> (Body, Revision) {
    let racers = (1..=16).map(|n| {
        let (store, at, precondition) = (Arc::clone(store), key(at), precondition.clone());
        tokio::spawn(async move {
            let result = store.put(&at, numbered(n), precondition).await;
            (n, result)
        })
    });
    let mut winners = Vec::new();
    for racer in join_all(racers).await {
        let (n, result) = racer.expect("a racer");
        match result {
            Ok(revision) => winners.push((numbered(n), revision)),
            lost => assert_conflict(lost, at),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    winners.remove(0)
}

/// Many that read, add one and write under the revision that they read add up to their number.
pub async fn concurrent_increments_lose_nothing(store: AnyStore) {
    const TASKS: u64 = 8;
    const EACH: u64 = 25;
    insert(&*store, "a/counter", numbered(0)).await;
    let tasks = (0..TASKS).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut done = 0;
            while done < EACH {
                let read = get(&*store, "a/counter").await.expect("the counter");
                let next = numbered(number(&read.body) + 1);
                let at = Precondition::AtRevision(read.revision);
                match store.put(&read.key, next, at).await {
                    Ok(_) => done += 1,
                    lost => assert_conflict(lost, "a/counter"),
                }
            }
        })
    });
    for task in join_all(tasks).await {
        task.expect("a task");
    }
    let read = get(&*store, "a/counter").await.expect("the counter");
    assert_eq!(number(&read.body), TASKS * EACH);
}

/// While one writes, what others read only goes forward, and an acknowledged write is seen by all.
pub async fn readers_never_see_a_document_go_back(store: AnyStore) {
    let mut revision = insert(&*store, "a/b", numbered(0)).await;
    let (acknowledged, seen_by_all) = tokio::sync::watch::channel(0);
    let readers = (0..4).map(|reader| {
        let (store, seen_by_all) = (Arc::clone(&store), seen_by_all.clone());
        tokio::spawn(async move {
            let mut last = 0;
            while last < 200 {
                let at_least = *seen_by_all.borrow();
                let document = if reader % 2 == 0 {
                    get(&*store, "a/b").await.expect("the document")
                } else {
                    scan(&*store, "a", None, 1).await.remove(0)
                };
                let now = number(&document.body);
                assert!(now >= last, "{now} was read after {last}");
                assert!(now >= at_least, "{at_least} was acknowledged, {now} read");
                last = now;
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for n in 1..=200 {
        revision = replace(&*store, "a/b", numbered(n), &revision).await;
        acknowledged.send_replace(n);
    }
    for reader in join_all(readers).await {
        reader.expect("a reader");
    }
}

/// Whoever reads while a large document is replaced reads one state or another, never a mixture.
pub async fn a_large_document_is_replaced_as_a_whole(store: AnyStore) {
    let size = 200_000;
    let mut revision = insert(&*store, "large/one", sized(size, 'a')).await;
    let (over, writing) = tokio::sync::watch::channel(true);
    let reads = Arc::new(AtomicUsize::new(0));
    let readers = (0..3).map(|reader| {
        let (store, writing, reads) = (Arc::clone(&store), writing.clone(), Arc::clone(&reads));
        tokio::spawn(async move {
            while *writing.borrow() {
                let document = if reader == 0 {
                    scan(&*store, "large", None, 1).await.remove(0)
                } else {
                    get(&*store, "large/one").await.expect("the document")
                };
                let letter = char::from(document.body.as_bytes()[1]);
                let length = document.body.as_bytes().len();
                assert!(document.body == sized(length, letter), "a mixture was read");
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for (n, letter) in ('a'..='z').cycle().skip(1).enumerate() {
        // Until there were reads meanwhile, too, or one found a mixture: a quick store is done before they begin.
        let read = reads.load(Ordering::Relaxed) >= 10 || readers.iter().any(|reader| reader.is_finished());
        if n >= 60 && read {
            break;
        }
        // Now and then it is small.
        let size = if n % 5 == 0 { 100 } else { size + n };
        revision = replace(&*store, "large/one", sized(size, letter), &revision).await;
        tokio::task::yield_now().await;
    }
    over.send_replace(false);
    for reader in join_all(readers).await {
        reader.expect("a reader");
    }
}

/// Those who write different documents at once do not hinder each other.
pub async fn writes_of_different_documents_do_not_meet(store: AnyStore) {
    let writers = (0..16).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let at = format!("a/{writer}");
            let mut revision = insert(&*store, &at, numbered(0)).await;
            for n in 1..20 {
                revision = replace(&*store, &at, numbered(n), &revision).await;
            }
            store.delete(&key(&at), &revision).await.expect("delete");
        })
    });
    for writer in join_all(writers).await {
        writer.expect("a writer");
    }
    assert_eq!(scan(&*store, "a", None, 100).await, []);
}

/// What sixteen clients see who read, write and delete a few documents at once, some of them going away, could have
/// happened one after the other.
pub async fn crud_is_linearizable(store: AnyStore) {
    if let Err(violation) = LinearizabilityRun::default().on(store).await {
        panic!("{violation}");
    }
}

/// A caller that drops the future of a write leaves a store that works, and a write that happened or did not.
pub async fn a_caller_that_goes_away_breaks_nothing(store: AnyStore) {
    for round in 0..50 {
        let at = format!("a/{round}");
        let (store_too, at_too) = (Arc::clone(&store), key(&at));
        let task = tokio::spawn(async move {
            let put = store_too.put(&at_too, numbered(1), Precondition::Absent);
            put.await.map(|_| ())
        });
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        task.abort();
        // Over now: it was carried out, or ended where it stood.
        let _ = task.await;
        let precondition = match get(&*store, &at).await {
            Some(document) => Precondition::AtRevision(document.revision),
            None => Precondition::Absent,
        };
        let next = put(&*store, &at, numbered(2), precondition).await;
        if next.is_err() {
            // The write that was given up arrived after the read.
            assert_conflict(next, &at);
            assert!(get(&*store, &at).await.is_some());
        }
    }
    store.ready().await.expect("ready");
}
