//! Connections: how many, how long, and how they end.

mod activity;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Edge;
use activity::{Activity, Noted};

/// The header of a request may have so many bytes.
const LARGEST_HEADER: u32 = 64 * 1024;

/// How many requests one HTTP/2 connection may have at once.
const STREAMS: u32 = 128;

/// How long the goodbye to a client of whom nothing was heard may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// An HTTP server at work.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to serve. Must be called in a tokio runtime.
    pub(crate) fn start(listener: TcpListener, edge: Edge) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(listener, Arc::new(edge), stop.clone()));
        Ok(Self { address, stop, task })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes nothing new in, and waits within a bound for what is in flight.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the HTTP server ended badly");
        }
    }
}

async fn accept(listener: TcpListener, edge: Arc<Edge>, stop: CancellationToken) {
    let builder = Arc::new(builder(edge.limits().header_timeout));
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    let free = Arc::new(Semaphore::new(edge.limits().connections));
    loop {
        let next = async {
            let place = Arc::clone(&free).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or a client that went before we took it: wait rather than spin.
                tracing::warn!(%error, "a connection could not be accepted");
                edge.metrics().refused.inc();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (edge, builder) = (Arc::clone(&edge), Arc::clone(&builder));
        let (stop, abort) = (stop.clone(), abort.clone());
        let open = edge.metrics().opened();
        connections.spawn(async move {
            let (_place, _open) = (place, open);
            tokio::select! {
                () = connection(stream, edge, &builder, &stop) => {}
                () = abort.cancelled() => {}
            }
        });
    }
    drop(listener);
    connections.close();
    let end = async {
        connections.wait().await;
        edge.finish_writes().await;
    };
    if tokio::time::timeout(edge.limits().stop_timeout, end).await.is_err() {
        tracing::warn!("requests were still in flight when the server stopped");
    }
    abort.cancel();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    edge: Arc<Edge>,
    builder: &auto::Builder<TokioExecutor>,
    stop: &CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    // Hyper's own bounds begin when it knows the protocol, and end where HTTP/2 begins.
    let (activity, within) = (Activity::new(), edge.limits().header_timeout);
    let stream = TokioIo::new(Noted::new(stream, activity.clone()));
    let requests = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (edge, running) = (Arc::clone(&edge), requests.request());
        async move {
            let response = edge.serve(request.map(Body::new)).await;
            drop(running);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder.serve_connection(stream, service).into_owned());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            Some(connection.await)
        }
        () = activity.idle(within) => {
            connection.as_mut().graceful_shutdown();
            activity.note();
            // Who sent a request just now still gets his answer.
            tokio::select! {
                ended = connection => Some(ended),
                () = activity.idle(within.min(GOODBYE)) => None,
            }
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

fn builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(LARGEST_HEADER as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(LARGEST_HEADER)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
