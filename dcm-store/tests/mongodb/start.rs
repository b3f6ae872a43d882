//! What is wrong with a server is said at the start, with what to do, within ten seconds.

use dcm_store::{MongoConfig, MongoProblem, OpenError, mongodb::MongoStore};
use dcm_test_utils::mongodb::{fresh_database, random_name, with_database};
use futures_util::future::join_all;
use mongodb::{
    Client, IndexModel,
    bson::{DateTime, Document, doc},
    options::IndexOptions,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Bed, problem};

const WHAT: &str = "what is wrong with a server is said at the start";

/// Takes connections, reads a request from each and answers this.
async fn answers(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if stream.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {
                    stream.write_all(answer).await.ok();
                    stream.shutdown().await.ok();
                }
            });
        }
    });
    format!("mongodb://user:s3cret@{place}/dcm")
}

/// A server that says nothing but this of itself, whatever it is asked.
async fn says_hello(hello: Document) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let mut answer =
        doc! { "ok": 1.0, "minWireVersion": 0, "maxWireVersion": 21, "localTime": DateTime::from_millis(0) };
    answer.extend(
        doc! { "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000 },
    );
    answer.extend(hello);
    if answer.contains_key("setName") {
        answer.extend(doc! { "hosts": [&here], "me": &here });
    }
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.to_vec().unwrap();
            tokio::spawn(async move {
                let mut header = [0; 16];
                while stream.read_exact(&mut header).await.is_ok() {
                    let (length, id) = (header.first_chunk::<4>().unwrap(), &header[4..8]);
                    let mut rest = vec![0; u32::from_le_bytes(*length) as usize - header.len()];
                    stream.read_exact(&mut rest).await.unwrap();
                    let length = u32::try_from(16 + 5 + answer.len()).unwrap().to_le_bytes();
                    let head = [&length[..], &[0; 4], id, &2013_u32.to_le_bytes(), &[0; 5]].concat();
                    stream.write_all(&[&head[..], &answer].concat()).await.unwrap();
                }
            });
        }
    });
    format!("mongodb://{here}/dcm")
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_told_by_the_part_that_it_plays() {
    let member = |more: Document| {
        let mut hello = doc! { "setName": "rs0", "setVersion": 1, "isWritablePrimary": false };
        hello.extend(more);
        hello
    };
    let cases = [
        (member(doc! { "secondary": true }), false, "no primary"),
        (member(doc! { "secondary": true }), true, "is not the primary"),
        (member(doc! { "arbiterOnly": true }), false, "no primary"),
        (member(doc! { "arbiterOnly": true }), true, "is not the primary"),
        (member(doc! { "secondary": true, "hidden": true }), true, "is not the primary"),
        (member(doc! {}), false, "no primary"),
        (doc! { "isreplicaset": true, "isWritablePrimary": false }, false, "not a ready member"),
        (doc! { "isreplicaset": true, "isWritablePrimary": false }, true, "not a ready member"),
        (doc! { "isWritablePrimary": true, "maxWireVersion": 6 }, false, "use MongoDB 4.4 or newer"),
        (doc! { "isWritablePrimary": true, "minWireVersion": 900, "maxWireVersion": 901 }, false, "version"),
    ];
    // Each waits for as long as a primary might still be found.
    join_all(cases.map(async |(hello, directly, expected)| {
        let uri = says_hello(hello.clone()).await;
        let uri = if directly { format!("{uri}?directConnection=true") } else { uri };
        let found = problem(&uri).await.to_string();
        assert!(found.contains(expected), "{hello}: {found}");
    }))
    .await;
}

/// Listens, and takes no connection from the queue.
fn deaf() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    (listener, format!("mongodb://user:s3cret@{place}/dcm"))
}

#[tokio::test]
async fn a_host_that_there_is_not_is_named() {
    let found = problem("mongodb://user:s3cret@no-such-host.invalid:27017/dcm").await;
    assert_eq!(found, MongoProblem::NoSuchHost { host: "no-such-host.invalid".to_owned() });
    let found = problem("mongodb+srv://user:s3cret@no-such-host.invalid/dcm").await;
    assert!(matches!(found, MongoProblem::NoRecords { .. }), "{found:?}");
}

#[tokio::test]
async fn a_port_at_which_nothing_listens_is_named() {
    let (listener, uri) = deaf();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert_eq!(problem(&uri).await, MongoProblem::Refused { host: host.clone() });
    let two = uri.replace("/dcm", ",no-such-host.invalid:1/dcm");
    let found = problem(&two).await;
    assert!(matches!(found, MongoProblem::Refused { .. } | MongoProblem::NoSuchHost { .. }), "{found:?}");
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_told_from_one_that_is_not_there() {
    let (listener, uri) = deaf();
    let host = listener.local_addr().unwrap().to_string();
    assert_eq!(problem(&uri).await, MongoProblem::Silent { host: host.clone() });
    assert_eq!(problem(&format!("{uri}?tls=true")).await, MongoProblem::Silent { host });
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], b"220 mail ESMTP\r\n", b""] {
        let found = problem(&answers(answer).await).await;
        assert!(matches!(found, MongoProblem::NotMongoDb { .. }), "{found:?}");
    }
    let uri = answers(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let found = problem(&format!("{uri}?tls=true")).await;
    assert!(matches!(found, MongoProblem::NoTls { .. }), "{found:?}");
}

