//! Watches of logical clouds on many clusters: parts that every client takes, and that are told again where a watch breaks off among them.

use dcm_proto::v1::{self as pb, watch_response::Event};
use prost::Message as _;
use tonic::Streaming;

use crate::{
    many::{Many, name, names},
    support::PATIENCE,
};

const COUNT: usize = 2500;

fn asked(last_event_id: &str) -> pb::WatchRequest {
    pb::WatchRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        watched: pb::Watched::Status.into(),
        last_event_id: last_event_id.to_owned(),
        ..Default::default()
    }
}

impl Many {
    async fn watch(&self, asked: pb::WatchRequest) -> Streaming<pb::WatchResponse> {
        self.dcm.clouds().watch(asked).await.unwrap().into_inner()
    }
}

async fn next(watch: &mut Streaming<pb::WatchResponse>) -> pb::WatchResponse {
    let message = tokio::time::timeout(PATIENCE, watch.message()).await.expect("it takes too long");
    let message = message.unwrap().expect("the watch has ended");
    assert!(message.encoded_len() < 4 * 1024 * 1024);
    message
}

/// A state in parts: their ids, how many clusters each has, and all clusters.
async fn state(watch: &mut Streaming<pb::WatchResponse>) -> (Vec<String>, Vec<usize>, Vec<String>) {
    let (mut ids, mut sizes, mut all) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let message = next(watch).await;
        let Some(Event::Status(update)) = message.event else { panic!("{message:?}") };
        let status = update.status.unwrap();
        assert_eq!((status.name.as_str(), status.status()), ("lc-1", pb::OverallStatus::NotCreated));
        ids.push(message.event_id);
        sizes.push(status.clusters.len());
        all.extend(names(&status));
        if !update.more {
            assert_eq!(status.cluster_count as usize, all.len());
            return (ids, sizes, all);
        }
    }
}

async fn synced(watch: &mut Streaming<pb::WatchResponse>) -> String {
    let message = next(watch).await;
    assert!(matches!(message.event, Some(Event::Synced(_))), "{message:?}");
    message.event_id
}

#[tokio::test]
async fn the_status_of_many_clusters_is_told_in_parts() {
    let many = Many::start(COUNT, 300).await;
    let all: Vec<String> = (0..COUNT).map(name).collect();
    let mut watch = many.watch(asked("")).await;
    let (ids, sizes, told) = state(&mut watch).await;
    assert_eq!((sizes, &told), (vec![500; 5], &all));
    // Before all is told, going on is beginning anew.
    assert!(ids[..4].iter().all(String::is_empty) && !ids[4].is_empty(), "{ids:?}");
    let before = synced(&mut watch).await;
    many.change("c-00700", 10).await;
    let (ids, _, told) = state(&mut watch).await;
    assert_eq!(told, all);
    assert!(ids[..4].iter().all(|id| *id == before) && ids[4] != before, "{ids:?}");
    // Whoever lost the last part has the whole state told again, and nobody else anything.
    let mut resumed = many.watch(asked(&ids[3])).await;
    assert_eq!(state(&mut resumed).await.2, all);
    let mut resumed = many.watch(asked(&ids[4])).await;
    many.change("c-00701", 10).await;
    let (after, _, told) = state(&mut resumed).await;
    assert_eq!((told, &after[0]), (all, &ids[4]));
    many.dcm.stop().await;
}

#[tokio::test]
async fn a_part_has_no_more_clusters_than_were_asked_for_or_fit_into_a_message() {
    let many = Many::start(1000, 1500).await;
    let mut watch = many.watch(pb::WatchRequest { page_size: 1000, ..asked("") }).await;
    let (_, sizes, all) = state(&mut watch).await;
    assert!((3..5).contains(&sizes.len()) && all.len() == 1000, "{sizes:?}");
    let mut watch = many.watch(pb::WatchRequest { page_size: 30, ..asked("") }).await;
    let (_, sizes, all) = state(&mut watch).await;
    assert!(sizes[..33].iter().all(|size| *size == 30) && sizes[33] == 10 && all.len() == 1000, "{sizes:?}");
    many.dcm.stop().await;
}

#[tokio::test]
async fn who_watches_one_cluster_is_told_of_that_one() {
    let many = Many::start(1200, 300).await;
    let only = |last_event_id: &str| pb::WatchRequest {
        cluster_reference: Some("c-00007".to_owned()),
        ..asked(last_event_id)
    };
    let mut watch = many.watch(only("")).await;
    let told = async |watch: &mut Streaming<pb::WatchResponse>| {
        let message = next(watch).await;
        let Some(Event::Status(update)) = message.event else { panic!("{message:?}") };
        let status = update.status.unwrap();
        assert_eq!((names(&status), status.cluster_count, update.more), (vec![name(7)], 1200, false));
        let reason = &status.clusters[0].namespace_status.as_ref().unwrap().reason;
        (message.event_id, reason.len())
    };
    assert_eq!(told(&mut watch).await.1, 300);
    synced(&mut watch).await;
    many.change("c-00008", 8).await;
    // What is told of the others' sake is not told here: the next is the one that is asked for.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    many.change("c-00007", 7).await;
    let (id, bytes) = told(&mut watch).await;
    assert_eq!(bytes, 7);
    many.change("c-00007", 70).await;
    assert_eq!(told(&mut many.watch(only(&id)).await).await.1, 70);
    // Its positions mean nothing to the watch of another one, nor to that of all.
    for other in [Some("c-00008".to_owned()), None] {
        let asked = pb::WatchRequest { cluster_reference: other, ..asked(&id) };
        assert_eq!(many.dcm.clouds().watch(asked).await.unwrap_err().code(), tonic::Code::OutOfRange);
    }
    // A cluster that is not there cannot be watched.
    let nowhere = pb::WatchRequest { cluster_reference: Some("nowhere".to_owned()), ..asked("") };
    assert_eq!(many.dcm.clouds().watch(nowhere).await.unwrap_err().code(), tonic::Code::NotFound);
    many.dcm.stop().await;
}
