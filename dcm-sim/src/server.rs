//! The listener of one cluster: TLS on a loopback port, one task for it and one for each connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::error::Error;
use crate::http;
use crate::pki::{LenientVerifier, Peer};
use crate::shared::Shared;

/// How long a client may take for its TLS handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);
const BACKLOG: u32 = 1024;

/// How connections of a cluster are secured, and how their clients are judged.
#[derive(Clone)]
struct Tls {
    acceptor: TlsAcceptor,
    clients: Arc<dyn ClientCertVerifier>,
}

/// Opens a port and serves it until `stop` is set or its sender is gone.
pub(crate) fn start(
    shared: &Arc<Shared>,
    stop: watch::Receiver<bool>,
) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), Error> {
    let tls = tls(shared)?;
    let socket = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).map_err(Error::Listen)?;
    let listener = socket.listen(BACKLOG).map_err(Error::Listen)?;
    let address = listener.local_addr().map_err(Error::Listen)?;
    let downs = shared.faults.downs();
    let task = tokio::spawn(run(Arc::clone(shared), tls, listener, address, downs, stop));
    Ok((address, task))
}

fn tls(shared: &Shared) -> Result<Tls, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(shared.ca.certificate().clone()).map_err(Error::certificate)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(Error::certificate)?;
    let (certificate, key) = shared.ca.server()?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::certificate)?
        .with_client_cert_verifier(Arc::new(LenientVerifier(Arc::clone(&clients))))
        .with_single_cert(vec![certificate], key)
        .map_err(Error::certificate)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Resumption would only cost memory: clients keep their connections.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), clients })
}

/// A bound socket. As long as it does not listen, connections are refused and nobody else gets the port.
fn socket(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn run(
    shared: Arc<Shared>,
    tls: Tls,
    mut listener: TcpListener,
    address: SocketAddr,
    mut downs: watch::Receiver<bool>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let mut connections = JoinSet::new();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = downs.wait_for(|down| *down) => {}
            () = accept(&shared, &tls, &listener, &mut connections) => {}
        }
        drop(listener);
        connections.shutdown().await;
        let reserved = again(|| socket(address)).await;
        shared.faults.settle(true);
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            _ = downs.wait_for(|down| !*down) => {}
        }
        listener = match reserved.listen(BACKLOG) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%address, %error, "a simulated cluster can't listen again");
                return;
            }
        };
        shared.faults.settle(false);
    }
}

/// Tries until it works: the kernel may need a moment to give a port back.
async fn again<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => tracing::debug!(%error, "the port is not free yet"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn accept(shared: &Arc<Shared>, tls: &Tls, listener: &TcpListener, connections: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(shared), tls.clone(), stream));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "a simulated cluster can't accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(shared: Arc<Shared>, tls: Tls, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.acceptor.accept(stream)).await else {
        return;
    };
    let peer = stream.get_ref().1.peer_certificates().and_then(|chain| Peer::judge(chain, &*tls.clients)).map(Arc::new);
    let service = hyper::service::service_fn(move |request| {
        let (shared, peer) = (Arc::clone(&shared), peer.clone());
        async move { http::answer(shared, peer, request).await }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}
