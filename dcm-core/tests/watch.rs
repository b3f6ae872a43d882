//! Watches of lists and of derived answers: what is there, then what changes, across resumptions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dcm_core::{
    error::{Error, ErrorKind},
    model::{ControllerInput, KvPair, KvPairInput, LabelSelector, LogicalCloudInput},
    service::{CloudId, CloudStatus, LogicalCloudView, News, Overall, Watch, WatchEvent, WatchPosition},
    store::Entry,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{
    Fixture, cloud_id, cloud_input, cluster_input, metadata, permission_input, provider, quota_input, reference_input,
};
use futures_util::{FutureExt as _, StreamExt as _};

async fn fixture() -> Fixture {
    Fixture::new(Arc::new(MemoryStore::new())).await.unwrap()
}

async fn next<V>(watch: &mut Watch<V>) -> WatchEvent<V> {
    let next = tokio::time::timeout(Duration::from_secs(20), watch.next()).await;
    next.expect("an event in time").expect("one more event").unwrap()
}

fn all() -> LabelSelector {
    LabelSelector::everything()
}

/// Nothing more is told at present.
fn is_quiet<V>(watch: &mut Watch<V>) -> bool {
    watch.next().now_or_never().is_none()
}

fn value(pair: &Entry<KvPair>) -> String {
    pair.value.kv[0].1.as_str().unwrap().to_owned()
}

fn name(found: &Entry<KvPair>) -> String {
    found.value.metadata.name.to_string()
}

/// A logical cloud with so many kv-pairs.
async fn with_pairs(f: &Fixture, count: usize) -> CloudId {
    let id = cloud_id("lc-1");
    f.dcm.create_logical_cloud(&id.project, cloud_input("lc-1", "ns-1").into()).await.unwrap();
    for i in 0..count {
        f.dcm.create_kv_pair(&id, pair(&format!("q-{i:03}"), "1").into()).await.unwrap();
    }
    id
}

fn pair(name: &str, value: &str) -> KvPairInput {
    KvPairInput { metadata: metadata(name), kv: Some(vec![("value".to_owned(), value.into())]) }
}

async fn set(f: &Fixture, id: &CloudId, name: &str, value: &str) {
    f.dcm.update_kv_pair(id, &name.parse().unwrap(), pair(name, value).into(), None).await.unwrap();
}

/// What somebody holds who did as the watch told.
type Held = BTreeMap<String, String>;

fn follow(held: &mut Held, event: &WatchEvent<Entry<KvPair>>) {
    match &event.news {
        News::Put(found) => drop(held.insert(name(found), value(found))),
        News::Deleted(name) => drop(held.remove(name)),
        News::Synced | News::Ended => {}
    }
}

async fn present(f: &Fixture, id: &CloudId) -> Held {
    let pairs = f.dcm.kv_pairs(id, &Default::default()).await.unwrap();
    pairs.entries.iter().map(|found| (name(found), value(found))).collect()
}

#[tokio::test]
async fn what_is_there_comes_first_then_a_mark_then_what_changes() {
    let f = fixture().await;
    let id = with_pairs(&f, 70).await;
    let mut watch = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    for i in 0..70 {
        let News::Put(found) = next(&mut watch).await.news else { panic!("not the record {i}") };
        assert_eq!(name(&found), format!("q-{i:03}"));
    }
    assert!(matches!(next(&mut watch).await.news, News::Synced));
    assert!(is_quiet(&mut watch));
    set(&f, &id, "q-003", "7").await;
    let News::Put(found) = next(&mut watch).await.news else { panic!("no record") };
    let read = f.dcm.kv_pair(&id, &"q-003".parse().unwrap()).await.unwrap();
    assert_eq!((found.revision, found.value), (read.revision, read.value));
    f.dcm.delete_kv_pair(&id, &"q-004".parse().unwrap(), None).await.unwrap();
    assert!(matches!(next(&mut watch).await.news, News::Deleted(name) if name == "q-004"));
    f.dcm.create_quota(&id, quota_input("quota-1", "1").into()).await.unwrap();
    f.dcm.create_project(metadata("other").into()).await.unwrap();
    assert!(is_quiet(&mut watch), "what is not of the list was told");
}

