use dcm_client::{Kind, v1 as pb};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::support::{client, project, start};

#[tokio::test]
async fn all_pages_are_read() {
    let server = start().await;
    let projects = client(server.grpc_addr()).projects();
    let names: Vec<String> = (0..7).map(|number| format!("p-{number}")).collect();
    for name in &names {
        projects.create_project(project(name)).await.unwrap();
    }
    for page_size in [1, 2, 7, 0] {
        let asked = pb::ListProjectsRequest { page_size, ..Default::default() };
        let all: Vec<pb::Project> = projects.list_all_projects(asked).try_collect().await.unwrap();
        let read: Vec<&str> = all.iter().map(|project| project.metadata.as_ref().unwrap().name()).collect();
        assert_eq!(read, names, "{page_size}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_fails_is_the_last() {
    let server = start().await;
    let projects = client(server.grpc_addr()).projects();
    let asked = pb::ListProjectsRequest { page_size: 1001, ..Default::default() };
    let mut all = projects.list_all_projects(asked);
    let refused = all.next().await.unwrap().unwrap_err();
    assert_eq!((refused.kind(), refused.faults()[0].place.as_str()), (Some(Kind::Malformed), "page_size"));
    assert!(all.next().await.is_none());
    server.stop().await;
}
