//! Certificates, keys and CAs are renewed while the server runs.

use std::{
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rcgen::{KeyPair, date_time_ymd};

use crate::support::{Ca, Client, Pair, Place, Server, ask, shown};

const RELOADED: &str = "dcm_tls_last_reload_successful";
const EXPIRES: &str = "dcm_tls_certificate_expiration_timestamp_seconds";

/// What a new connection is shown.
async fn now_shown(client: &Client, server: &Server) -> Vec<u8> {
    shown(&client.connect(server).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_pair_is_served_within_seconds_and_no_request_fails_meanwhile() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    // As Kubernetes lays secrets down: a link to a folder, which is swapped.
    let lay = |name: &str, pair: &Pair| {
        std::fs::create_dir(place.path(name)).unwrap();
        place.put(&format!("{name}/tls.crt"), &pair.cert);
        place.put(&format!("{name}/tls.key"), &pair.key);
        symlink(name, place.path("next")).unwrap();
        std::fs::rename(place.path("next"), place.path("data")).unwrap();
    };
    lay("first", &ca.server());
    let [cert, key] = ["data/tls.crt", "data/tls.key"].map(|name| place.path(name).display().to_string());
    let server = Arc::new(Server(crate::support::attempt(&["--tls-cert", &cert, "--tls-key", &key]).await.unwrap()));
    let client = Client::new(&ca, None);
    let first = now_shown(&client, &server).await;
    let mut kept = client.connect(&server).await.unwrap();

    let (end, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (server, client, end, done) =
                (Arc::clone(&server), client.clone(), Arc::clone(&end), Arc::clone(&done));
            tokio::spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    let answer = client.get(&server, "/v2/projects").await.unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    lay("second", &ca.server());
    let begun = Instant::now();
    while now_shown(&client, &server).await == first {
        assert!(begun.elapsed() < Duration::from_secs(30), "the new certificate is not served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Some more under the new one.
    let so_far = done.load(Ordering::Relaxed);
    while done.load(Ordering::Relaxed) < so_far + 20 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is served any more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    end.store(true, Ordering::Relaxed);
    for one in load {
        one.await.unwrap();
    }
    // A connection that was there before goes on.
    assert!(ask(&mut kept, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
    Arc::into_inner(server).unwrap().0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pair_keeps_the_one_before_and_shows_in_the_metrics_until_it_is_mended() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let peer = ca.issue_until(&["dcm"], date_time_ymd(2030, 1, 1), KeyPair::generate().unwrap());
    let (peer_cert, peer_key) = (place.put("peer.crt", &peer.cert), place.put("peer.key", &peer.key));
    let peer_ca = place.put("peers.crt", &ca.pem);
    let peers = ["--peer-ca", &peer_ca, "--peer-cert", &peer_cert, "--peer-key", &peer_key];
    let server = place.serve(&ca.server(), &peers).await;
    let client = Client::new(&ca, None);
    let first = now_shown(&client, &server).await;
    // 2030-01-01.
    assert_eq!(server.metric(&client, &format!("dcm_peer_{}", &EXPIRES[4..])).await, 1_893_456_000.0);
    assert_eq!(server.metric(&client, RELOADED).await, 1.0);
    // 2040-01-01.
    assert_eq!(server.metric(&client, EXPIRES).await, 2_208_988_800.0);

    let second = ca.server();
    place.put("tls.crt", &second.cert);
    server.0.reload_tls().await;
    assert_eq!(now_shown(&client, &server).await, first);
    assert_eq!(server.metric(&client, RELOADED).await, 0.0);
    // The same fault is told once.
    server.0.reload_tls().await;
    assert_eq!(server.metric(&client, "dcm_tls_reloads_total{result=\"failure\"}").await, 1.0);
    place.put("tls.key", &second.key);
    server.0.reload_tls().await;
    assert_ne!(now_shown(&client, &server).await, first);
    assert_eq!(server.metric(&client, RELOADED).await, 1.0);
    assert_eq!(server.metric(&client, "dcm_tls_reloads_total{result=\"success\"}").await, 1.0);

    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tls.md")).unwrap();
    let served = client.get(&server, "/metrics").await.unwrap();
    let rows = docs.lines().filter(|line| line.starts_with("| `dcm_"));
    let told: Vec<_> = rows.flat_map(|row| row.split('`').filter(|part| part.starts_with("dcm_"))).collect();
    let missing: Vec<_> = told.iter().filter(|name| !served.contains(&format!("\n{name}"))).collect();
    assert!(told.len() == 7 && missing.is_empty(), "{told:?}: {missing:?}");

    // What is shown to other roles, likewise.
    place.put("peer.key", &second.key);
    server.0.reload_tls().await;
    assert_eq!(server.metric(&client, "dcm_peer_tls_last_reload_successful").await, 0.0);
    assert_eq!(server.metric(&client, RELOADED).await, 1.0);

    std::fs::remove_file(place.path("tls.key")).unwrap();
    server.0.reload_tls().await;
    assert_eq!(server.metric(&client, RELOADED).await, 0.0);
    // What was there before is what is in force.
    place.put("tls.key", &second.key);
    server.0.reload_tls().await;
    assert_eq!(server.metric(&client, RELOADED).await, 1.0);
    server.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_ca_is_rotated_without_a_restart() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let (old, new) = (Ca::new("clients"), Ca::new("clients"));
    let client_ca = place.put("clients.crt", &old.pem);
    let server = place.serve(&ca.server(), &["--client-ca", &client_ca]).await;
    let (with_old, with_new) = (
        Client::new(&ca, Some(&old.issue(&["a.example.com"]))),
        Client::new(&ca, Some(&new.issue(&["a.example.com"]))),
    );
    let is_served = async |client: &Client| {
        let answer = client.get(&server, "/v2/projects").await;
        answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    assert_eq!((is_served(&with_old).await, is_served(&with_new).await), (true, false));
    place.put("clients.crt", &format!("{}{}", old.pem, new.pem));
    server.0.reload_tls().await;
    assert_eq!((is_served(&with_old).await, is_served(&with_new).await), (true, true));
    // The client of before resumes no session under the CA that is gone.
    place.put("clients.crt", &new.pem);
    server.0.reload_tls().await;
    assert_eq!((is_served(&with_old).await, is_served(&with_new).await), (false, true));
    server.0.stop().await;
}

/// A server as a process, and what it logs until it is stopped.
pub(crate) fn log_of(files: &[String], while_it_serves: impl FnOnce(&Child, u16)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_dcm-server"))
        .args(["--store=memory:", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", "--log-format=json"])
        .args(files)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&log).unwrap();
    let begun = Instant::now();
    let port = loop {
        let serving = said().lines().find(|line| line.contains("serving HTTP")).map(str::to_owned);
        if let Some(line) = serving {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let address = line.to_string();
            break address.split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        }
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(60), "{}", said());
        std::thread::sleep(Duration::from_millis(20));
    };
    while_it_serves(&child, port);
    send(&child, rustix::process::Signal::TERM);
    assert!(child.wait().unwrap().success(), "{}", said());
    said()
}

fn send(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

#[test]
fn sighup_takes_what_is_new_at_once() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let files = place.pair(&ca.server());
    let trusted = place.put("ca.crt", &ca.pem);
    let said = log_of(&files, |child, port| {
        let serial = || {
            let to = format!("localhost:{port}");
            let mut shown = crate::support::run("openssl", &["s_client", "-connect", &to, "-CAfile", &trusted], "").1;
            let end = shown.find("-----END CERTIFICATE").unwrap();
            shown.truncate(end);
            shown.split_off(shown.find("-----BEGIN").unwrap())
        };
        let first = serial();
        place.pair(&ca.server());
        send(child, rustix::process::Signal::HUP);
        let begun = Instant::now();
        while serial() == first {
            assert!(begun.elapsed() < Duration::from_secs(30), "the new certificate is not served");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(said.contains("SIGHUP"), "{said}");
}

#[test]
fn sighup_does_not_end_a_server_that_has_files_for_other_roles_alone() {
    let (place, old, new) = (Place::new(), Ca::new("old"), Ca::new("new"));
    let peer_ca = place.put("peers.crt", &old.pem);
    let said = log_of(&[format!("--peer-ca={peer_ca}")], |child, _| {
        place.put("peers.crt", &new.pem);
        send(child, rustix::process::Signal::HUP);
        // So long that it is not the look that is due anyway.
        std::thread::sleep(Duration::from_secs(2));
    });
    assert!(said.contains("SIGHUP") && said.matches("trusts this CA").count() == 2, "{said}");
}
