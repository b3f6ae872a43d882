//! EMCO's `StatusNotify`, as its clients use it.

use std::time::{Duration, Instant};

use dcm_proto::statusnotify::{
    DigKey, LcKey, OutputType, StatusDeregistration, StatusNotification, StatusRegistration, StatusValue,
    status_detail::StatusDetail, status_notify_client::StatusNotifyClient, status_registration::Key,
};
use dcm_test_utils::patience::until_so;
use tonic::{Code, Request, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::{
    same,
    support::{Dcm, LC, PATIENCE},
};

/// As `emcoctl watch projects/p/logical-clouds/lc-1/status` registers.
fn registration(client_id: &str) -> StatusRegistration {
    let key = LcKey { project: "p".to_owned(), logical_cloud: "lc-1".to_owned() };
    StatusRegistration {
        client_id: client_id.to_owned(),
        key: Some(Key::LcKey(key)),
        status_type: StatusValue::Ready.into(),
        ..Default::default()
    }
}

fn all(client_id: &str) -> StatusRegistration {
    StatusRegistration { output: OutputType::All.into(), ..registration(client_id) }
}

fn deployed(asked: StatusRegistration) -> StatusRegistration {
    StatusRegistration { status_type: StatusValue::Deployed.into(), ..asked }
}

impl Dcm {
    fn emco(&self) -> StatusNotifyClient<Channel> {
        StatusNotifyClient::new(self.channel())
    }

    async fn register(&self, asked: StatusRegistration) -> Streaming<StatusNotification> {
        self.emco().status_register(asked).await.unwrap().into_inner()
    }

    async fn deregister(&self, client_id: &str) {
        let asked = StatusDeregistration { client_id: client_id.to_owned() };
        self.emco().status_deregister(asked).await.unwrap();
    }
}

async fn next(stream: &mut Streaming<StatusNotification>) -> Option<StatusNotification> {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("nothing is told").unwrap()
}

async fn next_value(stream: &mut Streaming<StatusNotification>) -> StatusValue {
    let told = next(stream).await.expect("the stream has ended");
    assert_eq!(told.details, [], "details were not asked for");
    told.status_value()
}

/// Reads on until this is told.
async fn wait_for(stream: &mut Streaming<StatusNotification>, value: StatusValue) -> StatusNotification {
    loop {
        let told = next(stream).await.expect("the stream has ended");
        if told.status_value() == value {
            return told;
        }
    }
}

#[tokio::test]
async fn a_client_hears_at_once_how_it_is_and_each_change_once() {
    use StatusValue::{Deployed, NotDeployed, NotReady, Ready};
    let dcm = Dcm::start(&[]).await;
    dcm.with_reference().await;
    let mut ready = dcm.register(registration("a")).await;
    let mut carried = dcm.register(deployed(registration("b"))).await;
    assert_eq!(next_value(&mut ready).await, NotReady);
    assert_eq!(next_value(&mut carried).await, NotDeployed);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    // Whatever states lie between: none is told twice.
    assert_eq!(next_value(&mut ready).await, Ready);
    assert_eq!(next_value(&mut carried).await, Deployed);
    // READY only where the status is Created.
    assert_eq!(dcm.get(&format!("{LC}/status")).await.expect(200)["status"], "Created");
    dcm.order(&format!("{LC}/terminate")).await.expect(202);
    assert_eq!(next_value(&mut ready).await, NotReady);
    assert_eq!(next_value(&mut carried).await, NotDeployed);
    // The end of the logical cloud is the end of the streams, which end well.
    dcm.delete(LC).await;
    assert_eq!(next(&mut ready).await, None);
    assert_eq!(next(&mut carried).await, None);
    dcm.stop().await;
}

#[tokio::test]
async fn the_details_say_of_each_object_what_rest_says_in_emcos_form() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_applied_cloud().await;
    for (asked, query, good) in
        [(all("a"), "status=ready", StatusValue::Ready), (deployed(all("b")), "status=deployed", StatusValue::Deployed)]
    {
        let mut stream = dcm.register(asked).await;
        let told = wait_for(&mut stream, good).await;
        let [detail] = &told.details[..] else { panic!("{told:?}") };
        let Some(StatusDetail::Cluster(cluster)) = &detail.status_detail else { panic!("{detail:?}") };
        assert_eq!((cluster.cluster_provider.as_str(), cluster.cluster.as_str()), ("default", "cluster-1"));
        assert_eq!(cluster.status_value(), good);
        let rest = dcm.get(&format!("{LC}/status?{query}")).await.expect(200);
        let objects = rest["clusters"][0]["resources"].as_array().unwrap();
        assert_eq!(cluster.resources.len(), objects.len());
        for (resource, object) in cluster.resources.iter().zip(objects) {
            let gvk = resource.gvk.as_ref().unwrap();
            assert_eq!(resource.name, object["name"]);
            assert_eq!(gvk.group, object["GVK"]["Group"]);
            assert_eq!(gvk.version, object["GVK"]["Version"]);
            assert_eq!(gvk.kind, object["GVK"]["Kind"]);
            assert_eq!(resource.status_value(), good, "{object}");
        }
    }
    dcm.stop().await;
}

