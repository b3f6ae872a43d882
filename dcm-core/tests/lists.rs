//! Lists: their order, their pages, and what a page may cost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{collections::BTreeMap, sync::Arc};

use dcm_core::{
    keys,
    model::{KvPairInput, LabelSelector},
    service::{CloudId, Listed, LogicalCloudView, Page},
    store::{Body, Precondition, Store as _},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{Fixture, cloud_id, cloud_input, cluster_input, metadata, provider};

const MIB: usize = 1024 * 1024;

async fn fixture() -> Fixture {
    with_store().await.0
}

async fn with_store() -> (Fixture, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    (Fixture::new(store.clone()).await.unwrap(), store)
}

fn select(text: &str) -> LabelSelector {
    text.parse().unwrap()
}

fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn clouds(f: &Fixture, selector: &str, page: &Page) -> Listed<LogicalCloudView> {
    f.dcm.logical_clouds(&cloud_id("x").project, &select(selector), page).await.unwrap()
}

fn names(listed: &Listed<LogicalCloudView>) -> Vec<&str> {
    listed.entries.iter().map(|view| view.cloud.metadata.name.as_str()).collect()
}

async fn labelled(f: &Fixture, name: &str, all: &[(&str, &str)]) -> CloudId {
    let mut input = cloud_input(name, "ns");
    input.labels = labels(all);
    f.dcm.create_logical_cloud(&cloud_id("x").project, input.into()).await.unwrap();
    cloud_id(name)
}

/// A kv-pair of about so many bytes.
async fn kv_pair(f: &Fixture, id: &CloudId, name: &str, bytes: usize) {
    let kv = Some(vec![("k".to_owned(), "x".repeat(bytes).into())]);
    f.dcm.create_kv_pair(id, KvPairInput { metadata: metadata(name), kv }.into()).await.unwrap();
}

/// Each page of a logical cloud's kv-pairs, as the names in it.
async fn kv_pages(f: &Fixture, id: &CloudId, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut page) = (Vec::new(), Page { after: None, limit });
    loop {
        let found = f.dcm.kv_pairs(id, &page).await.unwrap();
        pages.push(found.entries.iter().map(|entry| entry.value.metadata.name.to_string()).collect());
        match found.next {
            Some(next) => page = page.after(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn lists_are_in_pages_by_name() {
    let f = fixture().await;
    for n in [3, 1, 5, 2, 4] {
        f.create_cloud(&format!("lc-{n}"), "ns", &[]).await.unwrap();
    }
    let first = clouds(&f, "", &Page { after: None, limit: 2 }).await;
    assert_eq!((names(&first), first.next.as_deref()), (vec!["lc-1", "lc-2"], Some("lc-2")));
    let second = clouds(&f, "", &Page { after: first.next, limit: 2 }).await;
    assert_eq!((names(&second), second.next.as_deref()), (vec!["lc-3", "lc-4"], Some("lc-4")));
    let third = clouds(&f, "", &Page { after: second.next, limit: 2 }).await;
    assert_eq!((names(&third), third.next.as_deref()), (vec!["lc-5"], None));
}

#[tokio::test]
async fn nothing_is_said_to_follow_on_a_page_that_is_exactly_full() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns", &[]).await.unwrap();
    assert_eq!(kv_pages(&f, &id, 1).await, [[""; 0]]);
    for n in 1..=4 {
        kv_pair(&f, &id, &format!("kv-{n}"), 1).await;
    }
    assert_eq!(kv_pages(&f, &id, 4).await, [["kv-1", "kv-2", "kv-3", "kv-4"]]);
    assert_eq!(kv_pages(&f, &id, 2).await, [["kv-1", "kv-2"], ["kv-3", "kv-4"]]);
    assert_eq!(kv_pages(&f, &id, 1).await.len(), 4);
}

#[tokio::test]
async fn a_page_ends_with_the_record_that_makes_it_large() {
    let f = fixture().await;
    let id = f.create_cloud("lc-1", "ns", &[]).await.unwrap();
    for n in 1..=5 {
        kv_pair(&f, &id, &format!("kv-{n}"), MIB * 9 / 10).await;
    }
    // The fifth makes it large, and nothing follows.
    assert_eq!(kv_pages(&f, &id, 500).await, [["kv-1", "kv-2", "kv-3", "kv-4", "kv-5"]]);
    assert_eq!(kv_pages(&f, &id, 5).await.len(), 1);
    kv_pair(&f, &id, "kv-6", 1).await;
    let pages = kv_pages(&f, &id, 500).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [5, 1]);
    kv_pair(&f, &id, "kv-0", 5 * MIB).await;
    let pages = kv_pages(&f, &id, 500).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 5, 1], "one record is always there");
}