#[tokio::test]
async fn a_watch_goes_on_after_each_of_its_events() {
    let f = fixture().await;
    let id = with_pairs(&f, 40).await;
    let mut watch = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    let mut events = Vec::new();
    for step in 0..200 {
        // Changes before, among and after the present records.
        match step {
            0..50 => set(&f, &id, &format!("q-{:03}", (step * 7) % 40), &format!("1{step}")).await,
            50 => f.dcm.delete_kv_pair(&id, &"q-001".parse().unwrap(), None).await.unwrap(),
            51 => drop(f.dcm.create_kv_pair(&id, pair("q-new", "2").into()).await.unwrap()),
            _ => {}
        }
        match watch.next().now_or_never() {
            Some(event) => events.push(event.unwrap().unwrap()),
            None => break,
        }
    }
    assert!(is_quiet(&mut watch), "more events than this test takes");
    let synced = events.iter().position(|event| matches!(event.news, News::Synced)).unwrap();
    assert!(synced > 40, "nothing was told among the present records");
    let wanted = present(&f, &id).await;
    let mut held = Held::new();
    for (i, event) in events.iter().enumerate() {
        follow(&mut held, event);
        let (mut held, mut told_synced) = (held.clone(), i >= synced);
        let mut resumed = f.dcm.watch_kv_pairs(&id, Some(&event.position)).await.unwrap();
        let mut more = 0;
        while let Some(event) = resumed.next().now_or_never() {
            let event = event.unwrap().unwrap();
            follow(&mut held, &event);
            assert!(!(told_synced && matches!(event.news, News::Synced)), "a second mark after event {i}");
            told_synced |= matches!(event.news, News::Synced);
            more += 1;
        }
        assert_eq!(held, wanted, "after event {i}");
        assert!(told_synced, "no mark after event {i}");
        if i >= synced {
            assert_eq!(more, events.len() - 1 - i, "after event {i} not only what came later was told");
        }
    }
    assert_eq!(held, wanted);
}

#[tokio::test]
async fn what_changes_while_the_present_records_are_told_is_told_before_the_mark() {
    let f = fixture().await;
    let id = with_pairs(&f, 100).await;
    let mut watch = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    let mut held = Held::new();
    for i in 0.. {
        let event = next(&mut watch).await;
        follow(&mut held, &event);
        if matches!(event.news, News::Synced) {
            break;
        }
        if i < 100 {
            set(&f, &id, &format!("q-{:03}", (i * 37) % 100), &format!("{}", 1000 + i)).await;
        }
    }
    assert_eq!(held, present(&f, &id).await);
    assert!(is_quiet(&mut watch));
}

#[tokio::test]
async fn a_watch_ends_when_what_the_records_belong_to_is_gone() {
    let f = fixture().await;
    let id = with_pairs(&f, 1).await;
    let mut pairs = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    let mut status = f.dcm.watch_status(&id, None).await.unwrap();
    let mut permissions = f.dcm.watch_permissions(&id, None).await.unwrap();
    let position = next(&mut pairs).await.position;
    let of_permissions = next(&mut permissions).await.position;
    f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    assert_ended(pairs).await;
    assert_ended(status).await;
    assert_ended(permissions).await;
    assert_kind(f.dcm.watch_kv_pairs(&id, Some(&position)).await, ErrorKind::NotFound);
    with_pairs(&f, 1).await;
    assert_kind(f.dcm.watch_kv_pairs(&id, Some(&position)).await, ErrorKind::Expired);
    assert_kind(f.dcm.watch_permissions(&id, Some(&of_permissions)).await, ErrorKind::Expired);
    status = f.dcm.watch_status(&id, None).await.unwrap();
    assert!(matches!(next(&mut status).await.news, News::Put(_)));
}