#[tokio::test]
async fn a_frozen_server_is_told() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    bed.server.pause();
    let found = problem(&bed.server.uri()).await;
    assert!(matches!(found, MongoProblem::Silent { .. }), "{found:?}");
    bed.server.resume();
    MongoStore::open(MongoConfig::new(&bed.server.uri()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_wrong_replica_set_is_named_with_the_right_one() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    for more in ["", "&directConnection=true"] {
        let found = problem(&format!("{}?replicaSet=other{more}", bed.server.uri())).await;
        let MongoProblem::OtherReplicaSet { found, wanted, .. } = &found else { panic!("{found:?}") };
        assert_eq!((found.as_str(), wanted.as_str()), ("secantus", "other"));
    }
    MongoStore::open(MongoConfig::new(&format!("{}?replicaSet=secantus", bed.server.uri())).unwrap()).await.unwrap();
    let Some(alone) = Bed::start(&["--standalone"], WHAT).await else { return };
    let found = problem(&format!("{}?replicaSet=rs0", alone.server.uri())).await;
    assert!(matches!(found, MongoProblem::NoReplicaSet { .. }), "{found:?}");
}

#[tokio::test]
async fn tls_that_the_server_does_not_speak_is_told() {
    let Some(bed) = Bed::start(&[], WHAT).await else { return };
    let found = problem(&format!("{}?tls=true", bed.server.uri())).await;
    assert!(matches!(found, MongoProblem::NoTls { .. }), "{found:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, text) = (folder.path().join("empty"), folder.path().join("text"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&text, "-----BEGIN PRIVATE KEY-----\ns3cret\n").unwrap();
    for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
        for file in [&folder.path().join("missing"), &empty, &text, folder.path()] {
            let found = problem(&format!("mongodb://localhost/?{option}={}", file.display())).await;
            let MongoProblem::File { option: named, path, .. } = &found else { panic!("{found:?}") };
            assert_eq!((*named, path.as_str()), (option, file.to_str().unwrap()));
        }
    }
}

#[tokio::test]
async fn another_index_in_place_of_ours_is_named() {
    let Some(uri) = fresh_database(WHAT) else { return };
    let client = Client::with_uri_str(&uri).await.unwrap();
    let documents = client.default_database().unwrap().collection::<Document>("documents");
    for ours in ["path_1", "path_1_revision_1"] {
        let other = IndexOptions::builder().name(ours.to_owned()).build();
        let index = IndexModel::builder().keys(doc! { "path": -1 }).options(other).build();
        documents.create_index(index).await.unwrap();
        let found = problem(&uri).await;
        assert!(matches!(&found, MongoProblem::Index { index, .. } if *index == ours), "{found:?}");
        assert!(found.to_string().contains(&format!("dropIndex({ours:?})")), "{found}");
        documents.drop().await.unwrap();
    }
}

#[tokio::test]
async fn a_collation_under_which_keys_are_not_their_bytes_is_refused() {
    let Some(uri) = fresh_database(WHAT) else { return };
    let database = Client::with_uri_str(&uri).await.unwrap().default_database().unwrap();
    let collation = |locale: &str| doc! { "create": "documents", "collation": { "locale": locale, "strength": 1 } };
    database.run_command(collation("en")).await.unwrap();
    let found = problem(&uri).await;
    assert_eq!(found, MongoProblem::Collation { collection: "documents", locale: "en".to_owned() });
    database.drop().await.unwrap();
    database.run_command(doc! { "create": "documents", "collation": { "locale": "simple" } }).await.unwrap();
    MongoStore::open(MongoConfig::new(&uri).unwrap()).await.unwrap();
    database.drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_list_collections_need_not() {
    let Some(bed) = Bed::start(&["--enable-test-commands"], WHAT).await else { return };
    bed.fail(&["listCollections"], "alwaysOn", doc! { "errorCode": 13 }).await;
    MongoStore::open(MongoConfig::new(&bed.server.uri()).unwrap()).await.unwrap();
    bed.fail(&["listCollections"], "alwaysOn", doc! { "errorCode": 2 }).await;
    let found = problem(&bed.server.uri()).await.to_string();
    assert!(found.contains("did not let DCM list collections"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_at_the_start_is_said_with_what_to_do() {
    let Some(bed) = Bed::start(&["--enable-test-commands"], WHAT).await else { return };
    let uri = bed.server.uri();
    let code = |code: i32| doc! { "errorCode": code };
    let concern = doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
    for (command, how, expected) in [
        ("createIndexes", code(13), "wants a user"),
        ("createIndexes", code(86), "dropIndex"),
        ("createIndexes", code(10_107), "not the primary"),
        ("find", code(2), "did not let DCM read"),
        ("update", code(13), "wants a user"),
        ("delete", concern, "majority"),
        ("createIndexes", doc! { "blockConnection": true, "blockTimeMS": 11_000 }, "does not answer in time"),
    ] {
        bed.fail(&[command], "alwaysOn", how).await;
        let found = problem(&uri).await.to_string();
        bed.heal().await;
        assert!(found.contains(expected), "{found}");
    }
    MongoStore::open(MongoConfig::new(&uri).unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_whole_chain_of_an_error_is_one_readable_line() {
    let (_listener, uri) = deaf();
    let mut config = MongoConfig::new(&uri).unwrap();
    config.attempt = std::time::Duration::from_millis(500);
    let error = MongoStore::open(config).await.unwrap_err();
    let OpenError::MongoDb { source, .. } = &error else { panic!("{error}") };
    let chain = format!("{error}: {source}");
    assert!(!chain.contains('\n') && chain.len() < 300, "{chain}");
    assert!(!chain.contains("s3cret") && !chain.contains("user:"), "{chain}");
}

#[tokio::test]
async fn a_database_is_made_on_first_use_and_opened_again() {
    let Some(uri) = fresh_database(WHAT) else { return };
    for _ in 0..2 {
        MongoStore::open(MongoConfig::new(&uri).unwrap()).await.unwrap();
    }
    let other = with_database(&uri, &random_name());
    MongoStore::open(MongoConfig::new(&other).unwrap()).await.unwrap();
}
