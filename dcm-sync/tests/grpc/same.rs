//! What a client waits for comes out the same through the wire.

use dcm_core::{
    error::Error,
    gateway::ClusterGateway as _,
    model::Connectivity,
    service::{Page, Selection},
    sync::{Failure, Grant, ObjectId, Reason},
};
use dcm_test_utils::builders::{cloud_id, cluster_input, permission_input, provider};

use crate::support::Split;

const CLUSTERS: [&str; 3] = ["c1", "c2", "c3"];

fn page(limit: usize, after: Option<&str>) -> Selection {
    Selection::Page(Page { limit, after: after.map(str::to_owned) })
}

#[tokio::test]
async fn a_cluster_is_asked_at_its_registration_and_its_health_is_what_it_says() {
    let Split { there, main, served: _served } = Split::start().await;
    there.clusters.set_down("default/c2", true);
    for name in ["c1", "c2"] {
        let input = cluster_input(&format!("{name}-near"));
        let near = there.dcm.create_cluster(&provider("default"), input.into()).await.unwrap().health.unwrap();
        assert_eq!(near.connectivity, Connectivity::Available);
        let far = main.create_cluster(&provider("default"), cluster_input(name).into()).await.unwrap();
        let far = far.health.unwrap();
        if name == "c1" {
            assert_eq!(
                (far.connectivity, far.version, far.capabilities),
                (near.connectivity, near.version, near.capabilities)
            );
            assert_eq!(far.identity.as_deref(), Some("identity-of-default-c1"));
        } else {
            assert_eq!((far.connectivity, far.reason), (Connectivity::Unavailable, Some(Reason::Unreachable)));
            assert_eq!(far.detail.as_deref(), Some("connection refused"));
        }
    }
    // It is asked again when its registration changes.
    there.clusters.set_down("default/c2", false);
    let name = "c2".parse().unwrap();
    let health =
        main.update_cluster(&provider("default"), &name, cluster_input("c2").into(), None).await.unwrap().health;
    assert_eq!(health.unwrap().connectivity, Connectivity::Available);
}

#[tokio::test]
async fn a_diff_is_that_of_who_reaches_the_clusters_field_for_field() {
    let Split { there, main, served: _served } = Split::start().await;
    there.register(&CLUSTERS).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &CLUSTERS).await.unwrap();
    // What differs in every way: something new, something else, something that goes, and clusters that are in no state to tell.
    main.create_permission(&id, permission_input("permission-2", "pods").into()).await.unwrap();
    there.clusters.with("default/c2", |cluster| {
        let id = cluster.objects.keys().find(|id| id.kind == "Role").cloned().unwrap();
        cluster.objects.get_mut(&id).unwrap().2["rules"] =
            serde_json::json!([{ "verbs": ["ä\n"], "deep": [[1.5, null]] }]);
    });
    let failure = Failure { retry_after: Some(17), ..Failure::new(Reason::RateLimited, "later, \"ä\"") };
    there.clusters.with("default/c3", |cluster| cluster.failure = Some(failure.clone()));
    for which in [
        page(100, None),
        page(1_000, None),
        page(1, None),
        page(2, Some("c1")),
        page(1, Some("c3")),
        Selection::One("c2".parse().unwrap()),
    ] {
        let (near, far) = (there.dcm.diff(&id, &which).await.unwrap(), main.diff(&id, &which).await.unwrap());
        assert_eq!(far, near, "{which:?}");
    }
    let far = main.diff(&id, &page(100, None)).await.unwrap();
    assert!(!far.clusters[0].1.as_ref().unwrap().differences.is_empty(), "{far:?}");
    assert_eq!(far.clusters[2].1.as_ref().unwrap_err(), &failure);
}

#[tokio::test]
async fn who_is_revoked_is_cut_off_at_once_and_the_answer_says_what_the_clusters_say() {
    let Split { there, main, served: _served } = Split::start().await;
    there.register(&CLUSTERS).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &CLUSTERS).await.unwrap();
    let grant = Grant {
        id: ObjectId {
            api_version: "rbac.authorization.k8s.io/v1".to_owned(),
            kind: "RoleBinding".to_owned(),
            namespace: Some("ns-1".to_owned()),
            name: "by-hand".to_owned(),
        },
        detail: "gives \"ä\"".to_owned(),
    };
    there.clusters.with("default/c2", |cluster| cluster.grants = vec![grant.clone()]);
    there.clusters.set_down("default/c3", true);
    let bound = |name: &str| there.clusters.holds(name).iter().filter(|held| held.contains("RoleBinding")).count();
    assert!(bound("default/c1") > 0 && bound("default/c2") > 0);
    let revoked = main.revoke_user(&id).await.unwrap();
    let [(_, first), (_, second), (third_name, third)] = revoked.clusters.as_slice() else { panic!("{revoked:?}") };
    assert_eq!(first.as_ref().unwrap(), &[]);
    assert_eq!(second.as_ref().unwrap(), &[grant]);
    assert_eq!((third_name.as_str(), third.as_ref().unwrap_err().reason), ("c3", Reason::Unreachable));
    assert_eq!((bound("default/c1"), bound("default/c2")), (0, 0), "before anybody carries out the order");
    assert!(bound("default/c3") > 0);
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_same_words() {
    let Split { there, main, served } = Split::start().await;
    let far = served.client();
    let same = |near: Error, far: Error| assert_eq!(format!("{far:?}"), format!("{near:?}"));
    let unknown = cloud_id("nobody");
    let all = page(100, None);
    same(there.dcm.diff(&unknown, &all).await.unwrap_err(), main.diff(&unknown, &all).await.unwrap_err());
    let id = there.create_cloud("lc-1", "ns-1", &[]).await.unwrap();
    let one = Selection::One("c9".parse().unwrap());
    same(there.dcm.diff(&id, &one).await.unwrap_err(), main.diff(&id, &one).await.unwrap_err());
    let (default, none) = (provider("default"), "none".parse().unwrap());
    same(
        there.dcm.probe_cluster(&default, &none).await.unwrap_err(),
        far.probe_cluster(&default, &none).await.unwrap_err(),
    );
    // A generation that the store does not have.
    same(there.dcm.cut_off_user(&id, 1).await.unwrap_err(), far.cut_off_user(&id, 1).await.unwrap_err());
    // Nobody to cut off; nothing is asked then.
    same(there.dcm.revoke_user(&id).await.unwrap_err(), main.revoke_user(&id).await.unwrap_err());
}

#[tokio::test]
async fn nobody_is_cut_off_by_a_call_whom_the_store_lets_in() {
    let Split { there, main: _main, served } = Split::start().await;
    there.register(&["c1"]).await.unwrap();
    let id = there.create_applied("lc-1", "ns-1", &["c1"]).await.unwrap();
    let before = there.clusters.holds("default/c1");
    let cut = served.client().cut_off_user(&id, 1).await.unwrap();
    assert_eq!(cut, [("c1".parse().unwrap(), Ok(Vec::new()))]);
    assert_eq!(there.clusters.holds("default/c1"), before);
    let later = served.client().cut_off_user(&id, 2).await.unwrap_err();
    assert!(matches!(later, Error::Changed { expected: false, .. }), "{later:?}");
}
