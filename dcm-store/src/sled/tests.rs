use std::{error::Error as _, future::Future, time::Duration};

use futures_util::StreamExt;
use tempfile::TempDir;

use super::*;

async fn empty() -> (SledStore, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let store = SledStore::open(SledConfig::new(place.path())).await.unwrap();
    (store, place)
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn json(text: &str) -> Body {
    Body::from_json(text.as_bytes())
}

async fn put(store: &SledStore, at: &str, body: Body, precondition: Precondition) -> Result<Revision, Error> {
    store.put(&key(at), body, precondition).await
}

fn all(prefix: &str) -> Scan {
    Scan::below(key(prefix), 10)
}

async fn waits<T>(future: impl Future<Output = T>) -> bool {
    let waited = tokio::time::timeout(Duration::from_millis(50), future).await;
    waited.is_err()
}

/// Puts a document where sled shows it, but the writer has not acknowledged it: as between a batch and its sync.
fn show(store: &SledStore, at: &str, number: u64) {
    let mut batch = ::sled::Batch::default();
    record::insert(&mut batch, &key::encode(&key(at)), number, b"1");
    store.db.apply_batch(batch).unwrap();
}

#[tokio::test]
async fn a_read_waits_for_a_write_that_is_not_durable_yet() {
    let (store, _place) = empty().await;
    let before: u64 = put(&store, "a/old", json("0"), Precondition::Absent).await.unwrap().as_str().parse().unwrap();
    show(&store, "a/new", before + 1);

    assert!(waits(store.get(&key("a/new"))).await);
    assert!(waits(store.scan(all("a"))).await);
    assert!(store.get(&key("a/old")).await.unwrap().is_some());
    assert!(store.get(&key("a/never")).await.unwrap().is_none());

    store.journal.append([changes_of("a/new", before + 1)]);
    assert!(store.get(&key("a/new")).await.unwrap().is_some());
    assert_eq!(store.scan(all("a")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_asked_for_lately_is_never_older_than_what_the_writer_tells() {
    let (store, _place) = empty().await;
    let mut revision = put(&store, "a/b", json("0"), Precondition::Absent).await.unwrap();
    for round in 1..100 {
        let before = store.get(&key("a/b")).await.unwrap().unwrap();
        assert_eq!(before.revision, revision);
        assert!(store.lately.find(&key("a/b")).is_ok(), "in round {round}");
        let at = Precondition::AtRevision(revision);
        revision = put(&store, "a/b", json(&round.to_string()), at).await.unwrap();
        assert!(store.lately.find(&key("a/b")).is_err(), "in round {round}");
    }
    store.get(&key("a/b")).await.unwrap();
    store.delete(&key("a/b"), &revision).await.unwrap();
    assert!(store.get(&key("a/b")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_that_was_asked_for_lately_is_never_older_than_what_the_writer_tells() {
    let (store, _place) = empty().await;
    let of = async |prefix: &str| -> Vec<String> {
        let found = store.scan(all(prefix)).await.unwrap();
        found.into_iter().map(|d| format!("{} {}", d.key, d.revision)).collect()
    };
    assert!(of("a").await.is_empty() && store.lists.find(&key("a")).is_ok());
    let b = put(&store, "a/b/1", json("0"), Precondition::Absent).await.unwrap();
    let c = put(&store, "a/c/1", json("0"), Precondition::Absent).await.unwrap();
    let mut expected = vec![format!("a/b/1 {b}"), format!("a/c/1 {c}")];
    assert_eq!(of("a").await, expected);
    assert_eq!(of("a/b").await, expected[..1]);
    assert_eq!(of("a/c").await, expected[1..]);
    let c = put(&store, "a/c/1", json("1"), Precondition::AtRevision(c)).await.unwrap();
    assert!(store.lists.find(&key("a/b")).is_ok(), "another list has changed");
    expected[1] = format!("a/c/1 {c}");
    assert_eq!(of("a").await, expected);
    assert_eq!(of("a/c").await, expected[1..]);
    store.delete(&key("a/b/1"), &b).await.unwrap();
    assert_eq!(of("a").await, expected[1..]);
    assert!(of("a/b").await.is_empty());
}

#[tokio::test]
async fn a_part_of_a_list_is_not_taken_for_all_of_it() {
    let (store, _place) = empty().await;
    for name in ["a/1", "a/2", "a/3"] {
        put(&store, name, json("0"), Precondition::Absent).await.unwrap();
    }
    let count = async |scan: Scan| store.scan(scan).await.unwrap().len();
    for _ in 0..2 {
        assert_eq!(count(Scan::below(key("a"), 2)).await, 2);
        assert_eq!(count(Scan::below(key("a"), 10).after(Some(key("a/1")))).await, 2);
        assert_eq!(count(Scan::below(key("a"), 3)).await, 3);
    }
    // Now it is known to be whole.
    assert_eq!(count(Scan::below(key("a"), 4)).await, 3);
    assert!(store.lists.find(&key("a")).is_ok());
    assert_eq!(count(Scan::below(key("a"), 2)).await, 2);
    assert_eq!(count(Scan::below(key("a"), 10).after(Some(key("a/1")))).await, 2);
}

#[tokio::test]
async fn what_is_not_durable_is_not_kept_for_later() {
    let (store, _place) = empty().await;
    let before: u64 = put(&store, "a/b", json("0"), Precondition::Absent).await.unwrap().as_str().parse().unwrap();
    show(&store, "a/b", before + 1);
    assert!(waits(store.get(&key("a/b"))).await);
    assert!(waits(store.scan(all("a"))).await);
    assert!(store.lately.find(&key("a/b")).is_err() && store.lists.find(&key("a")).is_err());
}

#[tokio::test]
async fn a_read_of_nothing_waits_for_a_deletion_that_is_not_durable_yet() {
    let (store, _place) = empty().await;
    let before: u64 = put(&store, "a/stays", json("0"), Precondition::Absent).await.unwrap().as_str().parse().unwrap();
    store.last_delete.store(before + 1, Ordering::SeqCst);

    assert!(waits(store.get(&key("a/deleted"))).await);
    assert!(waits(store.scan(all("a"))).await);
    assert!(store.get(&key("a/stays")).await.unwrap().is_some());

    store.journal.append([changes_of("a/deleted", before + 1)]);
    assert!(store.get(&key("a/deleted")).await.unwrap().is_none());
    assert_eq!(store.scan(all("a")).await.unwrap().len(), 1);
}

fn changes_of(at: &str, number: u64) -> crate::changes::Recorded {
    crate::changes::Recorded::numbered(number, key(at), None)
}

#[tokio::test]
async fn a_dead_writer_makes_the_store_unavailable_but_not_what_is_durable() {
    let (store, _place) = empty().await;
    let revision = put(&store, "a/b", json("0"), Precondition::Absent).await.unwrap();
    let mut changes = store.watch(Some(&key("a")), None).await.unwrap();
    let orders = store.orders.as_ref().unwrap();
    assert!(orders.send(Order::Panic).await.is_ok());

    assert!(matches!(changes.next().await, Some(Err(Error::Unavailable(_)))));
    assert!(changes.next().await.is_none());
    let put = put(&store, "a/c", json("0"), Precondition::Absent).await;
    assert!(matches!(put, Err(Error::Unavailable(_))), "{put:?}");
    let delete = store.delete(&key("a/b"), &revision).await;
    assert!(matches!(delete, Err(Error::Unavailable(_))), "{delete:?}");
    assert!(matches!(store.ready().await, Err(Error::Unavailable(_))));
    assert!(matches!(store.watch(Some(&key("a")), None).await, Err(Error::Unavailable(_))));
    assert!(store.get(&key("a/b")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_closed_store_has_done_what_it_was_given_and_takes_no_more() {
    let (store, _place) = empty().await;
    let at = key("a/b");
    let first = store.put(&at, json("0"), Precondition::Absent);
    let (first, ()) = tokio::join!(first, store.close());
    assert!(first.is_ok());
    let late = put(&store, "a/c", json("0"), Precondition::Absent).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    store.close().await;
    assert!(store.get(&at).await.unwrap().is_some());
}

#[tokio::test]
async fn a_panic_of_sleds_is_told_and_ends_all_writes_but_not_the_reads() {
    let (store, _place) = empty().await;
    put(&store, "a/b", json("0"), Precondition::Absent).await.unwrap();
    let told = store.failed(Some(&key("a/c")), ::sled::Error::ReportableBug("lost its way".to_owned()));
    assert!(matches!(told, Error::Corrupt { .. }) && told.to_string().contains("restore a backup"), "{told}");
    let put = put(&store, "a/c", json("0"), Precondition::Absent).await;
    let advised = |error: &Error| error.source().is_some_and(|source| source.to_string().contains("restore a backup"));
    assert!(put.is_err_and(|error| matches!(error, Error::Unavailable(_)) && advised(&error)));
    assert!(store.ready().await.is_err());
    assert!(store.get(&key("a/b")).await.unwrap().is_some());
    let below = store.failed(None, ::sled::Error::ReportableBug("lost its way".to_owned()));
    assert!(matches!(below, Error::Unavailable(_)) && advised(&below), "{below}");
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_is_corrupt_and_is_not_written_over() {
    let (store, _place) = empty().await;
    store.db.insert("a\0b", "nonsense").unwrap();
    let read = store.get(&key("a/b")).await;
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    let put = put(&store, "a/b", json("0"), Precondition::Absent).await;
    assert!(matches!(put, Err(Error::Corrupt { .. })), "{put:?}");
    let scan = store.scan(all("a")).await;
    assert!(matches!(scan, Err(Error::Corrupt { .. })), "{scan:?}");
}

#[tokio::test]
async fn a_large_document_that_lost_a_part_is_corrupt() {
    let (store, _place) = empty().await;
    let large = Body::from_json(vec![b' '; 3 * record::CHUNK]);
    let number = put(&store, "a/b", large, Precondition::Absent).await.unwrap().as_str().parse().unwrap();
    let mut batch = ::sled::Batch::default();
    record::remove_chunks(&mut batch, number, 1);
    store.db.apply_batch(batch).unwrap();
    let read = store.get(&key("a/b")).await;
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
}

#[tokio::test]
async fn a_large_document_leaves_nothing_behind() {
    let (store, place) = empty().await;
    let entries = store.db.len();
    for round in 0..3 {
        let mut precondition = Precondition::Absent;
        for size in [100_000, 50_000, 10, 1_000_000] {
            let body = Body::from_json(vec![b' '; size]);
            let revision = put(&store, "a/b", body, precondition).await;
            precondition = Precondition::AtRevision(revision.unwrap());
        }
        if let Precondition::AtRevision(revision) = precondition {
            store.delete(&key("a/b"), &revision).await.unwrap();
        }
        // The first round wrote down how far numbers are reserved, in a place that was there before.
        assert_eq!(store.db.len(), entries, "in round {round}");
    }
    assert_eq!(blobs(&place), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_sizes_nothing_goes_to_files_that_sled_never_syncs() {
    let (store, place) = empty().await;
    // The worst that a leaf can hold: entries as large as they can be, with the longest keys, which are
    // replaced and deleted in changing order so that leaves are written anew, split and merged.
    let name = |n: usize| key(&format!("{}/{n:04}", "k".repeat(crate::key::KEY_LIMIT - 5)));
    let body = |n: usize| Body::from_json(vec![b'a' + (n % 26) as u8; record::CHUNK]);
    let mut at = vec![None; 300];
    for round in 0..6 {
        let writes = (0..at.len()).map(|n| {
            let (store, name, old) = (&store, name(n), at[n].take());
            async move {
                match old {
                    Some(revision) if (n * 7 + round) % 3 != 0 => {
                        store.delete(&name, &revision).await.unwrap();
                        None
                    }
                    Some(revision) => {
                        let at = Precondition::AtRevision(revision);
                        Some(store.put(&name, body(n + round), at).await.unwrap())
                    }
                    None => {
                        let put = store.put(&name, body(n + round), Precondition::Absent);
                        Some(put.await.unwrap())
                    }
                }
            }
        });
        at = futures_util::future::join_all(writes).await;
        assert_eq!(blobs(&place), 0, "in round {round}");
    }
}

fn blobs(place: &TempDir) -> usize {
    std::fs::read_dir(place.path().join("blobs")).unwrap().count()
}

#[tokio::test]
async fn a_second_open_says_that_the_store_is_in_use() {
    let (_store, place) = empty().await;
    let second = SledStore::open(SledConfig::new(place.path())).await;
    let error = second.unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains(&*place.path().to_string_lossy()));
}

#[tokio::test]
async fn a_path_that_cannot_be_a_directory_is_named() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let path = place.path().join("store");
    let error = SledStore::open(SledConfig::new(&path)).await.unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains(&*path.to_string_lossy()));
}

#[tokio::test]
async fn a_store_of_somebody_else_is_refused_and_left_alone() {
    for segment in [512 * 1024, record::SEGMENT] {
        let place = tempfile::tempdir().unwrap();
        let theirs = || {
            let config = ::sled::Config::new().path(place.path()).segment_size(segment);
            // sled's own threads let go of a store that was dropped a moment later only.
            let opened = (0..200).find_map(|_| match config.open() {
                Err(error) if error.to_string().contains("could not acquire lock") => {
                    std::thread::sleep(Duration::from_millis(50));
                    None
                }
                opened => Some(opened),
            });
            opened.unwrap().unwrap()
        };
        theirs().insert("theirs", "1").unwrap();
        let error = SledStore::open(SledConfig::new(place.path())).await.unwrap_err();
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error:?}");
        assert!(theirs().contains_key("theirs").unwrap());
    }
}

#[tokio::test]
async fn a_log_that_lost_everything_is_not_taken_for_a_new_store() {
    let (store, place) = empty().await;
    put(&store, "a/b", json("0"), Precondition::Absent).await.unwrap();
    drop(store);
    let log = place.path().join("db");
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::write(&log, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    for file in std::fs::read_dir(place.path()).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("snap.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let error = SledStore::open(SledConfig::new(place.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_directory_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/er");
    let _store = SledStore::open(SledConfig::new(&path)).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
