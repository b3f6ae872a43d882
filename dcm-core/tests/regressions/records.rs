use std::{sync::Arc, time::Duration};

use crate::support::*;
use dcm_core::{error::ErrorKind, lifecycle::Event, service::Page};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    builders::{Fixture, carry_out, cloud_input, cluster_input, metadata, provider, quota_input, reference_input},
    faulty::FaultyStore,
};

/// A DELETE that is refused, cut off after its mark (crash, store away, or client gone).
#[tokio::test]
async fn a_delete_that_was_cut_off_does_not_close_its_project_for_good() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    // get, (get, put) = marked, then nothing more.
    store.fail_after(3);
    f.dcm.delete_project(&id.project, None).await.unwrap_err();
    store.mend();
    f.clock.advance(Duration::from_secs(24 * 3600));
    let dcm = f.restarted().await.unwrap();
    carry_out(&dcm).await.unwrap();
    let made = dcm.create_logical_cloud(&id.project, cloud_input("lc-2", "ns-2").into()).await;
    assert!(made.is_ok(), "{:?}", made.map(|_| ()));
}

/// The same with a cluster.
#[tokio::test]
async fn a_delete_that_was_cut_off_does_not_close_its_cluster_for_good() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new())));
    let f = Fixture::new(Arc::clone(&store) as _).await.unwrap();
    f.register(&["c1"]).await.unwrap();
    f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let two = f.create_cloud("lc-2", "ns-2", &[]).await.unwrap();
    store.fail_after(4);
    f.dcm.delete_cluster(&provider("default"), &"c1".parse().unwrap(), None).await.unwrap_err();
    store.mend();
    let made = f.dcm.create_reference(&two, reference_input("c1").into()).await;
    assert!(made.is_ok(), "{:?}", made.map(|_| ()));
}

/// Debug output is for logs.
#[test]
fn debug_output_of_an_upload_hides_its_secrets() {
    let draft: dcm_core::service::Draft<_> = cluster_input("c1").into();
    assert!(!format!("{draft:?}").contains("not-a-real-token"));
}

/// A cursor is the client's text.
#[tokio::test]
async fn an_odd_cursor_is_the_clients_fault() {
    let f = memory().await;
    let page = Page { after: Some("a/b".to_owned()), limit: 10 };
    let kind = f.dcm.projects(&page).await.map_err(|e| e.kind()).map(|_| ());
    assert_ne!(kind, Err(ErrorKind::Internal));
}

/// Nobody sent If-Match.
#[tokio::test]
async fn a_delete_without_if_match_is_never_412() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    f.dcm.delete_logical_cloud(&id, None).await.unwrap();
    f.carry_out().await.unwrap();
    let (dcm, at) = (f.dcm.clone(), id.clone());
    store.before("project/", false, move || async move {
        let input = metadata(at.project.as_str());
        dcm.update_project(&at.project, input.into(), None).await.unwrap();
    });
    let kind = f.dcm.delete_project(&id.project, None).await.map_err(|e| e.kind());
    assert_ne!(kind, Err(ErrorKind::PreconditionFailed));
}

/// Limits under concurrency, and what they do to the generation.
#[tokio::test]
async fn the_limit_of_quotas_holds_side_by_side() {
    let (f, store) = hooked().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    for i in 2..32 {
        f.dcm.create_quota(&id, quota_input(&format!("quota-{i:02}"), "5").into()).await.unwrap();
    }
    let (dcm, at) = (f.dcm.clone(), id.clone());
    store.before("/quota/", true, move || async move {
        dcm.create_quota(&at, quota_input("quota-98", "5").into()).await.unwrap();
    });
    let _ = f.dcm.create_quota(&id, quota_input("quota-99", "5").into()).await;
    let quotas = f.dcm.quotas(&id, &Page::default()).await.unwrap().entries.len();
    f.apply(&id).await.unwrap();
    f.carry_out().await.unwrap();
    let view = f.dcm.logical_cloud(&id).await.unwrap();
    assert_eq!((quotas, view.generation), (32, view.cloud.lifecycle.applied_generation));
}

/// Credentials in the server's URL are shown by GET.
#[tokio::test]
async fn a_server_url_holds_no_credentials() {
    let f = memory().await;
    let mut input = cluster_input("c9");
    input.kubeconfig.as_mut().unwrap()["clusters"][0]["cluster"]["server"] = "https://admin:s3cret@127.0.0.1:1".into();
    let made = f.dcm.create_cluster(&provider("default"), input.into()).await;
    assert!(!made.is_ok_and(|view| view.cluster.server.contains("s3cret")));
}

/// How many documents are read to make N references, and to look at one cluster of N clouds.
#[tokio::test]
async fn work_grows_with_what_is_asked_for() {
    const N: usize = 300;
    let (f, store) = counting().await;
    f.register(&["shared"]).await.unwrap();
    let id = f.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let names: Vec<String> = (0..N).map(|i| format!("c-{i:04}")).collect();
    f.register(&names.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    store.take();
    for name in &names {
        f.dcm.create_reference(&id, reference_input(name).into()).await.unwrap();
    }
    let creating = store.take();
    for i in 0..N {
        f.create_cloud(&format!("many-{i}"), "ns-1", &["shared"]).await.unwrap();
    }
    store.take();
    f.dcm.cluster(&provider("default"), &"shared".parse().unwrap()).await.unwrap();
    let looking = store.take();
    assert!(
        creating < 20 * N && looking < N + 20,
        "documents read: {creating} to make {N} references, {looking} to look at one cluster of {N} clouds"
    );
}

/// Accepted here, 422 on every cluster: more than 63 characters after the slash; not whole.
#[tokio::test]
async fn a_quota_that_every_cluster_refuses_is_refused() {
    let f = memory().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut taken = Vec::new();
    for (i, (key, value)) in
        [(format!("count/widgets.{}.example.com", "g".repeat(60)), "1"), ("pods".to_owned(), "0.001Ki")]
            .into_iter()
            .enumerate()
    {
        let mut quota = quota_input(&format!("q{i}"), "1");
        quota.spec = Some([(key.clone(), value.to_owned())].into());
        if f.dcm.create_quota(&id, quota.into()).await.is_ok() {
            taken.push((key, value));
        }
    }
    assert_eq!(taken, []);
}

/// A limit on what DCM itself makes, written another way.
#[tokio::test]
async fn a_quota_that_would_bite_dcm_is_refused_however_it_is_written() {
    let f = memory().await;
    let id = f.create_cloud("lc-1", "ns-1", &["c1"]).await.unwrap();
    let mut quota = quota_input("quota-2", "5");
    quota.spec = Some([("resourcequotas".to_owned(), "1.0".to_owned())].into());
    f.dcm.create_quota(&id, quota.into()).await.unwrap();
    assert!(f.dcm.apply(&id, Event::Apply, false).await.is_err());
}
