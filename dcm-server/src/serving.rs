//! Listeners and their connections: how many, how long, and how they end, whatever edge answers the requests.

mod activity;
mod answer;
mod connection;
mod drained;
mod metrics;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use connection::Connections;
pub(crate) use metrics::ConnectionMetrics;

use crate::tls::{Protocols, ServerTls};

/// So many connections wait in the system at most.
const BACKLOG: usize = 4096;

/// What answers the requests of a listener.
pub(crate) trait Edge: Send + Sync + 'static {
    /// What it is called in the log.
    const NAME: &'static str;

    /// Whether a client may send on while he gets his answer, as gRPC's do. Where he may not, an HTTP/2 answer waits until its
    /// request is there as a whole.
    const BOTH_WAYS: bool;

    /// What is spoken below TLS.
    const PROTOCOLS: Protocols;

    /// The bounds of its listener.
    fn limits(&self) -> Limits;

    /// What counts its connections.
    fn metrics(&self) -> &ConnectionMetrics;

    /// Serves one request. Whatever happens, there is an answer.
    fn serve(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;

    /// Whether an answer goes on for as long as its client wants, so that it is the server who ends it when it stops.
    fn is_watch(response: &Response<Body>) -> bool;

    /// Ends all watches: they would go on for ever.
    fn stop_watches(&self);

    /// Waits until all has ended that goes on without a connection.
    fn finish(&self) -> impl Future<Output = ()> + Send;
}

/// Bounds that a listener keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many connections there may be; more of them wait.
    pub(crate) connections: usize,
    /// How many bytes the head of a request may have before it is not read any further.
    pub(crate) head_size: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub(crate) header_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub(crate) write_timeout: Duration,
    /// How long requests in flight may take at the end.
    pub(crate) stop_timeout: Duration,
    /// What one HTTP/2 connection may have.
    pub(crate) http2: Http2,
}

/// Bounds of one HTTP/2 connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http2 {
    /// How many requests it may have at once.
    pub(crate) streams: u32,
    /// How much a client may send of one body before somebody reads it.
    pub(crate) stream_window: u32,
    /// How much he may send of all of them.
    pub(crate) connection_window: u32,
    /// How much of an answer is kept for him until he takes it.
    pub(crate) sent: usize,
}

/// A listener at work.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to serve, with TLS only where there is any. Must be called in a tokio runtime.
    pub(crate) fn start<E: Edge>(listener: TcpListener, edge: E, tls: Option<ServerTls>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(listener, edge, tls, stop.clone()));
        Ok(Self { name: E::NAME, address, stop, task })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes nothing new in, and waits within a bound for what is in flight.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, edge = self.name, "a listener ended badly");
        }
    }
}

async fn accept<E: Edge>(listener: TcpListener, edge: E, tls: Option<ServerTls>, stop: CancellationToken) {
    let limits = edge.limits();
    let (stop_timeout, free) = (limits.stop_timeout, Arc::new(Semaphore::new(limits.connections)));
    let served = Arc::new(Connections::new(edge, limits, tls, stop.clone()));
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    let serve = |stream: TcpStream, place: Option<OwnedSemaphorePermit>| {
        let (served, free, abort) = (Arc::clone(&served), Arc::clone(&free), abort.clone());
        let open = served.edge().metrics().opened();
        connections.spawn(async move {
            let _open = open;
            let served = async move {
                let _place = match place {
                    Some(place) => Ok(place),
                    None => free.acquire_owned().await,
                };
                served.serve(stream).await;
            };
            tokio::select! {
                () = served => {}
                () = abort.cancelled() => {}
            }
        });
    };
    loop {
        let next = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, listener.accept().await)
        };
        let next = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match next {
            (Ok(place), Ok((stream, _))) => serve(stream, Some(place)),
            // Nobody closes the semaphore.
            (Err(_), _) => break,
            (_, Err(error)) => {
                // Out of file descriptors, or a client that went before we took it: wait rather than spin.
                tracing::warn!(%error, edge = E::NAME, "a connection could not be accepted");
                served.edge().metrics().refused();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    served.edge().stop_watches();
    for stream in waiting(listener) {
        serve(stream, None);
    }
    connections.close();
    let end = async {
        connections.wait().await;
        served.edge().finish().await;
    };
    if tokio::time::timeout(stop_timeout, end).await.is_err() {
        tracing::warn!(edge = E::NAME, "requests were still in flight when the server stopped");
    }
    abort.cancel();
    connections.wait().await;
}

/// The connections that the system has made for us, and that we have not taken yet: their clients may have sent a request.
/// After that, nobody is listening.
fn waiting(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = std::iter::from_fn(|| listener.accept().ok());
    let taken = accepted.map(|(stream, _)| {
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    });
    taken.take(BACKLOG).flatten().collect()
}