/// A kv-pair that may hold a megabyte counts as one, however many of them one scan answers.
#[tokio::test]
async fn large_kv_pairs_are_counted_one_by_one() {
    let (f, store) = with_store().await;
    let id = f.create_cloud("lc-1", "ns", &[]).await.unwrap();
    let uid = f.dcm.logical_cloud(&id).await.unwrap().cloud.uid.clone();
    let large = Body::from_json(format!("\"{}\"", "x".repeat(MIB)).into_bytes());
    for n in 0..1_000 {
        let body = if n % 100 == 0 { large.clone() } else { Body::from_json(*b"1") };
        let key = keys::kv_pairs(&uid).unwrap().child(&format!("kv-{n:03}")).unwrap();
        store.put(&key, body, Precondition::Absent).await.unwrap();
    }
    let input = KvPairInput { metadata: metadata("one-more"), kv: Some(Vec::new()) };
    let refused = f.dcm.create_kv_pair(&id, input.into()).await.unwrap_err().to_string();
    assert!(refused.contains("at most 1000"), "{refused}");
}

#[tokio::test]
async fn logical_clouds_and_clusters_are_selected_by_their_labels() {
    let f = fixture().await;
    labelled(&f, "lc-1", &[("tier", "gold"), ("region", "eu")]).await;
    labelled(&f, "lc-2", &[("tier", "silver")]).await;
    labelled(&f, "lc-3", &[]).await;
    let page = Page::default();
    for (selector, selected) in [
        ("", vec!["lc-1", "lc-2", "lc-3"]),
        ("tier", vec!["lc-1", "lc-2"]),
        ("tier!=gold", vec!["lc-2", "lc-3"]),
        ("tier in (gold,silver),!region", vec!["lc-2"]),
        ("tier=iron", vec![]),
    ] {
        let found = clouds(&f, selector, &page).await;
        assert_eq!((names(&found), &found.next), (selected, &None), "{selector}");
    }
    for (name, tier) in [("c1", "gold"), ("c2", "silver")] {
        let mut input = cluster_input(name);
        input.labels = labels(&[("tier", tier)]);
        f.dcm.create_cluster(&provider("default"), input.into()).await.unwrap();
    }
    let found = f.dcm.clusters(&provider("default"), &select("tier=silver"), &page).await.unwrap();
    let names: Vec<_> = found.entries.iter().map(|view| view.cluster.metadata.name.as_str()).collect();
    assert_eq!((names, found.next), (vec!["c2"], None));
}

#[tokio::test]
async fn pages_of_what_is_selected_come_by_all_of_it_once() {
    let f = fixture().await;
    for n in 0..30 {
        labelled(&f, &format!("lc-{n:02}"), &[("third", if n % 3 == 0 { "yes" } else { "no" })]).await;
    }
    for limit in [1, 2, 3, 10, 11] {
        let (mut seen, mut page) = (Vec::new(), Page { after: None, limit });
        loop {
            let found = clouds(&f, "third=yes", &page).await;
            assert!(found.entries.len() <= limit);
            seen.extend(names(&found).into_iter().map(str::to_owned));
            match found.next {
                Some(next) => page = page.after(next),
                None => break,
            }
        }
        let expected: Vec<_> = (0..30).step_by(3).map(|n| format!("lc-{n:02}")).collect();
        assert_eq!(seen, expected, "pages of {limit}");
    }
}

/// However few are selected of however many, one request reads a few MiB.
#[tokio::test]
async fn a_page_ends_when_much_was_read_and_nothing_was_selected() {
    let f = fixture().await;
    let many: Vec<_> = (0..2_000).map(|n| format!("{n:060}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), key.as_str())).collect();
    for n in 0..40 {
        labelled(&f, &format!("lc-{n:02}"), &many).await;
    }
    labelled(&f, "last", &[("rare", "yes")]).await;
    labelled(&f, "lc-99", &[("rare", "yes")]).await;
    let (mut seen, mut pages, mut page) = (Vec::new(), 0, Page { after: None, limit: 1_000 });
    loop {
        let found = clouds(&f, "rare", &page).await;
        pages += 1;
        seen.extend(names(&found).into_iter().map(str::to_owned));
        match found.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    assert_eq!(seen, ["last", "lc-99"]);
    assert!((3..6).contains(&pages), "ten MiB in {pages} pages");
}

#[tokio::test]
async fn a_page_ends_when_much_was_read_of_what_lies_below_its_entries() {
    let (f, store) = with_store().await;
    let large = Body::from_json(format!("\"{}\"", "x".repeat(3 * MIB)).into_bytes());
    for n in 1..=4 {
        let id = f.create_cloud(&format!("lc-{n}"), "ns", &[]).await.unwrap();
        let uid = f.dcm.logical_cloud(&id).await.unwrap().cloud.uid.clone();
        let key = keys::references(&uid).unwrap().child("r").unwrap();
        store.put(&key, large.clone(), Precondition::Absent).await.unwrap();
    }
    let first = clouds(&f, "", &Page::default()).await;
    assert_eq!((names(&first), first.next.as_deref()), (vec!["lc-1", "lc-2"], Some("lc-2")));
    let second = clouds(&f, "", &Page::default().after("lc-2")).await;
    assert_eq!((names(&second), second.next.as_deref()), (vec!["lc-3", "lc-4"], None));
}
