//! Main servers without a way to the clusters, before real API servers: every connection to a cluster is known by the process that made it.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use dcm_test_utils::patience::until_so;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    clusters::Clusters,
    fleet::{Fleet, PATIENCE},
    process::Process,
};

/// A door before an API server, which notes who comes in, and who says something over a connection that is open already.
struct Door {
    address: SocketAddr,
    came: Arc<Mutex<BTreeSet<u32>>>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    async fn open(behind: &str, processes: Vec<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (behind, came) = (behind.to_owned(), Arc::<Mutex<BTreeSet<u32>>>::default());
        let noted = Arc::clone(&came);
        let task = tokio::spawn(async move {
            while let Ok((from, peer)) = listener.accept().await {
                // Nothing is let through before it is known: until then the other end waits, and so has its socket open.
                let owner = owner(peer, address, &processes).unwrap_or(0);
                let (behind, noted) = (behind.clone(), Arc::clone(&noted));
                let note = move || {
                    noted.lock().unwrap().insert(owner);
                };
                note();
                tokio::spawn(async move {
                    if let Ok(to) = TcpStream::connect(&behind).await {
                        pass(from, to, note).await;
                    }
                });
            }
        });
        Self { address, came, task }
    }

    /// The processes that came or said something so far; 0 where one is none of those that were asked for.
    fn came(&self) -> BTreeSet<u32> {
        self.came.lock().unwrap().clone()
    }

    fn forget(&self) {
        self.came.lock().unwrap().clear();
    }
}

/// Passes on what both say; `note` is called for what the first one says.
async fn pass(from: TcpStream, to: TcpStream, note: impl Fn()) {
    let ((mut asks, mut hears), (mut answers, mut asked)) = (from.into_split(), to.into_split());
    let there = async {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = asks.read(&mut bytes).await {
            note();
            if asked.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
        drop(asked.shutdown().await);
    };
    let back = async {
        drop(copy(&mut answers, &mut hears).await);
        drop(hears.shutdown().await);
    };
    tokio::join!(there, back);
}

/// Which of these processes has the socket that is connected from one address to the other, as the kernel tells (proc(5)).
fn owner(from: SocketAddr, to: SocketAddr, processes: &[u32]) -> Option<u32> {
    // Ports are used again: another connection from there may have ended just now, and is listed, too.
    let ends = [hex(from)?, hex(to)?];
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let inode = lines.find_map(|fields| (fields.get(1..3)? == ends).then(|| fields.get(9).copied())?)?;
    let socket = format!("socket:[{inode}]");
    let has_it = |process: &&u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == socket.as_str()))
    };
    processes.iter().find(has_it).copied()
}

/// An address as that table has it.
fn hex(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
}

const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

