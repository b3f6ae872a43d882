//! DCM inside an axum application: the application's own routes and its own authentication, with DCM's use cases
//! behind them. It is started on a real port, called by a client, and shut down.
//!
//! ```text
//! cargo run --example embed_in_axum
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod app;
#[path = "../embed_in_memory/machine.rs"]
mod machine;
mod worker;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use dcm_core::{
    model::{ClusterInput, MetadataInput},
    service::{Dcm, Ports, Settings},
};
use dcm_mesh::credential::UserCredentials;
use dcm_sim::{Cluster, ClusterOptions};
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use dcm_sync::kube::{KubeOptions, KubeSynchronizer};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use app::App;
use worker::Bell;

#[tokio::main]
async fn main() -> Result<()> {
    println!("== Start the application, with DCM and a simulated cluster in it");
    let bell = Arc::<Bell>::default();
    let dcm = Dcm::open(ports(&bell)?, Settings::default()).await?;
    dcm.ensure_default_provider().await?;
    let cluster = Cluster::start(ClusterOptions::named("edge-1")).await?;
    let registration = ClusterInput {
        metadata: MetadataInput { name: Some("edge-1".to_owned()), ..MetadataInput::default() },
        kubeconfig: Some(cluster.admin_kubeconfig()),
        ..ClusterInput::default()
    };
    dcm.create_cluster(&"default".parse()?, registration.into()).await?;

    let worker = tokio::spawn(worker::work(dcm.clone(), bell));
    let teams = [("token-of-red", "red"), ("token-of-blue", "blue")];
    let teams = Arc::new(teams.map(|(token, team)| (token.to_owned(), team.to_owned())).into());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = axum::serve(listener, app::router(App { dcm, teams })).with_graceful_shutdown(async {
        // An error says that the sender is gone, which is as good.
        let _ = stopped.await;
    });
    let server = tokio::spawn(async move { served.await });
    println!("   listening on {base}");

    let called = call(&Caller { http: Client::new(), base }).await;

    println!("== Shut it down");
    let _ = stop.send(());
    server.await??;
    worker.abort();
    called?;
    ensure!(cluster.objects().get("namespaces", "", "red-dev").is_none(), "the cluster still holds the namespace");
    println!("   the cluster holds nothing of it any more");
    Ok(())
}

fn ports(bell: &Arc<Bell>) -> Result<Ports> {
    Ok(Ports {
        store: Arc::new(MemoryStore::new()),
        sealer: Arc::new(AeadSealer::new(Keyring::random()?)?),
        credentials: Arc::new(UserCredentials),
        synchronizer: Arc::new(KubeSynchronizer::new(KubeOptions::default())),
        clock: Arc::new(machine::SystemClock),
        entropy: Arc::new(machine::OsEntropy),
        wake: Arc::clone(bell) as _,
    })
}

/// What a client of the application does.
async fn call(red: &Caller) -> Result<()> {
    let (all, dev) = ("/teams/red/environments", "/teams/red/environments/dev");
    let environment = json!({ "name": "dev", "clusters": ["edge-1"] });

    println!("== The application's own routes and its own authentication");
    red.expect(Method::GET, "/health", None, "nobody", StatusCode::OK).await?;
    red.expect(Method::POST, all, Some(&environment), "nobody", StatusCode::UNAUTHORIZED).await?;
    red.expect(Method::POST, all, Some(&environment), "token-of-blue", StatusCode::FORBIDDEN).await?;

    println!("== DCM's errors, as the application tells them");
    let bad = json!({ "name": "not a name", "clusters": [] });
    let told = red.expect(Method::POST, all, Some(&bad), "token-of-red", StatusCode::UNPROCESSABLE_ENTITY).await?;
    ensure!(told["fields"][0]["field"] == "/name", "the bad field is not named: {told}");
    red.expect(Method::GET, dev, None, "token-of-red", StatusCode::NOT_FOUND).await?;

    println!("== An environment: a logical cloud, made and applied");
    red.expect(Method::POST, all, Some(&environment), "token-of-red", StatusCode::ACCEPTED).await?;
    red.expect(Method::POST, all, Some(&environment), "token-of-red", StatusCode::CONFLICT).await?;
    red.until(dev, |status, body| status == StatusCode::OK && body["state"] == "Created").await?;
    let path = format!("{dev}/kubeconfig");
    let kubeconfig = red.expect(Method::GET, &path, None, "token-of-red", StatusCode::OK).await?;
    ensure!(kubeconfig["contexts"][0]["context"]["namespace"] == "red-dev", "a kubeconfig for another namespace");

    println!("== And gone again");
    red.expect(Method::DELETE, dev, None, "token-of-red", StatusCode::ACCEPTED).await?;
    red.until(dev, |status, _| status == StatusCode::NOT_FOUND).await?;
    Ok(())
}

struct Caller {
    http: Client,
    base: String,
}

impl Caller {
    async fn send(&self, method: Method, path: &str, body: Option<&Value>, token: &str) -> Result<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        let answer = match body {
            Some(body) => request.json(body).send().await?,
            None => request.send().await?,
        };
        let status = answer.status();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &str,
        wanted: StatusCode,
    ) -> Result<Value> {
        let (status, answer) = self.send(method.clone(), path, body, token).await?;
        println!("   {method} {path} with {token}: {status} {}", answer["error"].as_str().unwrap_or_default());
        ensure!(status == wanted, "{wanted} was expected; the answer: {answer}");
        Ok(answer)
    }

    async fn until(&self, path: &str, so: impl Fn(StatusCode, &Value) -> bool) -> Result<()> {
        let asked = async {
            loop {
                let (status, body) = self.send(Method::GET, path, None, "token-of-red").await?;
                if so(status, &body) {
                    println!(
                        "   GET {path} with token-of-red: {status} {}",
                        body["state"].as_str().unwrap_or_default()
                    );
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.context("not within a minute")?
    }
}
