use crate::support::*;
use dcm_core::{
    model::{ClusterLabelInput, LabelSelector},
    service::{News, Watch, WatchPosition},
};
use dcm_test_utils::builders::{provider, quota_input, reference_input};
use futures_util::{FutureExt as _, StreamExt as _};

/// The record that is told next.
async fn put<V>(watch: &mut Watch<V>) -> V {
    match watch.next().await.unwrap().unwrap().news {
        News::Put(view) => view,
        _ => panic!("no record"),
    }
}

/// Each watch reads for itself what lies beside a record that it tells of: a hundred watches, a hundred times as much.
#[tokio::test]
async fn many_watches_of_a_list_read_what_lies_beside_a_change_once() {
    const WATCHES: usize = 100;
    let (f, store) = counting().await;
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let everything = LabelSelector::everything();
    let (mut clouds, mut clusters) = (Vec::new(), Vec::new());
    for _ in 0..WATCHES {
        clouds.push(f.dcm.watch_logical_clouds(&id.project, &everything, None).await.unwrap());
        clusters.push(f.dcm.watch_clusters(&provider("default"), &everything, None).await.unwrap());
    }
    for watch in &mut clouds {
        put(watch).await;
        assert!(matches!(watch.next().await.unwrap().unwrap().news, News::Synced));
    }
    for watch in &mut clusters {
        put(watch).await;
        assert!(matches!(watch.next().await.unwrap().unwrap().news, News::Synced));
    }
    f.dcm.create_quota(&id, quota_input("found-2", "5").into()).await.unwrap();
    f.apply(&id).await.unwrap();
    let label = ClusterLabelInput { key: Some("a".into()), value: Some("b".into()) };
    f.dcm.create_cluster_label((&provider("default"), &"c1".parse().unwrap()), label.into()).await.unwrap();
    let read = f.dcm.logical_cloud(&id).await.unwrap();
    store.take();
    for watch in &mut clouds {
        let view = put(watch).await;
        assert_eq!(
            (&view.revision, &view.references, view.generation),
            (&read.revision, &read.references, read.generation)
        );
    }
    let of_clouds = store.take();
    for watch in &mut clusters {
        let view = put(watch).await;
        assert_eq!((view.cluster.labels.len(), view.uses.len()), (1, 1));
    }
    let of_clusters = store.take();
    assert!(of_clouds < 10 && of_clusters < 10, "read {of_clouds} for logical clouds, {of_clusters} for clusters");
}

/// A watch that begins later is told what an earlier one had read, although more lies beside the record since.
#[tokio::test]
async fn a_watch_that_begins_later_reads_what_lies_beside_a_record_anew() {
    let f = memory().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let everything = LabelSelector::everything();
    let references = async |from: Option<&WatchPosition>| {
        let mut watch = f.dcm.watch_logical_clouds(&id.project, &everything, from).await.unwrap();
        let view = put(&mut watch).await;
        let synced = watch.next().now_or_never();
        (view.references.clone(), synced.map(|event| event.unwrap().unwrap().position), watch)
    };
    let (before, synced, _first) = references(None).await;
    assert_eq!(before, ["c1"]);
    f.apply(&id).await.unwrap();
    let (told, _, _second) = references(synced.as_ref()).await;
    assert_eq!(told, ["c1"]);
    // The reference is a document of its own: the logical cloud's stays as it is.
    f.dcm.create_reference(&id, reference_input("c2").into()).await.unwrap();
    assert_eq!(references(None).await.0, ["c1", "c2"], "of a list");
    assert_eq!(references(synced.as_ref()).await.0, ["c1", "c2"], "of a change");
}