#[tokio::test]
async fn filters_select_from_the_details_and_not_from_the_whole() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_applied_cloud().await;
    let of = |clusters: &[&str], resources: &[&str]| StatusRegistration {
        clusters: clusters.iter().map(|text| (*text).to_owned()).collect(),
        resources: resources.iter().map(|text| (*text).to_owned()).collect(),
        // A logical cloud has no apps to select from.
        apps: vec!["nothing".to_owned()],
        ..all("a")
    };
    for (asked, clusters, objects) in [
        (of(&["default+cluster-1"], &[]), 1, None),
        (of(&["default+other"], &[]), 0, None),
        (of(&["default+other", "default+cluster-1"], &["ns-1"]), 1, Some(1)),
        (of(&[], &["nothing"]), 0, None),
    ] {
        let shown = format!("{asked:?}");
        let mut stream = dcm.register(asked).await;
        let told = wait_for(&mut stream, StatusValue::Ready).await;
        assert_eq!(told.details.len(), clusters, "{shown}");
        for detail in &told.details {
            let Some(StatusDetail::Cluster(cluster)) = &detail.status_detail else { panic!("{detail:?}") };
            assert!(objects.is_none_or(|objects| cluster.resources.len() == objects), "{cluster:?}");
        }
        dcm.deregister("a").await;
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_client_ends_his_stream_by_deregistering_and_nobody_elses() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let (mut one, mut other) = (dcm.register(registration("a")).await, dcm.register(registration("b")).await);
    assert_eq!(next_value(&mut one).await, StatusValue::NotReady);
    assert_eq!(next_value(&mut other).await, StatusValue::NotReady);
    dcm.deregister("nobody").await;
    dcm.deregister("").await;
    dcm.deregister("a").await;
    assert_eq!(next(&mut one).await, None);
    assert!(tokio::time::timeout(Duration::from_millis(300), other.message()).await.is_err(), "the other goes on");
    // The id is free again, at once.
    let mut again = dcm.register(registration("a")).await;
    assert_eq!(next_value(&mut again).await, StatusValue::NotReady);
    dcm.stop().await;
}

#[tokio::test]
async fn an_id_is_registered_once_and_free_again_when_its_client_has_gone() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let first = dcm.register(registration("a")).await;
    let status = dcm.emco().status_register(registration("a")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains("clientId"), "{status:?}");
    drop(first);
    let freed = async || dcm.emco().status_register(registration("a")).await.is_ok();
    until_so(PATIENCE, "the id of who went", freed).await;
    dcm.stop().await;
}

#[tokio::test]
async fn registrations_take_places_of_watches_and_refused_ones_give_them_back() {
    let dcm = Dcm::start(&["--max-watches", "1"]).await;
    dcm.with_cloud().await;
    let unknown = |name: &str| StatusRegistration {
        key: Some(Key::LcKey(LcKey { project: "p".to_owned(), logical_cloud: name.to_owned() })),
        ..registration("a")
    };
    for _ in 0..3 {
        let status = dcm.emco().status_register(unknown("none")).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "NOT_FOUND");
    }
    let first = dcm.register(registration("a")).await;
    let status = dcm.emco().status_register(registration("b")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_error_details().retry_info().is_some());
    drop(first);
    until_so(PATIENCE, "a place", async || dcm.emco().status_register(registration("b")).await.is_ok()).await;
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_said_at_once_field_by_field() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let dig = Key::DigKey(DigKey { project: "p".to_owned(), ..Default::default() });
    let named = |project: &str, cloud: &str| {
        Some(Key::LcKey(LcKey { project: project.to_owned(), logical_cloud: cloud.to_owned() }))
    };
    for (bad, fields) in [
        (registration(""), &["clientId"][..]),
        (registration(&"x".repeat(257)), &["clientId"]),
        (StatusRegistration { key: None, ..registration("a") }, &["lcKey"]),
        (StatusRegistration { key: Some(dig), ..registration("a") }, &["lcKey"]),
        (StatusRegistration { key: named("", "No!"), ..registration("a") }, &["lcKey.project", "lcKey.logicalCloud"]),
        (
            StatusRegistration { status_type: 1, output: 7, clusters: vec!["c".to_owned()], ..registration("a") },
            &["statusType", "output", "clusters"],
        ),
    ] {
        let status = dcm.emco().status_register(bad).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let problem = same::of_status(&status);
        let told: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(told, fields, "{problem}");
    }
    // And nothing of it is registered.
    dcm.register(registration("a")).await;
    dcm.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_deadline_and_with_the_server() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let mut asked = Request::new(registration("a"));
    asked.set_timeout(Duration::from_millis(500));
    let mut short = dcm.emco().status_register(asked).await.unwrap().into_inner();
    assert_eq!(next_value(&mut short).await, StatusValue::NotReady);
    let status = short.message().await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    let mut long = dcm.register(registration("b")).await;
    assert_eq!(next_value(&mut long).await, StatusValue::NotReady);
    let begun = Instant::now();
    let stopping = tokio::spawn(dcm.stop());
    assert_eq!(long.message().await.unwrap_err().code(), Code::Unavailable);
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
