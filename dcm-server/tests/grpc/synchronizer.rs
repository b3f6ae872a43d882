//! What the synchronizer role tells main servers, over mutual TLS.

use std::{path::Path, sync::Arc};

use dcm_proto::sync_v1::{
    GetStatusRequest, WatchStatusRequest, WatchStatusResponse,
    resource_synchronizer_client::ResourceSynchronizerClient, watch_status_response::Event,
};
use dcm_server::{Config, Running, tls::PeerTls};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;
use tonic::{
    Code, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{
    many::{Many, name, names},
    same,
    support::{LC, PATIENCE},
};

const DCM: &str = "spiffe://example.com/dcm";

/// A synchronizer on the same store.
struct Synchronizer {
    running: Running,
    tls: PeerTls,
    _files: TempDir,
}

impl Synchronizer {
    async fn beside(many: &Many) -> Self {
        let files = tempfile::tempdir().unwrap();
        let at = |name: &str| files.path().join(name).display().to_string();
        certificates(files.path());
        let (ca, cert, key) = (at("ca.crt"), at("both.crt"), at("both.key"));
        let options = [
            "--role",
            "synchronizer",
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--store",
            "memory:",
            "--synchronizer",
            "simulated",
            "--resync-period",
            "0s",
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
            "--client-ca",
            &ca,
            "--allowed-identity",
            DCM,
            "--encryption-key-file",
            &many.key(),
        ];
        let config = Config::from_options(options).unwrap();
        let running = dcm_server::start_on(Arc::clone(&many.store) as _, config).await.unwrap();
        let tls = PeerTls::open(ca.as_ref(), Some((cert.as_ref(), key.as_ref()))).unwrap();
        Self { running, tls, _files: files }
    }

    fn client(&self) -> ResourceSynchronizerClient<Channel> {
        // Whatever the scheme says: a tonic with TLS of its own takes https for an order.
        let endpoint = Endpoint::from_shared(format!("http://localhost:{}", self.running.grpc_addr().port())).unwrap();
        ResourceSynchronizerClient::new(endpoint.connect_with_connector_lazy(self.tls.connector()))
    }
}

/// A CA, and one pair for both sides.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        vec![SanType::DnsName("localhost".try_into().unwrap()), SanType::URI(DCM.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join("both.crt"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(folder.join("both.key"), key.serialize_pem()).unwrap();
}

fn asked() -> GetStatusRequest {
    GetStatusRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() }
}

fn watched() -> WatchStatusRequest {
    WatchStatusRequest { project: "p".to_owned(), logical_cloud: "lc-1".to_owned(), ..Default::default() }
}

async fn next(watch: &mut Streaming<WatchStatusResponse>) -> WatchStatusResponse {
    let message = tokio::time::timeout(PATIENCE, watch.message()).await.expect("it takes too long");
    message.unwrap().expect("the watch has ended")
}

#[tokio::test]
async fn it_tells_the_status_of_many_clusters_page_by_page_and_in_parts() {
    const COUNT: usize = 2500;
    let many = Many::start(COUNT, 300).await;
    let synchronizer = Synchronizer::beside(&many).await;
    let all: Vec<String> = (0..COUNT).map(name).collect();
    let (mut token, mut told) = (String::new(), Vec::new());
    let last = loop {
        let page = GetStatusRequest { page_token: token, ..asked() };
        let page = synchronizer.client().get_status(page).await.unwrap().into_inner();
        assert!(page.encoded_len() < 4 * 1024 * 1024);
        let status = page.status.unwrap();
        assert_eq!(status.cluster_count as usize, COUNT);
        told.extend(status.clusters.clone());
        token = page.next_page_token;
        if token.is_empty() {
            break status;
        }
    };
    let whole = dcm_proto::v1::LogicalCloudStatus { clusters: told, ..last };
    assert_eq!(names(&whole), all);
    assert_eq!(many.dcm.get(&format!("{LC}/status")).await.expect(200), same::status(&whole));

    let mut watch = synchronizer.client().watch_status(watched()).await.unwrap().into_inner();
    let mut told = Vec::new();
    loop {
        let message = next(&mut watch).await;
        let Some(Event::Status(update)) = message.event else { panic!("{message:?}") };
        assert_eq!(message.event_id.is_empty(), update.more);
        told.extend(names(&update.status.unwrap()));
        if !update.more {
            break;
        }
    }
    assert_eq!(told, all);
    drop(watch);
    synchronizer.running.stop().await;
    many.dcm.stop().await;
}

#[tokio::test]
async fn a_watch_says_towards_which_generation_the_work_is() {
    let many = Many::start(0, 0).await;
    let dcm = &many.dcm;
    let synchronizer = Synchronizer::beside(&many).await;
    let mut watch = synchronizer.client().watch_status(watched()).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await.generation, 0);
    let message = next(&mut watch).await;
    assert!(matches!(message.event, Some(Event::Synced(_))), "{message:?}");
    let cluster = json!({ "metadata": { "name": "new" }, "spec": { "kubeconfig": crate::support::kubeconfig() } });
    dcm.post(crate::support::CLUSTERS, &cluster).await.expect(201);
    let reference = json!({ "cluster-reference": "new", "loadbalancer-ip": "0.0.0.0" });
    dcm.post(&format!("{LC}/cluster-references"), &reference).await.expect(200);
    dcm.order(&format!("{LC}/apply")).await.expect(200);
    let applied = dcm.get(LC).await.expect(200)["applied-generation"].as_u64().unwrap();
    assert_ne!(applied, 0);
    while next(&mut watch).await.generation != applied {}
    let read = synchronizer.client().get_status(asked()).await.unwrap().into_inner();
    assert_eq!(read.generation, applied);
    let only = WatchStatusRequest { cluster_reference: Some("new".to_owned()), ..watched() };
    let mut watch = synchronizer.client().watch_status(only).await.unwrap().into_inner();
    let message = next(&mut watch).await;
    let Some(Event::Status(update)) = message.event else { panic!("{message:?}") };
    assert_eq!((names(&update.status.unwrap()), message.generation), (vec!["new".to_owned()], applied));
    drop(watch);
    synchronizer.running.stop().await;
    many.dcm.stop().await;
}

#[tokio::test]
async fn what_is_no_page_names_the_field_there_too() {
    let many = Many::start(1, 10).await;
    let synchronizer = Synchronizer::beside(&many).await;
    for (bad, field) in [
        (GetStatusRequest { page_size: 1001, ..asked() }, "page_size"),
        (GetStatusRequest { page_token: "a b".to_owned(), ..asked() }, "page_token"),
        (GetStatusRequest { cluster_reference: Some("a b".to_owned()), ..asked() }, "cluster_reference"),
    ] {
        let status = synchronizer.client().get_status(bad).await.unwrap_err();
        assert_eq!(
            (status.code(), &same::of_status(&status)["errors"][0]["field"]),
            (Code::InvalidArgument, &json!(field))
        );
    }
    for (bad, field) in [
        (WatchStatusRequest { page_size: -1, ..watched() }, "page_size"),
        (WatchStatusRequest { cluster_reference: Some(String::new()), ..watched() }, "cluster_reference"),
    ] {
        let status = synchronizer.client().watch_status(bad).await.unwrap_err();
        assert_eq!(
            (status.code(), &same::of_status(&status)["errors"][0]["field"]),
            (Code::InvalidArgument, &json!(field))
        );
    }
    synchronizer.running.stop().await;
    many.dcm.stop().await;
}
