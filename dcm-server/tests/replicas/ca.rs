//! Main servers and the CA that is registered as a controller.

use std::path::Path;

use dcm_core::{
    ca::{CaProvider as _, Error},
    model::Uid,
};
use dcm_mesh::grpc::{GrpcCa, Patience};
use dcm_server::tls::PeerTls;
use dcm_test_utils::{address::free_port, patience::until};
use reqwest::Method;
use serde_json::json;
use tonic::transport::Endpoint;

use crate::fleet::{Fleet, PATIENCE};

const CONTROLLER: &str = "/v2/controllers/ca";

/// Whoever may ask the CA.
fn client(folder: &Path, port: u16) -> GrpcCa {
    let [cert, key] = ["main.pem", "main.key"].map(|name| folder.join(name));
    let tls = PeerTls::open(&folder.join("authority.pem"), Some((&cert, &key))).unwrap();
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    GrpcCa::new(endpoint.connect_with_connector_lazy(tls.connector()), Patience::default())
}

/// Until all main servers wait for the CA, or none does.
async fn waits(fleet: &Fleet, wanted: bool) {
    for main in &fleet.mains {
        until(PATIENCE, format_args!("waiting for the CA: {wanted}"), async || {
            let ready = main.readiness().await?;
            let waits = ready["waiting-for"].as_array().is_some_and(|all| all.iter().any(|one| one["part"] == "ca"));
            if waits == wanted { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    }
}

/// Deletes a logical cloud that is on no cluster, and answers its uid.
async fn deleted(fleet: &Fleet, name: &str) -> Uid {
    let cloud = fleet.cloud(name, name, &[]).await;
    let body = fleet.get(&cloud).await.expect(200);
    let uid = Uid::parse(body["uid"].as_str().unwrap()).unwrap();
    fleet.call(Method::DELETE, &cloud, None).await;
    until(PATIENCE, "gone", async || {
        let status = fleet.get(&cloud).await.status.as_u16();
        if status == 404 { Ok(()) } else { Err(status) }
    })
    .await;
    uid
}

async fn until_forgotten(ca: &GrpcCa, uid: &Uid) {
    until(PATIENCE, "forgotten", async || match ca.bundle(uid).await {
        Err(Error::Forgotten { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_found_where_it_is_registered_now() {
    let Some(mut fleet) = Fleet::start("a CA that is registered", &[]).await else { return };
    let ca = client(fleet.folder(), fleet.ca.grpc);
    waits(&fleet, false).await;
    // Nobody says yet where it is, so it is kept for later.
    let early = deleted(&fleet, "early").await;
    let at = |port: u16| json!({ "metadata": { "name": "ca" }, "spec": { "host": "127.0.0.1", "port": port } });
    fleet.post("/v2/controllers", &at(fleet.ca.grpc)).await.expect(201);
    until_forgotten(&ca, &early).await;

    fleet.ca.kill();
    waits(&fleet, true).await;
    let meanwhile = deleted(&fleet, "meanwhile").await;
    fleet.mains[0].kill();
    fleet.ca.spawn();
    until_forgotten(&ca, &meanwhile).await;
    fleet.mains[0].start().await;
    waits(&fleet, false).await;

    // It moves, and is found when that is said.
    fleet.call(Method::PUT, CONTROLLER, Some(&at(free_port()))).await;
    waits(&fleet, true).await;
    let moved = deleted(&fleet, "moved").await;
    fleet.call(Method::PUT, CONTROLLER, Some(&at(fleet.ca.grpc))).await;
    until_forgotten(&ca, &moved).await;
    fleet.call(Method::PUT, CONTROLLER, Some(&at(free_port()))).await;
    waits(&fleet, true).await;
    fleet.call(Method::DELETE, CONTROLLER, None).await;
    waits(&fleet, false).await;
}
