//! Lives of clusters, one and many.

use std::time::Duration;

use dcm_sim::{Cluster, ClusterOptions, Simulation};

use crate::support::{Caller, code};

async fn is_refused(server: &str) -> bool {
    let address = server.strip_prefix("https://").unwrap();
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_cluster_stops_with_its_last_handle() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let (server, other) = (cluster.server(), cluster.clone());
    drop(cluster);
    assert_eq!(code(&Caller::new(other.admin_kubeconfig()).await.get("/version").await), 200);
    drop(other);
    assert!(is_refused(&server).await);
}

#[tokio::test]
async fn a_cluster_that_was_shut_down_is_gone_when_that_returns() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    cluster.shutdown().await;
    cluster.shutdown().await;
    let address = cluster.server();
    assert!(tokio::net::TcpStream::connect(address.strip_prefix("https://").unwrap()).await.is_err());
    cluster.faults().set_down(true).await;
    cluster.faults().set_down(false).await;
}

#[tokio::test]
async fn a_pair_names_one_cluster() {
    let simulation = Simulation::new(ClusterOptions::default());
    let (one, two) = tokio::join!(simulation.cluster("p", "c"), simulation.cluster("p", "c"));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.server(), one.identity()), (two.server(), two.identity()));
    let other = simulation.cluster("p", "d").await.unwrap();
    assert_ne!(one.identity(), other.identity());
    assert_eq!(one.name(), "p+c");
    assert_eq!(simulation.clusters().len(), 2);
    assert!(simulation.existing("p", "c").is_some());
    assert!(simulation.existing("q", "c").is_none());
    simulation.shutdown().await;
    assert!(simulation.existing("p", "c").is_none());
    assert!(is_refused(&one.server()).await);
}

#[tokio::test]
async fn a_removed_cluster_comes_back_empty() {
    let simulation = Simulation::default();
    let before = simulation.cluster("p", "c").await.unwrap().identity();
    assert!(simulation.remove("p", "c").is_some());
    assert_ne!(simulation.cluster("p", "c").await.unwrap().identity(), before);
}

#[tokio::test]
async fn two_hundred_clusters_run_side_by_side() {
    let simulation = Simulation::default();
    let starts = (0..200).map(|i| {
        let simulation = simulation.clone();
        async move { simulation.cluster("p", &i.to_string()).await }
    });
    let clusters: Vec<Cluster> = futures_util::future::try_join_all(starts).await.unwrap();
    let servers: std::collections::BTreeSet<String> = clusters.iter().map(Cluster::server).collect();
    assert_eq!(servers.len(), 200);
    let last = Caller::new(clusters[199].admin_kubeconfig()).await;
    assert_eq!(code(&last.get("/api/v1/namespaces/kube-system").await), 200);
}
