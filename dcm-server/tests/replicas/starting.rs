//! What the parts say of each other while some are away.

use dcm_test_utils::patience::until;
use serde_json::json;

use crate::fleet::{Fleet, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_main_server_serves_without_its_synchronizer_and_says_that_it_waits_for_it() {
    let Some(mut fleet) = Fleet::start("parts that wait for others", &[]).await else { return };
    let waits = async |fleet: &Fleet, wanted: bool| {
        until(PATIENCE, format_args!("waiting: {wanted}"), async || {
            let ready = fleet.mains[0].readiness().await?;
            let waits =
                ready["waiting-for"].as_array().is_some_and(|all| all.iter().any(|one| one["part"] == "synchronizer"));
            if waits == wanted { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    };
    waits(&fleet, false).await;
    fleet.synchronizers[0].kill();
    waits(&fleet, true).await;
    let project = json!({ "metadata": { "name": "served" } });
    fleet.post("/v2/projects", &project).await.expect(201);
    fleet.synchronizers[0].spawn();
    waits(&fleet, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_serve_others_serve_no_clients() {
    let Some(fleet) = Fleet::start("the ports of parts", &[]).await else { return };
    for process in fleet.synchronizers.iter().chain([&fleet.ca]) {
        let base = process.base();
        let answer = fleet.client().get(format!("{base}/v2/projects")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{base}");
        let answer = fleet.client().get(format!("{base}/metrics")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{base}");
    }
}
