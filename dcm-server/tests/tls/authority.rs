//! A main server whose CA is another process's, over mutual TLS.

use std::{sync::Arc, time::Duration};

use dcm_core::{
    ca::{CaProvider as _, Cloud, Error, Generation, IntermediateRequest},
    lifecycle::Event,
    model::Uid,
    service::{CloudId, Overall},
};
use dcm_mesh::{
    ca::IntermediateKey,
    grpc::{GrpcCa, Patience},
};
use dcm_server::{Config, Running, start, tls::PeerTls};
use dcm_test_utils::{
    address::free_port,
    builders::{cloud_id, cloud_input, cluster_input, provider, reference_input},
    patience::{until, until_so},
};
use serde_json::Value;
use tonic::transport::Endpoint;

use crate::support::{Ca, Place};

const PATIENCE: Duration = Duration::from_secs(60);
const MAIN: &str = "main.dcm.example";

/// Files, and a port that the CA is always at.
struct Bed {
    place: Place,
    port: u16,
}

impl Bed {
    fn new() -> Self {
        dcm_server::install_crypto_provider();
        let (place, roles) = (Place::new(), Ca::new("roles"));
        place.put("roles.crt", &roles.pem);
        for who in [MAIN, "stranger", "ca"] {
            let pair = roles.issue(&[who, "localhost", "127.0.0.1"]);
            place.put(&format!("{who}.crt"), &pair.cert);
            place.put(&format!("{who}.key"), &pair.key);
        }
        // Nobody trusts this one.
        let pair = Ca::new("others").issue(&["ca", "localhost", "127.0.0.1"]);
        place.put("false-ca.crt", &pair.cert);
        place.put("false-ca.key", &pair.key);
        Self { place, port: free_port() }
    }

    fn file(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }

    async fn begin(&self, options: Vec<String>) -> Running {
        let anywhere = ["--http=127.0.0.1:0".to_owned()];
        start(Config::from_options(anywhere.into_iter().chain(options)).unwrap()).await.unwrap()
    }

    /// The CA, with the certificate of `who`.
    async fn authority(&self, who: &str) -> Running {
        self.begin(vec![
            "--role=ca".to_owned(),
            format!("--grpc=127.0.0.1:{}", self.port),
            format!("--store=sled:{}", self.file("ca-data")),
            format!("--tls-cert={}", self.file(&format!("{who}.crt"))),
            format!("--tls-key={}", self.file(&format!("{who}.key"))),
            format!("--client-ca={}", self.file("roles.crt")),
            format!("--allowed-identity={MAIN}"),
        ])
        .await
    }

    /// The main server, which shows the certificate of `who`.
    async fn main(&self, who: &str) -> Main {
        let running = self
            .begin(vec![
                "--grpc=127.0.0.1:0".to_owned(),
                format!("--store=sled:{}", self.file("main-data")),
                "--synchronizer=simulated".to_owned(),
                format!("--ca=https://127.0.0.1:{}", self.port),
                format!("--peer-ca={}", self.file("roles.crt")),
                format!("--peer-cert={}", self.file(&format!("{who}.crt"))),
                format!("--peer-key={}", self.file(&format!("{who}.key"))),
            ])
            .await;
        Main(running)
    }

    /// Whoever else may ask the CA.
    fn client(&self) -> GrpcCa {
        let (cert, key) = (self.place.path(&format!("{MAIN}.crt")), self.place.path(&format!("{MAIN}.key")));
        let tls = PeerTls::open(&self.place.path("roles.crt"), Some((&cert, &key))).unwrap();
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        GrpcCa::new(endpoint.connect_with_connector_lazy(tls.connector()), Patience::default())
    }
}

struct Main(Running);

impl Main {
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.0.http_addr())).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Why the CA is waited for; `None` where it is not. It serves, whatever that is.
    async fn waits_for_ca(&self) -> Option<String> {
        let (status, body) = self.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let parts = body["waiting-for"].as_array().cloned().unwrap_or_default();
        let part = parts.into_iter().find(|part| part["part"] == "ca")?;
        Some(part["reason"].as_str().unwrap().to_owned())
    }

    async fn until_it_waits(&self) -> String {
        until(PATIENCE, "waiting for the CA", async || self.waits_for_ca().await.ok_or("it does not wait")).await
    }

    async fn until_it_waits_no_more(&self) {
        until_so(PATIENCE, "no more waiting for the CA", async || self.waits_for_ca().await.is_none()).await;
    }

    async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().unwrap()
    }

    async fn until_metric(&self, name: &str, wanted: f64) {
        until(PATIENCE, format_args!("{name}: {wanted}"), async || {
            let found = self.metric(name).await;
            if found == wanted { Ok(()) } else { Err(found) }
        })
        .await;
    }

    /// A logical cloud that is on no cluster; its name and uid.
    async fn cloud(&self, name: &str) -> (CloudId, Uid) {
        let id = cloud_id(name);
        let made = self.0.dcm().create_logical_cloud(&id.project, cloud_input(name, name).into()).await.unwrap();
        (id, made.cloud.uid)
    }

    async fn delete(&self, id: &CloudId) {
        self.0.dcm().delete_logical_cloud(id, None).await.unwrap();
        until_so(PATIENCE, "gone", async || self.0.dcm().logical_cloud(id).await.is_err()).await;
    }

    async fn stop(self) {
        self.0.stop().await;
    }
}

