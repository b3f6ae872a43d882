use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use dcm_client::{Client, Event, Kind, Retry, Watch, v1 as pb};
use dcm_store::memory::MemoryStore;
use futures_util::StreamExt as _;
use pb::watch_projects_response::Event as Told;

use crate::{
    proxy::{Proxy, Way},
    support::{OFTEN, client, cloud, kept_in, project, soon, start, start_at, start_on, start_over},
};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What comes next, in one word.
async fn next(watch: &mut Watch<pb::WatchProjectsResponse>) -> String {
    match soon(watch.next()).await.expect("the watch has ended").unwrap() {
        Event::Restarted => "restarted".to_owned(),
        Event::Told(told) => match told.event.unwrap() {
            Told::Project(project) => project.metadata.unwrap().name.unwrap(),
            Told::Deleted(name) => format!("-{name}"),
            Told::Synced(_) => "synced".to_owned(),
            Told::Ended(_) => "ended".to_owned(),
        },
    }
}

fn watch(client: &Client, last_event_id: &str) -> Watch<pb::WatchProjectsResponse> {
    client.projects().watch_projects(pb::WatchProjectsRequest { last_event_id: last_event_id.to_owned() })
}

async fn delete(client: &Client, name: &str) {
    let asked = pb::DeleteProjectRequest { name: name.to_owned(), ..Default::default() };
    client.projects().delete_project(asked).await.unwrap();
}

#[tokio::test]
async fn it_goes_on_after_the_server_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    // As MongoDB does, this store knows what happened while a server was away.
    let store = Arc::new(MemoryStore::new());
    let server = start_over(ANYWHERE, &store, folder.path()).await;
    let address = server.grpc_addr();
    let dcm = client(address).with_retry(OFTEN);
    dcm.projects().create_project(project("a")).await.unwrap();
    dcm.projects().create_project(project("b")).await.unwrap();
    let mut watch = watch(&dcm, "");
    for told in ["a", "b", "synced"] {
        assert_eq!(next(&mut watch).await, told);
    }
    server.stop().await;
    // While the watch is away, somebody changes something elsewhere.
    let other = start_over(ANYWHERE, &store, folder.path()).await;
    let elsewhere = client(other.grpc_addr());
    elsewhere.projects().create_project(project("c")).await.unwrap();
    delete(&elsewhere, "a").await;
    drop(elsewhere);
    other.stop().await;
    let server = start_over(address, &store, folder.path()).await;
    assert_eq!(next(&mut watch).await, "c");
    // A project is marked before it goes.
    let mut told = next(&mut watch).await;
    while told == "a" {
        told = next(&mut watch).await;
    }
    assert_eq!(told, "-a");
    dcm.projects().create_project(project("d")).await.unwrap();
    assert_eq!(next(&mut watch).await, "d");
    drop((watch, dcm));
    server.stop().await;
}

#[tokio::test]
async fn it_tells_all_again_after_a_restart_on_a_store_that_forgets_positions() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_on(folder.path()).await;
    let address = server.grpc_addr();
    let dcm = client(address).with_retry(OFTEN);
    dcm.projects().create_project(project("a")).await.unwrap();
    let mut watch = watch(&dcm, "");
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["a", "synced"]);
    server.stop().await;
    let server = start_at(address, &kept_in(folder.path())).await;
    assert_eq!(next(&mut watch).await, "restarted");
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["a", "synced"]);
    dcm.projects().create_project(project("b")).await.unwrap();
    assert_eq!(next(&mut watch).await, "b");
    drop((watch, dcm));
    server.stop().await;
}