#[tokio::test(flavor = "multi_thread")]
async fn only_synchronizers_ever_connect_to_simulated_clusters() {
    let Some(fleet) = Fleet::start("main servers without a way to simulated clusters", &[]).await else { return };
    let cluster = dcm_sim::Cluster::start(dcm_sim::ClusterOptions::named("door")).await.unwrap();
    let bindings = || json!(cluster.objects().list("rolebindings.rbac.authorization.k8s.io", Some("apart")));
    only_synchronizers_connect(fleet, cluster.admin_kubeconfig(), "apart", bindings).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_synchronizers_ever_connect_to_clusters() {
    let Some(clusters) = Clusters::find("main servers without a way to clusters", 1) else { return };
    let Some(fleet) = Fleet::start("main servers without a way to clusters", &[]).await else { return };
    let (cluster, namespace) = (&clusters[0], clusters.namespace("apart"));
    let bindings = || cluster.admin_json(&["get", "rolebindings", "-n", &namespace])["items"].clone();
    only_synchronizers_connect(fleet, cluster.kubeconfig.clone(), &namespace, bindings).await;
}

/// Whatever a main server is asked, and whoever is away, its own process never goes to the cluster; and what is asked is done.
async fn only_synchronizers_connect(
    mut fleet: Fleet,
    mut kubeconfig: Value,
    namespace: &str,
    bindings: impl Fn() -> Value,
) {
    let processes: Vec<u32> = fleet.all().map(|process| process.id()).collect();
    let synchronizers: BTreeSet<u32> = fleet.synchronizers.iter().map(Process::id).collect();
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    let door = Door::open(server.trim_start_matches("https://"), processes).await;
    kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{}", door.address));
    let registration = json!({ "metadata": { "name": "door" }, "spec": { "kubeconfig": kubeconfig } });
    let came_only = |what: &str, from: &BTreeSet<u32>| {
        let came = door.came();
        assert!(!came.is_empty() && came.is_subset(from), "{what}: {came:?} and not only {from:?}");
        door.forget();
    };

    // Whichever main server is asked, it is the synchronizer that was named to it that goes there.
    let made = fleet.post(CLUSTERS, &registration).await.expect(201);
    assert_eq!(made["health"]["connectivity"], "available", "{:#}", made["health"]);
    assert!(made["health"]["version"].as_str().unwrap().starts_with('v'));
    came_only("a registration", &synchronizers);
    let cloud = fleet.cloud("apart", namespace, &["door".to_owned()]).await;
    let differs = fleet.get(&format!("{cloud}/diff")).await.expect(200);
    let changes = differs["clusters"][0]["door"]["changes"].as_array().unwrap();
    assert!(!changes.is_empty() && changes.iter().all(|change| change["change"] == "create"), "{differs:#}");
    fleet.post(&format!("{cloud}/apply"), &json!({})).await.expect(200);
    fleet.wait_for(&cloud, "Created").await;
    came_only("an apply", &synchronizers);
    let same = fleet.get(&format!("{cloud}/diff")).await.expect(200);
    assert_eq!(same["clusters"][0]["door"]["changes"], json!([]), "{same:#}");

    // Cut off before the answer, by a binding that is not his any more.
    let names = |bindings: &Value| -> BTreeSet<String> {
        let subject = |binding: &Value| binding["subjects"][0]["name"].as_str().unwrap_or_default().to_owned();
        bindings.as_array().unwrap().iter().map(subject).filter(|name| name.starts_with("dcm:")).collect()
    };
    let before = names(&bindings());
    assert_eq!(before.len(), 1);
    let revoked = fleet.post(&format!("{cloud}/user/revoke"), &json!({})).await.expect(202);
    assert_eq!(revoked["clusters"][0]["door"]["access"], "Revoked", "{revoked:#}");
    assert!(names(&bindings()).is_disjoint(&before));
    fleet.wait_for(&cloud, "Created").await;
    let looked = fleet.call(Method::PUT, &format!("{CLUSTERS}/door"), Some(&registration)).await.expect(200);
    assert_eq!(looked["health"]["connectivity"], "available");

    // With both synchronizers gone nobody goes there, whatever is asked.
    let revoked_once = names(&bindings());
    fleet.synchronizers.iter_mut().for_each(Process::kill);
    door.forget();
    for process in &fleet.mains {
        let answer = fleet.client().get(format!("{}{cloud}/diff", process.base())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains("synchronizer cannot be reached"), "{problem:#}");
        // Why is only the operator's to know.
        assert!(!problem.to_string().contains("refused"), "{problem:#}");
        let log = process.log();
        let told = log.lines().filter(|line| line.contains("synchronizer cannot be reached"));
        assert!(told.into_iter().any(|line| line.contains("Connection refused")), "{log}");
    }
    let revoked = fleet.post(&format!("{cloud}/user/revoke"), &json!({})).await.expect(202);
    assert_eq!(revoked["clusters"][0]["door"]["access"], "Not Revoked Yet", "{revoked:#}");
    assert_eq!(door.came(), BTreeSet::new());
    // The order is in the store: he is cut off when a synchronizer is there.
    for synchronizer in &mut fleet.synchronizers {
        synchronizer.spawn();
    }
    until_so(PATIENCE, "cut off", async || names(&bindings()).is_disjoint(&revoked_once)).await;
    fleet.wait_for(&cloud, "Created").await;
    fleet.post(&format!("{cloud}/terminate"), &json!({})).await.expect(202);
    fleet.wait_for(&cloud, "Deleted").await;
    fleet.call(Method::DELETE, &cloud, None).await;
}