#[tokio::test]
async fn a_watch_of_a_project_or_a_provider_ends_with_it() {
    let f = fixture().await;
    f.dcm.create_project(metadata("walmart").into()).await.unwrap();
    f.dcm.create_provider(metadata("cp").into()).await.unwrap();
    let clouds = f.dcm.watch_logical_clouds(&"walmart".parse().unwrap(), &all(), None).await.unwrap();
    let clusters = f.dcm.watch_clusters(&provider("cp"), &all(), None).await.unwrap();
    // A delete that is refused marks the project and takes the mark off again: no reason to end.
    let id = with_pairs(&f, 0).await;
    f.dcm.delete_project(&id.project, None).await.unwrap_err();
    f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    let mut projects = f.dcm.watch_projects(None).await.unwrap();
    assert!(matches!(next(&mut projects).await.news, News::Put(_)));
    f.dcm.delete_project(&id.project, None).await.unwrap();
    f.dcm.delete_provider(&provider("cp"), None).await.unwrap();
    assert_ended(clouds).await;
    assert_ended(clusters).await;
    while !matches!(next(&mut projects).await.news, News::Deleted(name) if name == "walmart") {}
}

#[tokio::test]
async fn a_watch_of_a_clusters_kv_pairs_ends_with_it() {
    let f = fixture().await;
    f.register(&["c1", "c2"]).await.unwrap();
    let [c1, c2] = ["c1", "c2"].map(|name| (provider("default"), name.parse().unwrap()));
    f.dcm.create_cluster_kv_pair((&c1.0, &c1.1), pair("a", "1").into()).await.unwrap();
    let mut pairs = f.dcm.watch_cluster_kv_pairs((&c1.0, &c1.1), None).await.unwrap();
    let first = next(&mut pairs).await;
    assert!(matches!(&first.news, News::Put(found) if name(found) == "a"));
    assert!(matches!(next(&mut pairs).await.news, News::Synced));
    f.dcm.create_cluster_kv_pair((&c2.0, &c2.1), pair("other", "1").into()).await.unwrap();
    f.dcm.delete_cluster(&c2.0, &c2.1, None).await.unwrap();
    assert!(is_quiet(&mut pairs), "another cluster's were told");
    f.dcm.create_cluster_kv_pair((&c1.0, &c1.1), pair("b", "1").into()).await.unwrap();
    assert!(matches!(next(&mut pairs).await.news, News::Put(found) if name(&found) == "b"));
    f.dcm.delete_cluster(&c1.0, &c1.1, None).await.unwrap();
    assert_ended(pairs).await;
    f.register(&["c1"]).await.unwrap();
    let again = f.dcm.watch_cluster_kv_pairs((&c1.0, &c1.1), Some(&first.position)).await;
    assert_kind(again, ErrorKind::Expired);
}

#[tokio::test]
async fn controllers_are_told() {
    let f = fixture().await;
    let controller = |name: &str| ControllerInput {
        metadata: metadata(name),
        host: Some("host".to_owned()),
        port: Some(9000),
        ..ControllerInput::default()
    };
    f.dcm.create_controller(controller("a").into()).await.unwrap();
    let mut watch = f.dcm.watch_controllers(None).await.unwrap();
    let News::Put(found) = next(&mut watch).await.news else { panic!("no controller") };
    assert_eq!(found.value, f.dcm.controller(&"a".parse().unwrap()).await.unwrap().value);
    assert!(matches!(next(&mut watch).await.news, News::Synced));
    f.dcm.create_controller(controller("b").into()).await.unwrap();
    assert!(matches!(next(&mut watch).await.news, News::Put(found) if found.value.metadata.name.as_str() == "b"));
    f.dcm.delete_controller(&"a".parse().unwrap(), None).await.unwrap();
    assert!(matches!(next(&mut watch).await.news, News::Deleted(name) if name == "a"));
    assert!(is_quiet(&mut watch));
}

