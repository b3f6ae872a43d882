//! A server that cannot use its MongoDB says so in one line, with what to do, and ends.

use dcm_server::{Config, StartError};
use dcm_test_utils::mongodb::Server;
use tempfile::TempDir;

use crate::support::{Dcm, refusal};

const WHAT: &str = "a server whose MongoDB cannot be used does not start";

async fn server(options: &[&str]) -> Option<(Server, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    Some((Server::start(&folder.path().join("data"), options, WHAT).await?, folder))
}

#[tokio::test]
async fn the_encryption_key_is_asked_for_with_mongodb() {
    dcm_server::install_crypto_provider();
    let config = Config::from_options([
        "--store",
        "mongodb://user:s3cret@localhost/",
        "--http",
        "127.0.0.1:0",
        "--grpc",
        "127.0.0.1:0",
    ])
    .unwrap();
    let error = dcm_server::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::NoKey), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("--encryption-key-file") && text.contains("umask 077; echo"), "{text}");
    assert!(!format!("{error:?}{text}").contains("s3cret"));
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line() {
    let Some((mongodb, folder)) = server(&[]).await else { return };
    let port = mongodb.port();
    let uri = |rest: &str| format!("mongodb://user:s3cret@127.0.0.1:{rest}");
    for (store, said) in [
        (uri("1/dcm"), "nothing listens at 127.0.0.1:1"),
        (uri(&format!("{port}/dcm?tls=true")), "does not speak TLS"),
        (uri(&format!("{port}/dcm?replicaSet=other")), "belongs to the replica set"),
        (format!("mongodb://127.0.0.1:{port}/dcm?tlsCAFile=/nowhere"), "tlsCAFile=/nowhere cannot be used"),
    ] {
        let (status, all) = refusal(folder.path(), &store).await;
        assert_eq!(status.code(), Some(1), "{all}");
        let told: Vec<_> = all.lines().filter(|line| line.starts_with("dcm-server: ")).collect();
        assert!(matches!(told.as_slice(), [line] if line.contains(said) && line.contains("--store")), "{all}");
    }
    for store in [uri("1/dcm?w=1"), uri("1/dcm?colour=blue"), "mongodb://user:s3cret?/x@h/dcm".to_owned()] {
        let (status, all) = refusal(folder.path(), &store).await;
        assert!(status.code() == Some(2) && all.contains("DCM_STORE"), "{all}");
    }
}

#[tokio::test]
async fn a_password_is_in_no_output() {
    let Some((mut mongodb, folder)) = server(&[]).await else { return };
    let client = mongodb::Client::with_uri_str(mongodb.uri()).await.unwrap();
    let roles = mongodb::bson::doc! { "role": "readWrite", "db": "dcm" };
    let user = mongodb::bson::doc! { "createUser": "keeper", "pwd": "s3cret", "roles": [roles] };
    client.database("admin").run_command(user).await.unwrap();
    mongodb.restart_with(&["--auth"]).await;
    let uri = |password: &str| {
        format!(
            "mongodb://keeper:{password}@127.0.0.1:{}/dcm?authSource=admin&serverSelectionTimeoutMS=3000",
            mongodb.port()
        )
    };
    let (status, all) = refusal(folder.path(), &uri("s3cret-not")).await;
    assert!(status.code() == Some(1) && all.contains("check user and password"), "{all}");
    let dcm = Dcm::start(folder.path(), &uri("s3cret")).await;
    assert_eq!(dcm.project("p").await.status, 201);
    mongodb.kill();
    let answers = [dcm.project("q").await, dcm.get("/v2/projects/p").await, dcm.get("/readyz").await];
    for answer in &answers {
        answer.is_away();
    }
    let all = format!("{answers:?}{}", dcm.process.log());
    assert!(!all.contains("s3cret") && !all.contains("keeper:"), "{all}");
    assert!(all.contains("store"), "the log tells of the failure: {all}");
}
