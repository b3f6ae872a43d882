//! A file system without room: writes are refused clearly, reads go on, and once there is room again all is there.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dcm_test_utils::environment::skip;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::process::Process;

/// How large the file system is, and how much of it is kept from the store at first.
const SIZE: &str = "size=48m";
const TAKEN: usize = 24 << 20;

/// A small file system of its own, seen by the processes that are sent into it.
struct Disk {
    holder: Child,
    at: PathBuf,
}

impl Disk {
    /// Mounts one, or answers `None` where that is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let script = format!("mount -t tmpfs -o {SIZE} tmpfs \"$0\" && echo mounted && exec sleep 600");
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "sh", "-c", &script]).arg(at).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = holder.spawn().ok()?;
        let said = BufReader::new(holder.stdout.take().unwrap()).lines().next();
        let disk = Self { holder, at: at.to_owned() };
        said.is_some_and(|line| line.is_ok_and(|line| line == "mounted")).then_some(disk)
    }

    /// A path on it, as it is seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").unwrap()).join(name)
    }

    /// Takes room away: so many bytes, or all that there is.
    fn fill(&self, name: &str, bytes: usize) {
        // Beyond the end it is cut off, which is what is wanted.
        let _ = std::fs::write(self.path(name), vec![1; bytes]);
    }

    /// A server on it, with a store of that name, whose log and key are elsewhere.
    fn server(&self, name: &str, folder: &Path) -> Process {
        let store = format!("sled:{}", self.at.join(name).display());
        let inside = ["nsenter", "--target", &self.holder.id().to_string(), "--mount", "--"];
        Process::on_store_through(&inside, &store, folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// More than there is room for.
const LAST: u32 = 2000;

const PAIRS: &str = "/v2/projects/p/logical-clouds/lc/kv-pairs";

fn pair(n: u32) -> Value {
    let text = format!("{n};").repeat(20_000);
    json!({ "metadata": { "name": format!("kv-{n}") }, "spec": { "kv": [{ "text": text }] } })
}

async fn post(server: &Process, path: &str, body: &Value) -> Response {
    reqwest::Client::new().post(format!("{}{path}", server.base())).json(body).send().await.unwrap()
}

async fn get(server: &Process, path: &str) -> Response {
    reqwest::get(format!("{}{path}", server.base())).await.unwrap()
}

fn says_when_to_come_back(answer: &Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
}

/// Writes until the disk is so full that the server says so itself, and answers what was acknowledged.
///
/// Before that single writes may be refused: what the store cannot read of what one of them changes is that one's failure alone.
async fn fill(server: &Process) -> Vec<u32> {
    let mut acknowledged = Vec::new();
    for n in 0..LAST {
        let answer = post(server, PAIRS, &pair(n)).await;
        if answer.status() == StatusCode::CREATED {
            acknowledged.push(n);
            continue;
        }
        says_when_to_come_back(&answer);
        let small = post(server, "/v2/projects", &json!({ "metadata": { "name": format!("small-{n}") } })).await;
        if small.status() != StatusCode::CREATED {
            says_when_to_come_back(&small);
        }
        if get(server, "/readyz").await.status() == StatusCode::SERVICE_UNAVAILABLE {
            return acknowledged;
        }
        println!("kv-{n} was refused alone, the server is ready: {}", answer.text().await.unwrap());
    }
    panic!("after {LAST} documents, of which {} were acknowledged, the server still is ready", acknowledged.len());
}

/// How many of those that were acknowledged are there; the others are refused for now.
async fn held(server: &Process, acknowledged: &[u32]) -> usize {
    let mut held = 0;
    for n in acknowledged {
        let found = get(server, &format!("{PAIRS}/kv-{n}")).await;
        if found.status() == StatusCode::SERVICE_UNAVAILABLE {
            says_when_to_come_back(&found);
            continue;
        }
        let (status, text) = (found.status(), found.text().await.unwrap());
        assert_eq!(status, StatusCode::OK, "kv-{n}: {text}\n{}", server.log());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), pair(*n), "kv-{n}");
        held += 1;
    }
    held
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing_and_heals_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else {
        return skip("nothing may be mounted here", "a file system without room");
    };
    disk.fill("taken", TAKEN);
    let mut server = disk.server("data", folder.path());
    server.start().await;
    let cloud = json!({ "metadata": { "name": "lc" }, "spec": { "namespace": "ns", "user": { "user-name": "u", "type": "certificate" } } });
    assert_eq!(post(&server, "/v2/projects/p/logical-clouds", &cloud).await.status(), StatusCode::CREATED);
    let acknowledged = fill(&server).await;
    assert!(acknowledged.len() > 10, "there was room for {} only", acknowledged.len());
    says_when_to_come_back(&post(&server, PAIRS, &pair(LAST + 1)).await);
    says_when_to_come_back(&get(&server, "/readyz").await);
    // sled puts some of its tree in order when it is read, which fails.
    let (now, all) = (held(&server, &acknowledged).await, acknowledged.len());
    assert!(now >= all / 2, "only {now} of {all} can be read");
    println!("{now} of {all} documents are read while the disk is full");
    let log = server.log();
    assert!(log.contains("No space left on device") && log.contains("start the server again"), "{log}");
    server.kill();

    // As full as can be: neither a new store can be opened nor the old one, and that is what is said.
    disk.fill("more", 1 << 30);
    for (server, place) in [(&mut disk.server("other", folder.path()), "disk/other"), (&mut server, "disk/data")] {
        server.spawn();
        let (status, log) = (server.ended().await, server.log());
        assert!(!status.success(), "{status}");
        let said = format!("{place} cannot be opened: the disk is full; make room on it, then start again");
        assert!(log.contains(&said), "{log}");
    }

    for name in ["taken", "more"] {
        std::fs::remove_file(disk.path(name)).unwrap();
    }
    server.start().await;
    assert_eq!(held(&server, &acknowledged).await, acknowledged.len());
    let again = post(&server, PAIRS, &pair(LAST + 1)).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
