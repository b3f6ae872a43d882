//! MongoDB stops, freezes, restarts and refuses; DCM says so, goes on, and comes back by itself.

use std::time::Duration;

use dcm_sim::{Cluster, ClusterOptions};
use dcm_test_utils::mongodb::Server;
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{BOUND, Dcm};

const WHAT: &str = "DCM while its MongoDB fails";

/// MongoDB, DCM on it, and how MongoDB is reached.
struct Bed {
    dcm: Dcm,
    mongodb: Server,
    _folder: TempDir,
}

impl Bed {
    async fn start(options: &[&str]) -> Option<Self> {
        dcm_server::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let mongodb = Server::start(&folder.path().join("data"), options, WHAT).await?;
        let dcm = Dcm::start(folder.path(), &format!("{}dcm", mongodb.uri())).await;
        Some(Self { dcm, mongodb, _folder: folder })
    }

    async fn command(&self, command: Document) {
        let client = mongodb::Client::with_uri_str(self.mongodb.uri()).await.unwrap();
        client.database("admin").run_command(command).await.unwrap();
    }

    async fn fail(&self, commands: &[&str], how: Document) {
        let mut data = doc! { "failCommands": commands.to_vec(), "appName": "dcm" };
        data.extend(how);
        self.command(doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data }).await;
    }

    async fn heal(&self) {
        self.command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await;
    }

    /// What clients see while the store is away.
    async fn is_away(&self, round: &str) {
        let (probe, read, list, write) = tokio::join!(
            self.dcm.get("/readyz"),
            self.dcm.get("/v2/projects/p"),
            self.dcm.get("/v2/projects"),
            self.dcm.project(round),
        );
        println!("{round}: {:?}, {:?}, {:?}, {:?}", probe.took, read.took, list.took, write.took);
        for answer in [probe, read, list, write] {
            answer.is_away();
        }
        assert_eq!(self.dcm.get("/healthz").await.status, StatusCode::OK);
    }

    /// It serves again, and what was written during the fault is there or not, but can be written now.
    async fn is_back(&mut self, round: &str) {
        self.dcm.process.ready().await;
        assert_eq!(self.dcm.get("/v2/projects/p").await.status, StatusCode::OK);
        let again = self.dcm.project(round).await;
        assert!(matches!(again.status, StatusCode::CREATED | StatusCode::CONFLICT), "{again:?}");
        assert_eq!(self.dcm.get(&format!("/v2/projects/{round}")).await.status, StatusCode::OK);
        assert!(self.dcm.process.lives());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_or_stopped_store_is_told_within_the_bound_and_used_again_when_it_is_back() {
    let Some(mut bed) = Bed::start(&[]).await else { return };
    assert_eq!(bed.dcm.project("p").await.status, StatusCode::CREATED);
    bed.mongodb.pause();
    bed.is_away("frozen").await;
    bed.mongodb.resume();
    bed.is_back("frozen").await;
    bed.mongodb.kill();
    bed.is_away("killed").await;
    bed.mongodb.restart().await;
    bed.is_back("killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_told_within_the_bound_and_used_again_when_it_stops_that() {
    let Some(mut bed) = Bed::start(&["--enable-test-commands"]).await else { return };
    assert_eq!(bed.dcm.project("p").await.status, StatusCode::CREATED);
    for (n, how) in [
        doc! { "errorCode": 10_107 },
        doc! { "errorCode": 11_600 },
        doc! { "errorCode": 13 },
        doc! { "closeConnection": true },
    ]
    .into_iter()
    .enumerate()
    {
        let round = format!("refused-{n}");
        bed.fail(&["insert", "update", "delete", "find", "ping"], how).await;
        bed.is_away(&round).await;
        bed.heal().await;
        bed.is_back(&round).await;
    }
}

async fn create(dcm: &Dcm, clusters: &[Cluster], name: &str) {
    let clouds = "/v2/projects/p/logical-clouds";
    let permission =
        json!({ "permission-name": "p-1", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] });
    let user = json!({ "user-name": "u", "type": "certificate", "user-permissions": [permission] });
    let body = json!({ "metadata": { "name": name }, "spec": { "namespace": name, "user": user } });
    assert_eq!(dcm.post(clouds, &body).await.status, StatusCode::CREATED);
    for cluster in clusters {
        let body = json!({ "cluster-reference": cluster.name(), "loadbalancer-ip": "0.0.0.0" });
        assert_eq!(dcm.post(&format!("{clouds}/{name}/cluster-references"), &body).await.status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_goes_on_to_its_end_after_the_store_was_away_in_the_middle_of_it() {
    let Some(mut bed) = Bed::start(&[]).await else { return };
    let mut clusters = Vec::new();
    for name in ["c1", "c2", "c3"] {
        let options = ClusterOptions::named(name).latency(Duration::from_millis(20));
        let cluster = Cluster::start(options).await.unwrap();
        let spec = json!({ "kubeconfig": cluster.admin_kubeconfig() });
        let body = json!({ "metadata": { "name": name }, "spec": spec });
        assert_eq!(bed.dcm.post("/v2/cluster-providers/default/clusters", &body).await.status, StatusCode::CREATED);
        clusters.push(cluster);
    }
    for (round, (frozen, after)) in [(true, 30), (false, 80), (true, 200), (false, 5)].into_iter().enumerate() {
        let name = format!("lc-{round}");
        let cloud = format!("/v2/projects/p/logical-clouds/{name}");
        create(&bed.dcm, &clusters, &name).await;
        for (order, end, done) in [("apply", "Created", StatusCode::OK), ("terminate", "Deleted", StatusCode::ACCEPTED)]
        {
            let path = format!("{cloud}/{order}");
            let body = json!({});
            let order = bed.dcm.post(&path, &body);
            let fault = async {
                sleep(Duration::from_millis(after)).await;
                if frozen {
                    bed.mongodb.pause()
                } else {
                    bed.mongodb.kill()
                }
                sleep(Duration::from_secs(if frozen { 7 } else { 2 })).await;
                if frozen { bed.mongodb.resume() } else { bed.mongodb.restart().await }
            };
            let (ordered, ()) = tokio::join!(order, fault);
            assert!(ordered.took < BOUND, "{ordered:?}");
            println!("{round}: {path} {} after {:?}", ordered.status, ordered.took);
            if ordered.status != done {
                // Whether it was taken is not known: an order that is given twice is one.
                ordered.is_away();
                bed.dcm.process.ready().await;
                let again = bed.dcm.post(&path, &body).await;
                assert!(again.status.is_success() || again.status == StatusCode::CONFLICT, "{again:?}");
            }
            bed.dcm.wait_for(&cloud, end).await;
        }
        assert!(bed.dcm.process.lives());
    }
}
