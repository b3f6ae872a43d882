use std::time::Duration;

use dcm_client::{Error, Kind, Retry, v1 as pb};

use crate::{
    proxy::{Proxy, Way},
    support::{OFTEN, client, get_project, kept_in, named, project, soon, start, start_at, start_on},
};

/// Long enough for some attempts to fail.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn calls_wait_for_a_server_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_on(folder.path()).await;
    let address = server.grpc_addr();
    let projects = client(address).with_retry(OFTEN).projects();
    projects.create_project(project("a")).await.unwrap();
    server.stop().await;
    // Nothing can be sent, so a write may be tried again as a read may.
    let (read, write) = (projects.clone(), projects.clone());
    let read = tokio::spawn(async move { read.get_project(get_project("a")).await });
    let write = tokio::spawn(async move { write.create_project(project("b")).await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!read.is_finished() && !write.is_finished());
    let server = start_at(address, &kept_in(folder.path())).await;
    soon(read).await.unwrap().unwrap();
    soon(write).await.unwrap().unwrap();
    projects.get_project(get_project("b")).await.unwrap();
    drop(projects);
    server.stop().await;
}

#[tokio::test]
async fn a_read_whose_answer_was_lost_is_repeated_and_a_write_is_not() {
    let server = start().await;
    let proxy = Proxy::to(server.grpc_addr()).await;
    let direct = client(server.grpc_addr()).projects();
    let projects = client(proxy.address).with_retry(OFTEN).projects();
    proxy.set(Way::Mute).await;
    let create = projects.clone();
    let write = tokio::spawn(async move { create.create_project(project("a")).await });
    while direct.get_project(get_project("a")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.set(Way::Cut).await;
    let error = soon(write).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Broken(_)) && !error.nothing_was_done(), "{error:?}");

    proxy.set(Way::Mute).await;
    let read = projects.clone();
    let read = tokio::spawn(async move { read.get_project(get_project("a")).await });
    tokio::time::sleep(A_WHILE).await;
    proxy.set(Way::Cut).await;
    proxy.set(Way::Open).await;
    soon(read).await.unwrap().unwrap();
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_conditional_write_is_repeated_and_never_done_twice() {
    let server = start().await;
    let proxy = Proxy::to(server.grpc_addr()).await;
    let direct = client(server.grpc_addr()).projects();
    let projects = client(proxy.address).with_retry(OFTEN).projects();
    let made = direct.create_project(project("a")).await.unwrap().into_message().project.unwrap();
    let update = pb::UpdateProjectRequest {
        name: "a".to_owned(),
        project: Some(pb::Project {
            metadata: Some(pb::Metadata { description: "changed".to_owned(), ..named("a").unwrap() }),
            ..Default::default()
        }),
        if_match: made.etag.clone(),
        ..Default::default()
    };
    proxy.set(Way::Mute).await;
    let write = tokio::spawn(async move { projects.update_project(update).await });
    let changed = loop {
        let read = direct.get_project(get_project("a")).await.unwrap().into_message().project.unwrap();
        if read.etag != made.etag {
            break read;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    proxy.set(Way::Cut).await;
    proxy.set(Way::Open).await;
    // The first attempt was carried out: the second one is refused, and changes nothing.
    let refused = soon(write).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::PreconditionFailed), "{refused:?}");
    assert_eq!(direct.get_project(get_project("a")).await.unwrap().into_message().project, Some(changed));
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let server = start().await;
    let proxy = Proxy::to(server.grpc_addr()).await;
    let deadline = Duration::from_millis(200);
    let projects = client(proxy.address).with_retry(OFTEN).with_deadline(deadline).projects();
    proxy.set(Way::Mute).await;
    let error = soon(projects.get_project(get_project("a"))).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(after) if after == deadline), "{error:?}");
    drop(proxy);
    server.stop().await;
}

#[tokio::test]
async fn a_call_is_tried_no_more_often_than_it_may_be() {
    let server = start().await;
    let address = server.grpc_addr();
    server.stop().await;
    let retry =
        Retry { attempts: 3, first_pause: Duration::from_millis(100), longest_pause: Duration::from_millis(100) };
    let projects = client(address).with_retry(retry).projects();
    let started = tokio::time::Instant::now();
    let error = soon(projects.get_project(get_project("a"))).await.unwrap_err();
    assert!(matches!(error, Error::NotConnected(_)), "{error:?}");
    // Two pauses of half the bound at least.
    assert!(started.elapsed() >= Duration::from_millis(100));
}
