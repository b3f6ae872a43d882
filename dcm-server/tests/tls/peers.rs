//! How one role reaches another.

use std::sync::Arc;

use dcm_core::store::Store;
use dcm_server::{Config, StartError, start_on, tls::PeerTls};
use dcm_store::memory::MemoryStore;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioExecutor;
use tower::Service as _;

use crate::support::{Ca, Place, Server, path};

async fn ask(tls: &PeerTls, server: &Server) -> Result<String, String> {
    // Whatever the scheme says: a tonic with TLS of its own takes https for an order.
    let uri = server.url("").replace("https", "http").parse().unwrap();
    let io = tls.connector().call(uri).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = Request::builder().uri(server.url("/healthz")).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    response.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok(status.to_string())
}

#[tokio::test]
async fn a_role_shows_its_certificate_and_knows_the_others_by_their_ca() {
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let peer_ca = place.put("ca.crt", &ca.pem);
    let server =
        place.serve(&ca.server(), &["--client-ca", &peer_ca, "--allowed-identity", "spiffe://example.com/rsync"]).await;
    let mine = Place::new();
    mine.pair(&ca.issue(&["spiffe://example.com/rsync"]));
    let (cert, key) = (mine.path("tls.crt"), mine.path("tls.key"));
    let tls = PeerTls::open(peer_ca.as_ref(), Some((&cert, &key))).unwrap();
    assert_eq!(ask(&tls, &server).await.unwrap(), "200 OK");
    let nobody = PeerTls::open(peer_ca.as_ref(), None).unwrap();
    let error = ask(&nobody, &server).await.unwrap_err();
    assert!(error.contains("ertificate"), "{error}");
    let others = mine.put("others.crt", &Ca::new("others").pem);
    let error = ask(&PeerTls::open(others.as_ref(), Some((&cert, &key))).unwrap(), &server).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    server.0.stop().await;
}

#[tokio::test]
async fn a_role_takes_changed_files_for_its_next_connection() {
    let (place, old, new) = (Place::new(), Ca::new("old"), Ca::new("new"));
    let server = place.serve(&new.server(), &[]).await;
    let peer_ca = place.put("peers.crt", &old.pem);
    let tls = PeerTls::open(peer_ca.as_ref(), None).unwrap();
    assert!(ask(&tls, &server).await.is_err());
    place.put("peers.crt", &new.pem);
    tls.reload().await;
    assert_eq!(ask(&tls, &server).await.unwrap(), "200 OK");
    server.0.stop().await;
}

#[tokio::test]
async fn files_of_roles_that_cannot_be_used_are_named() {
    let place = Place::new();
    let none = place.put("none", "s3cret");
    let error = PeerTls::open(none.as_ref(), None).unwrap_err().to_string();
    assert_eq!(error, format!("--peer-ca {} cannot be used", path(none.as_ref())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_and_logical_clouds_do_not_share_a_store() {
    dcm_server::install_crypto_provider();
    let (place, ca) = (Place::new(), Ca::new("ca"));
    let pair = place.pair(&ca.server());
    let client_ca = format!("--client-ca={}", place.put("ca.crt", &ca.pem));
    let key = format!("--encryption-key-file={}", place.path("dcm.key").display());
    let begin = async |store: &Arc<dyn Store>, role: &str| -> Result<(), StartError> {
        let role = format!("--role={role}");
        let fixed = ["--store=memory:", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", "--allowed-identity=main"];
        let given = [&role, &key, &client_ca, &pair[0], &pair[1]].map(String::as_str);
        start_on(Arc::clone(store), Config::from_options(given.into_iter().chain(fixed)).unwrap()).await?.stop().await;
        Ok(())
    };
    for (first, same, others) in [("ca", "ca", &["all", "dcm", "synchronizer"][..]), ("all", "synchronizer", &["ca"])] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        begin(&store, first).await.unwrap();
        for other in others {
            let error = begin(&store, other).await.unwrap_err();
            assert!(matches!(error, StartError::StoreOfOthers(_)), "{first}, {other}: {error:?}");
            assert!(error.to_string().contains("--store"), "{error}");
        }
        begin(&store, same).await.unwrap();
    }
}