/// It reads no more of them before it looks for changes, nor holds more: of large ones, one by one.
#[tokio::test]
async fn records_that_are_large_together_are_not_read_at_once() {
    let f = fixture().await;
    let id = with_pairs(&f, 0).await;
    let large = "x".repeat(300_000);
    for i in 0..4 {
        f.dcm.create_kv_pair(&id, pair(&format!("q-{i}"), &large).into()).await.unwrap();
    }
    let mut watch = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    let mut told = Vec::new();
    for i in 0.. {
        match next(&mut watch).await.news {
            News::Put(found) => told.push((name(&found), value(&found).len())),
            News::Synced => break,
            other => panic!("{other:?}"),
        }
        if i == 0 {
            set(&f, &id, "q-3", "1").await;
        }
    }
    let expected = [("q-0", 300_000), ("q-3", 1), ("q-1", 300_000), ("q-2", 300_000), ("q-3", 1)];
    assert_eq!(told, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
}

async fn assert_ended<V: std::fmt::Debug>(mut watch: Watch<V>) {
    while !matches!(next(&mut watch).await.news, News::Ended) {}
    assert!(watch.next().await.is_none());
}

#[track_caller]
fn assert_kind<V>(watch: Result<Watch<V>, Error>, kind: ErrorKind) {
    assert_eq!(watch.err().map(|error| error.kind()), Some(kind));
}

#[tokio::test]
async fn below_what_is_not_there_nothing_is_watched() {
    let f = fixture().await;
    let id = cloud_id("none");
    assert_kind(f.dcm.watch_quotas(&id, None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_kv_pairs(&id, None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_references(&id, None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_permissions(&id, None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_status(&id, None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_logical_clouds(&id.project, &all(), None).await, ErrorKind::NotFound);
    assert_kind(f.dcm.watch_clusters(&provider("none"), &all(), None).await, ErrorKind::NotFound);
    let cluster = (&provider("none"), &"none".parse().unwrap());
    assert_kind(f.dcm.watch_cluster_kv_pairs(cluster, None).await, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_position_that_is_too_old_or_foreign_is_expired() {
    let f = Fixture::new(Arc::new(MemoryStore::with_history(8))).await.unwrap();
    let id = with_pairs(&f, 3).await;
    let mut watch = f.dcm.watch_kv_pairs(&id, None).await.unwrap();
    let position = next(&mut watch).await.position;
    assert_kind(f.dcm.watch_quotas(&id, Some(&position)).await, ErrorKind::Expired);
    assert_kind(fixture_with_cloud().await.watch_kv_pairs(&id, Some(&position)).await, ErrorKind::Expired);
    for bad in ["", "1", "a.b", "...", "\u{e4}", &"x".repeat(10_000)] {
        assert_kind(f.dcm.watch_kv_pairs(&id, Some(&WatchPosition::new(bad))).await, ErrorKind::Expired);
    }
    for value in 0..9 {
        set(&f, &id, "q-000", &value.to_string()).await;
    }
    assert_kind(f.dcm.watch_kv_pairs(&id, Some(&position)).await, ErrorKind::Expired);
    // Whoever falls behind is told so, once.
    let mut left = Vec::new();
    while let Some(event) = watch.next().await {
        left.push(event.map(drop).map_err(|error| error.kind()));
    }
    assert_eq!(left, [Ok(()), Ok(()), Err(ErrorKind::Expired)]);
}

async fn fixture_with_cloud() -> dcm_core::service::Dcm {
    let f = fixture().await;
    with_pairs(&f, 3).await;
    f.dcm
}

#[tokio::test]
async fn a_logical_cloud_is_told_as_its_list_shows_it() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut watch = f.dcm.watch_logical_clouds(&id.project, &all(), None).await.unwrap();
    let News::Put(view) = next(&mut watch).await.news else { panic!("no logical cloud") };
    assert_eq!((view.references.as_slice(), view.generation), (&["c1".to_owned()][..], 1));
    assert!(matches!(next(&mut watch).await.news, News::Synced));
    f.apply(&id).await.unwrap();
    f.dcm.create_quota(&id, quota_input("found-2", "5").into()).await.unwrap();
    let News::Put(view) = next(&mut watch).await.news else { panic!("no logical cloud") };
    let read = f.dcm.logical_cloud(&id).await.unwrap();
    assert_eq!((view.generation, view.revision.clone()), (read.generation, read.revision.clone()));
}

#[tokio::test]
async fn what_is_selected_is_told_and_what_leaves_the_selection_is_gone() {
    let f = fixture().await;
    let project = cloud_id("a").project;
    let labelled = |name: &str, tier: &str| LogicalCloudInput {
        labels: BTreeMap::from([("tier".to_owned(), tier.to_owned())]),
        ..cloud_input(name, name)
    };
    for (name, tier) in [("a", "gold"), ("b", "iron")] {
        f.dcm.create_logical_cloud(&project, labelled(name, tier).into()).await.unwrap();
    }
    let set = async |name: &str, tier: &str| {
        f.dcm.update_logical_cloud(&cloud_id(name), labelled(name, tier).into(), None).await.unwrap();
    };
    let gold: LabelSelector = "tier=gold".parse().unwrap();
    let mut watch = f.dcm.watch_logical_clouds(&project, &gold, None).await.unwrap();
    let told = async |watch: &mut Watch<Arc<LogicalCloudView>>| match next(watch).await.news {
        News::Put(view) => format!("put {}", view.cloud.metadata.name),
        News::Deleted(name) => format!("deleted {name}"),
        other => format!("{other:?}"),
    };
    assert_eq!(told(&mut watch).await, "put a");
    let synced = next(&mut watch).await;
    assert!(matches!(synced.news, News::Synced));
    set("b", "gold").await;
    assert_eq!(told(&mut watch).await, "put b");
    set("a", "silver").await;
    assert_eq!(told(&mut watch).await, "deleted a");
    f.dcm.delete_logical_cloud(&cloud_id("b"), None).await.unwrap();
    while told(&mut watch).await != "deleted b" {}
    assert!(is_quiet(&mut watch));
    // Who goes on holds what this selector selected, and of the same list another selector selects something else.
    let mut again = f.dcm.watch_logical_clouds(&project, &gold, Some(&synced.position)).await.unwrap();
    assert_eq!(told(&mut again).await, "put b");
    assert_eq!(told(&mut again).await, "deleted a");
    assert_kind(f.dcm.watch_logical_clouds(&project, &all(), Some(&synced.position)).await, ErrorKind::Expired);
}

#[tokio::test]
async fn clusters_and_references_are_told() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut clusters = f.dcm.watch_clusters(&provider("default"), &all(), None).await.unwrap();
    let News::Put(view) = next(&mut clusters).await.news else { panic!("no cluster") };
    assert_eq!((view.uses.len(), view.health.is_some()), (1, true));
    assert!(matches!(next(&mut clusters).await.news, News::Synced));
    f.dcm.create_cluster(&provider("default"), cluster_input("c2").into()).await.unwrap();
    let News::Put(view) = next(&mut clusters).await.news else { panic!("no cluster") };
    assert_eq!(view.cluster.metadata.name.as_str(), "c2");
    let mut references = f.dcm.watch_references(&id, None).await.unwrap();
    assert!(matches!(next(&mut references).await.news, News::Put(_)));
    assert!(matches!(next(&mut references).await.news, News::Synced));
    f.dcm.create_reference(&id, reference_input("c2").into()).await.unwrap();
    let News::Put(reference) = next(&mut references).await.news else { panic!("no reference") };
    assert_eq!(reference.value.cluster_name.as_str(), "c2");
}

#[tokio::test]
async fn a_status_is_told_until_it_is_as_ordered() {
    let f = fixture().await;
    f.register(&["c1", "c2"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let mut watch = f.dcm.watch_status(&id, None).await.unwrap();
    let first = next(&mut watch).await;
    assert_eq!(overall(&first), Some(Overall::NotCreated));
    assert!(matches!(next(&mut watch).await.news, News::Synced));
    // What does not show in the status is not told.
    f.dcm.create_quota(&id, quota_input("found-2", "5").into()).await.unwrap();
    assert!(is_quiet(&mut watch));
    f.apply(&id).await.unwrap();
    let event = next(&mut watch).await;
    assert_eq!(overall(&event), Some(Overall::CreationInProgress));
    f.carry_out().await.unwrap();
    let last = next(&mut watch).await;
    assert_eq!(overall(&last), Some(Overall::Created), "several changes are told as one");
    assert!(is_quiet(&mut watch));
    for (position, is_told_of_the_end) in [(first.position, true), (event.position, false)] {
        let mut resumed = f.dcm.watch_status(&id, Some(&position)).await.unwrap();
        assert_eq!(overall(&next(&mut resumed).await), Some(Overall::Created));
        // Whoever did not hear that all was told hears it when he goes on.
        assert!(!is_told_of_the_end || matches!(next(&mut resumed).await.news, News::Synced));
        assert!(is_quiet(&mut resumed));
    }
    assert!(is_quiet(&mut f.dcm.watch_status(&id, Some(&last.position)).await.unwrap()));
}

#[tokio::test]
async fn positions_of_a_watch_for_one_cluster_are_no_others() {
    let f = fixture().await;
    f.register(&["c1", "c2"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1", "c2"]).await.unwrap();
    let (one, other) = ("c1".parse().unwrap(), "c2".parse().unwrap());
    let mut watch = f.dcm.watch_status_of(&id, &one, None).await.unwrap();
    next(&mut watch).await;
    let position = next(&mut watch).await.position;
    assert!(is_quiet(&mut f.dcm.watch_status_of(&id, &one, Some(&position)).await.unwrap()));
    assert_kind(f.dcm.watch_status_of(&id, &other, Some(&position)).await, ErrorKind::Expired);
    assert_kind(f.dcm.watch_status(&id, Some(&position)).await, ErrorKind::Expired);
}

#[tokio::test]
async fn a_status_is_told_anew_when_another_generation_is_worked_towards() {
    let f = fixture().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    f.apply(&id).await.unwrap();
    let mut watch = f.dcm.watch_status(&id, None).await.unwrap();
    let first = generation(&next(&mut watch).await);
    assert!(first.is_some() && matches!(next(&mut watch).await.news, News::Synced));
    // Nothing else of the status changes.
    f.dcm.create_quota(&id, quota_input("found-2", "5").into()).await.unwrap();
    f.apply(&id).await.unwrap();
    assert!(generation(&next(&mut watch).await) > first);
}

fn generation(event: &WatchEvent<CloudStatus>) -> Option<u64> {
    match &event.news {
        News::Put(status) => Some(status.cloud.lifecycle.applied_generation),
        _ => None,
    }
}

fn overall(event: &WatchEvent<CloudStatus>) -> Option<Overall> {
    match &event.news {
        News::Put(status) => Some(status.overall),
        _ => None,
    }
}

#[tokio::test]
async fn all_permissions_are_told_when_one_changes() {
    let f = fixture().await;
    let id = with_pairs(&f, 0).await;
    let mut watch = f.dcm.watch_permissions(&id, None).await.unwrap();
    assert!(matches!(next(&mut watch).await.news, News::Put(_)));
    assert!(matches!(next(&mut watch).await.news, News::Synced));
    f.dcm.create_permission(&id, permission_input("permission-2", "pods").into()).await.unwrap();
    let News::Put(told) = next(&mut watch).await.news else { panic!("no permissions") };
    assert_eq!((told.permissions, told.revision), f.dcm.permissions(&id).await.unwrap());
    // Another logical cloud of the project, and an edit of something else.
    f.dcm.create_logical_cloud(&id.project, cloud_input("lc-2", "ns-2").into()).await.unwrap();
    let mut input = cloud_input("lc-1", "ns-3");
    input.user.as_mut().unwrap().permissions.push(permission_input("permission-2", "pods"));
    f.dcm.update_logical_cloud(&id, input.into(), None).await.unwrap();
    assert!(is_quiet(&mut watch));
}