#[tokio::test]
async fn it_goes_on_after_its_connection_broke() {
    let server = start().await;
    let direct = client(server.grpc_addr());
    let proxy = Proxy::to(server.grpc_addr()).await;
    let mut watch = watch(&client(proxy.address).with_retry(Retry::NEVER), "");
    assert_eq!(next(&mut watch).await, "synced");
    for name in ["a", "b", "c"] {
        proxy.set(Way::Cut).await;
        direct.projects().create_project(project(name)).await.unwrap();
        proxy.set(Way::Open).await;
        assert_eq!(next(&mut watch).await, name);
    }
    drop(watch);
    server.stop().await;
}

#[tokio::test]
async fn it_begins_anew_where_its_position_is_not_known_any_more() {
    let server = start().await;
    let address = server.grpc_addr();
    let dcm = client(address).with_retry(OFTEN);
    dcm.projects().create_project(project("a")).await.unwrap();
    let mut watch = watch(&dcm, "");
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["a", "synced"]);
    server.stop().await;
    // Everything is forgotten.
    let server = start_at(address, "memory:").await;
    dcm.projects().create_project(project("b")).await.unwrap();
    assert_eq!(next(&mut watch).await, "restarted");
    assert_eq!([next(&mut watch).await, next(&mut watch).await], ["b", "synced"]);
    // The same for a position that the caller brings along.
    let mut brought = self::watch(&dcm, "7");
    assert_eq!([next(&mut brought).await, next(&mut brought).await], ["restarted", "b"]);
    drop((watch, brought, dcm));
    server.stop().await;
}

#[tokio::test]
async fn it_ends_with_what_is_watched() {
    let server = start().await;
    let dcm = client(server.grpc_addr());
    let clouds = dcm.logical_clouds();
    let asked = pb::WatchRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        watched: pb::Watched::KvPairs.into(),
        ..Default::default()
    };
    let mut none = clouds.watch(asked.clone());
    assert_eq!(soon(none.next()).await.unwrap().unwrap_err().kind(), Some(Kind::NotFound));
    assert!(soon(none.next()).await.is_none());

    clouds.create_logical_cloud(cloud("ns-1")).await.unwrap();
    let mut watch = clouds.watch(asked);
    let Event::Told(told) = soon(watch.next()).await.unwrap().unwrap() else { panic!("restarted") };
    assert!(matches!(told.event, Some(pb::watch_response::Event::Synced(_))), "{told:?}");
    let delete =
        pb::DeleteLogicalCloudRequest { project: "p".to_owned(), name: "lc-1".to_owned(), ..Default::default() };
    clouds.delete_logical_cloud(delete).await.unwrap();
    let Event::Told(told) = soon(watch.next()).await.unwrap().unwrap() else { panic!("restarted") };
    assert!(matches!(told.event, Some(pb::watch_response::Event::Ended(_))), "{told:?}");
    assert!(soon(watch.next()).await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn one_that_never_began_fails_as_a_read_does() {
    let server = start().await;
    let address = server.grpc_addr();
    server.stop().await;
    let mut watch = watch(&client(address).with_retry(Retry { attempts: 3, ..OFTEN }), "");
    assert!(soon(watch.next()).await.unwrap().unwrap_err().is_unavailable());
    assert!(soon(watch.next()).await.is_none());
}

/// HTTP/2 ends connections with many small frames that nobody has read: the window has to be large enough.
#[tokio::test]
async fn many_that_are_not_read_share_one_connection() {
    const WATCHES: usize = 100;
    const CHANGES: usize = 20;
    let server = start().await;
    let dcm = client(server.grpc_addr()).with_retry(Retry::NEVER);
    let mut watches: Vec<_> = (0..WATCHES).map(|_| watch(&dcm, "")).collect();
    for watch in &mut watches {
        assert_eq!(next(watch).await, "synced");
    }
    for number in 0..CHANGES {
        dcm.projects().create_project(project(&format!("p-{number}"))).await.unwrap();
    }
    for watch in &mut watches {
        for number in 0..CHANGES {
            assert_eq!(next(watch).await, format!("p-{number}"));
        }
    }
    drop((watches, dcm));
    server.stop().await;
}
