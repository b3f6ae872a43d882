//! All processes replaced, one after the other, under load.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;

use crate::fleet::Fleet;

/// What a load balancer does: asks the servers in turn, and another one where a connection is refused. An answer that is broken off, or
/// that says that the server is away, has failed.
async fn load(
    client: reqwest::Client,
    bases: Vec<String>,
    name: String,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failed = Vec::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let kv = json!({ "metadata": { "name": format!("{name}-{number}") } });
        let (method, path, body) = match number % 2 {
            0 => (Method::POST, "/v2/projects", Some(kv)),
            _ => (Method::GET, "/v2/projects?limit=3", None),
        };
        let mut answered = None;
        for at in 0..bases.len() {
            let base = &bases[(number + at) % bases.len()];
            let mut request = client.request(method.clone(), format!("{base}{path}"));
            if let Some(body) = &body {
                request = request.json(body);
            }
            match request.send().await {
                Err(error) if error.is_connect() => {}
                other => {
                    answered = Some(other);
                    break;
                }
            }
        }
        match answered {
            Some(Ok(answer)) if matches!(answer.status(), StatusCode::OK | StatusCode::CREATED) => {
                served.fetch_add(1, Ordering::Relaxed);
            }
            Some(Ok(answer)) => failed.push(format!("{method} {path}: {}", answer.status())),
            Some(Err(error)) => failed.push(format!("{method} {path}: {error:?}")),
            None => failed.push(format!("{method} {path}: nobody listens")),
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let Some(mut fleet) = Fleet::start("a rolling restart", &[]).await else { return };
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let bases = fleet.bases();
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let client = fleet.client().clone();
            tokio::spawn(load(client, bases.clone(), format!("r{number}"), Arc::clone(&stop), Arc::clone(&served)))
        })
        .collect();
    for process in fleet.all() {
        process.signal(Signal::TERM);
        let status = process.ended().await;
        assert!(status.success(), "{}: {status}", process.base());
        process.start().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut failed = Vec::new();
    for client in clients {
        failed.extend(client.await.unwrap());
    }
    println!("{} requests served while all processes were replaced", served.load(Ordering::Relaxed));
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(served.load(Ordering::Relaxed) > 100);
}