fn request(uid: &Uid, number: u32) -> IntermediateRequest {
    IntermediateRequest {
        cloud: Cloud {
            uid: uid.clone(),
            project: "walmart".parse().unwrap(),
            name: "lc-1".parse().unwrap(),
            trust_domain: "lc-1.walmart.example".parse().unwrap(),
        },
        cluster: "c1".parse().unwrap(),
        generation: Generation::new(number).unwrap(),
        csr_pem: IntermediateKey::default().make().unwrap().csr_pem,
    }
}

async fn assert_forgotten(ca: &GrpcCa, uid: &Uid) {
    let refused = ca.issue_intermediate(&request(uid, 7)).await;
    assert!(matches!(refused, Err(Error::Forgotten { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_deleted_is_forgotten_by_the_ca_of_another_process() {
    let bed = Bed::new();
    let authority = bed.authority("ca").await;
    let (main, client) = (bed.main(MAIN).await, bed.client());
    let dcm = main.0.dcm();
    dcm.create_cluster(&provider("default"), cluster_input("c1").into()).await.unwrap();
    let (id, uid) = main.cloud("lc-1").await;
    let (_, kept) = main.cloud("kept").await;
    dcm.create_reference(&id, reference_input("c1").into()).await.unwrap();
    dcm.apply(&id, Event::Apply, false).await.unwrap();
    until_so(PATIENCE, "created", async || dcm.status(&id).await.unwrap().overall == Overall::Created).await;
    for uid in [&uid, &kept] {
        client.issue_intermediate(&request(uid, 1)).await.unwrap();
    }
    main.delete(&id).await;
    main.until_metric("dcm_ca_forgotten_total", 1.0).await;
    assert_forgotten(&client, &uid).await;
    client.issue_intermediate(&request(&kept, 2)).await.unwrap();
    assert_eq!(main.waits_for_ca().await, None);
    assert_eq!(main.metric("dcm_part_away{part=\"ca\"}").await, 0.0);
    main.stop().await;
    authority.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ca_is_to_forget_that_is_away_outlives_restarts_in_any_order() {
    let bed = Bed::new();
    let main = bed.main(MAIN).await;
    let reason = main.until_it_waits().await;
    assert!(reason.contains("onnect"), "{reason}");
    let (id, first) = main.cloud("first").await;
    main.delete(&id).await;
    main.until_metric("dcm_ca_forgets_pending", 1.0).await;
    assert_eq!(main.metric("dcm_part_away{part=\"ca\"}").await, 1.0);
    main.stop().await;

    // The main server comes back before its CA, which comes then, goes, and comes back.
    let main = bed.main(MAIN).await;
    main.until_it_waits().await;
    let authority = bed.authority("ca").await;
    main.until_it_waits_no_more().await;
    main.until_metric("dcm_ca_forgotten_total", 1.0).await;
    assert_forgotten(&bed.client(), &first).await;
    let (id, second) = main.cloud("second").await;
    authority.stop().await;
    main.until_it_waits().await;
    main.delete(&id).await;
    main.until_metric("dcm_ca_forgets_pending", 1.0).await;
    let authority = bed.authority("ca").await;
    main.until_metric("dcm_ca_forgotten_total", 2.0).await;
    main.until_metric("dcm_ca_forgets_pending", 0.0).await;
    for uid in [&first, &second] {
        assert_forgotten(&bed.client(), uid).await;
    }
    main.stop().await;
    authority.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_refuses_this_server_or_is_another_one_is_waited_for() {
    let bed = Bed::new();
    let authority = bed.authority("ca").await;
    let main = bed.main("stranger").await;
    let reason = main.until_it_waits().await;
    assert!(reason.contains("refuses") && reason.contains("stranger"), "{reason}");
    let (id, uid) = main.cloud("lc-1").await;
    main.delete(&id).await;
    main.until_metric("dcm_ca_forgets_pending", 1.0).await;
    main.stop().await;
    authority.stop().await;

    // One whose certificate is not the roles'.
    let authority = bed.authority("false-ca").await;
    let main = bed.main(MAIN).await;
    let reason = main.until_it_waits().await;
    assert!(reason.contains("certificate") || reason.contains("UnknownIssuer"), "{reason}");
    assert_eq!(main.metric("dcm_ca_forgotten_total").await, 0.0);
    authority.stop().await;
    let authority = bed.authority("ca").await;
    main.until_metric("dcm_ca_forgotten_total", 1.0).await;
    assert_forgotten(&bed.client(), &uid).await;
    main.stop().await;
    authority.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_ca_forgets_what_is_deleted_too() {
    dcm_server::install_crypto_provider();
    let store: Arc<dyn dcm_core::store::Store> = Arc::new(dcm_store::memory::MemoryStore::new());
    let options = ["--store=memory:", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", "--synchronizer=simulated"];
    let running = dcm_server::start_on(Arc::clone(&store), Config::from_options(options).unwrap()).await.unwrap();
    let main = Main(running);
    let (id, uid) = main.cloud("lc-1").await;
    main.delete(&id).await;
    main.until_metric("dcm_ca_forgotten_total", 1.0).await;
    assert_eq!(main.waits_for_ca().await, None);
    let key = dcm_core::keys::certificate_authority(&uid).unwrap();
    let left = store.get(&key).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(left.body.as_bytes()).contains("forgotten-at"));
    main.stop().await;
}
