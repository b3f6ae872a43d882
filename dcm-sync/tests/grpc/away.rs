//! What is said, and what goes on, while nobody is there to ask the clusters.

use std::{collections::BTreeMap, sync::Arc};

use dcm_core::{
    error::{Error, ErrorKind},
    gateway,
    model::{Connectivity, Uid},
    service::{Page, Selection},
    sync::{ObjectId, Reason},
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::builders::{cluster_input, provider};
use serde_json::Value;

use crate::support::{Served, Split, main};

const AWAY: &str = "the synchronizer cannot be reached, and only a synchronizer reaches clusters";

/// What a cluster holds: whose, with which uid, and what.
type Objects = BTreeMap<ObjectId, (Uid, String, Value)>;

/// Whom the binding names.
fn subjects(objects: &Objects) -> &Value {
    let binding = objects.iter().find(|(id, _)| id.kind == "RoleBinding");
    &binding.expect("a binding").1.2["subjects"]
}

#[tokio::test]
async fn without_a_synchronizer_it_is_said_that_there_is_none_and_a_revoke_is_carried_out_later() {
    let Split { there, main, served } = Split::start().await;
    there.register(&["c1"]).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let address = served.address;
    served.kill().await;

    let error = main.diff(&id, &Selection::Page(Page::default())).await.unwrap_err();
    assert!(matches!(error, Error::Gateway(gateway::Error::Unavailable { .. })), "{error:?}");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, AWAY));

    let made = main.create_cluster(&provider("default"), cluster_input("c2").into()).await.unwrap();
    let health = made.health.unwrap();
    assert_eq!((health.connectivity, health.reason), (Connectivity::Unknown, Some(Reason::Unreachable)));
    assert_eq!(health.detail.as_deref(), Some(AWAY));

    let before = there.clusters.with("default/c1", |cluster| cluster.objects.clone());
    let revoked = main.revoke_user(&id).await.unwrap();
    let [(name, cut)] = revoked.clusters.as_slice() else { panic!("{revoked:?}") };
    let failure = cut.as_ref().unwrap_err();
    assert_eq!((name.as_str(), failure.reason), ("c1", Reason::Unreachable));
    assert!(failure.detail.starts_with(AWAY) && failure.detail.contains("as soon as"), "{}", failure.detail);
    assert_eq!(there.clusters.with("default/c1", |cluster| cluster.objects.clone()), before);

    // The order is in the store: whoever reaches the clusters carries it out, though nobody tells him.
    there.carry_out().await.unwrap();
    let after = there.clusters.with("default/c1", |cluster| cluster.objects.clone());
    assert_ne!(subjects(&after), subjects(&before), "he is another user for the cluster");

    // And when it is back, it is asked again, over the same channel.
    let _served = Served::start_at(address, Arc::new(there.dcm.clone())).await;
    let compared = main.diff(&id, &Selection::Page(Page::default())).await.unwrap();
    assert!(compared.clusters[0].1.is_ok(), "{compared:?}");
    let name = "c2".parse().unwrap();
    let again = main.update_cluster(&provider("default"), &name, cluster_input("c2").into(), None).await.unwrap();
    assert_eq!(again.health.unwrap().connectivity, Connectivity::Available);
}

#[tokio::test]
async fn a_call_finds_the_next_synchronizer_when_the_one_it_was_connected_to_has_died() {
    let Split { there, main, served } = Split::start().await;
    there.register(&["c1"]).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let which = Selection::Page(Page::default());
    main.diff(&id, &which).await.unwrap();
    let address = served.address;
    served.kill().await;
    let _next = Served::start_at(address, Arc::new(there.dcm.clone())).await;
    main.diff(&id, &which).await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_kept_and_not_called_away_where_the_synchronizer_looks_into_another_store() {
    let Split { there: _there, served, .. } = Split::start().await;
    let store: Arc<dyn dcm_core::store::Store> = Arc::new(MemoryStore::new());
    let elsewhere = main(&store, Arc::new(served.client())).await;
    elsewhere.ensure_default_provider().await.unwrap();
    let made = elsewhere.create_cluster(&provider("default"), cluster_input("c1").into()).await.unwrap();
    let health = made.health.unwrap();
    assert_eq!((health.connectivity, health.reason), (Connectivity::Unknown, Some(Reason::Internal)));
    assert!(health.detail.unwrap().contains("c1"));
    let kept = elsewhere.cluster(&provider("default"), &"c1".parse().unwrap()).await.unwrap();
    assert_eq!(kept.cluster.metadata.name.as_str(), "c1");
}
