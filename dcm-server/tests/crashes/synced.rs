//! Power loss: an answer is written to its socket after an `fdatasync` of the file that holds what it acknowledges. Seen by
//! strace of the real server.

use std::{path::Path, process::Command, time::Duration};

use dcm_test_utils::{environment::skip, patience::until_so, trace};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::process::Process;

/// How large the values are; the last one fills the largest body that there is.
const SIZES: [usize; 7] = [100, 20_000, 10, 300_000, 60_000, 100, (1 << 20) - 200];

const UNSEEN: &str = "the order of write, sync and the server's answer was not looked at";

/// Whether strace may look at processes here.
fn may_trace(place: &Path) -> Result<(), &'static str> {
    match Command::new("strace").arg("-D").arg("-o").arg(place.join("probe")).arg("true").output() {
        Err(_) => Err("no strace on PATH"),
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err("strace may not trace here"),
    }
}

#[tokio::test]
async fn an_answer_follows_a_sync_of_the_file_that_holds_what_it_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    if let Err(reason) = may_trace(folder.path()) {
        return skip(reason, UNSEEN);
    }
    let seen = folder.path().join("trace");
    let calls = format!("trace=write,writev,sendto,sendmsg,{}", trace::CALLS);
    let seen_path = seen.to_string_lossy();
    // The tracer stands beside, so that what is killed is the server.
    let strace = ["strace", "-D", "-f", "-y", "-s", "32", "-e", &calls, "-o", &seen_path];
    let store = format!("sled:{}", folder.path().join("data").display());
    let mut server = Process::on_store_through(&strace, &store, folder.path());
    server.start().await;
    let client = reqwest::Client::new();
    let clouds = format!("{}/v2/projects/p/logical-clouds", server.base());
    let user = json!({ "user-name": "u", "type": "certificate" });
    let cloud = json!({ "metadata": { "name": "lc" }, "spec": { "namespace": "ns", "user": user } });
    let mut sizes = vec![cloud.to_string().len()];
    let made = client.post(&clouds).json(&cloud).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    for (n, size) in SIZES.into_iter().enumerate() {
        let pair =
            json!({ "metadata": { "name": format!("kv-{n}") }, "spec": { "kv": [{ "text": "x".repeat(size) }] } });
        sizes.push(size);
        let made = client.post(format!("{clouds}/lc/kv-pairs")).json(&pair).send().await.unwrap();
        assert_eq!(made.status(), StatusCode::CREATED, "{size} bytes");
        let found: Value = made.json().await.unwrap();
        assert_eq!(found["spec"], pair["spec"], "{size} bytes");
    }
    server.kill();
    let whole = async || {
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        text.lines().filter(|line| line.contains("+++ killed by SIGKILL +++")).count() > 0 && text.ends_with('\n')
    };
    until_so(Duration::from_secs(60), "traced to the end", whole).await;
    let text = std::fs::read_to_string(&seen).unwrap();
    let answers = |call: &str| {
        let writes = ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name));
        writes && call.contains("\"HTTP/1.1 201 ")
    };
    trace::check(&text, &folder.path().join("data/db"), &sizes, answers);
}
