//! Connections: how many, how long, and how they end.

mod activity;
mod answer;
mod drained;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Edge, Limits, edge::LONGEST_URI};
use activity::{Activity, Noted};

/// How many requests one HTTP/2 connection may have at once.
const STREAMS: u32 = 128;

/// How much a client may send of one body over HTTP/2, and of all on one connection, before somebody reads it.
const WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);

/// How much of an answer is kept for an HTTP/2 client until he takes it.
const SENT: usize = 64 * 1024;

/// So many connections wait in the system at most.
const BACKLOG: usize = 4096;

/// When the server stops: how long a client who is silent may still begin a request, since one may be on its way.
const FAREWELL: Duration = Duration::from_millis(200);

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
    let builder = Arc::new(builder(edge.limits()));
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    let free = Arc::new(Semaphore::new(edge.limits().connections));
    let serve = |stream: TcpStream, place: Option<OwnedSemaphorePermit>| {
        let (edge, builder) = (Arc::clone(&edge), Arc::clone(&builder));
        let (stop, abort, free) = (stop.clone(), abort.clone(), Arc::clone(&free));
        let open = edge.metrics().opened();
        connections.spawn(async move {
            let _open = open;
            let served = async move {
                let _place = match place {
                    Some(place) => Ok(place),
                    None => free.acquire_owned().await,
                };
                connection(stream, edge, &builder, &stop).await;
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
                tracing::warn!(%error, "a connection could not be accepted");
                edge.metrics().refused.inc();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    edge.stop_watches();
    for stream in waiting(listener) {
        serve(stream, None);
    }
    connections.close();
    let end = async {
        connections.wait().await;
        edge.finish().await;
    };
    if tokio::time::timeout(edge.limits().stop_timeout, end).await.is_err() {
        tracing::warn!("requests were still in flight when the server stopped");
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

async fn connection(
    stream: TcpStream,
    edge: Arc<Edge>,
    builder: &auto::Builder<TokioExecutor>,
    stop: &CancellationToken,
) {
    // Hyper's own bounds begin when it knows the protocol, and end where HTTP/2 begins.
    let (activity, within, write_timeout) =
        (Activity::new(), edge.limits().header_timeout, edge.limits().write_timeout);
    prepare(&stream, write_timeout);
    let stream = TokioIo::new(Noted::new(stream, activity.clone()));
    let requests = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (edge, activity, version) = (Arc::clone(&edge), requests.clone(), request.version());
        let running = activity.request(version);
        async move {
            let (request, read) = drained::drained(request);
            let mut response = edge.serve(request).await;
            // Where an answer ends before its request does, some clients never end: curl waits for ever.
            if version == Version::HTTP_2 {
                drop(read.await);
            }
            if version != Version::HTTP_2 && activity.is_leaving() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            let response = answer::watched(response, &activity);
            drop(running);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder.serve_connection(stream, service).into_owned());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = activity.stalled(write_timeout) => {
            tracing::debug!("a client took nothing of its answer");
            None
        }
        () = stop.cancelled() => tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = activity.farewell(FAREWELL) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => Some(ended),
                    () = activity.watches_not_taken(GOODBYE) => None,
                }
            }
            // A watch is ended by us, which a client who takes nothing never hears.
            () = activity.watches_not_taken(GOODBYE) => None,
        },
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

/// Has the system send at once, and give a client up who went without a word, as one does whose machine lost its power: for a quarter of
/// an hour the system alone would send again what he never takes. Whoever is there and takes nothing is cut before.
fn prepare(stream: &TcpStream, write_timeout: Duration) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(write_timeout.saturating_mul(2)));
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    // What is a little too large is read, so that it gets an answer of ours.
    let header = limits.header_size.saturating_mul(2).saturating_add(LONGEST_URI);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(header);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SENT)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_gives_up_clients_who_are_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream, Duration::from_secs(30));
        let socket = socket2::SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
        assert!(socket.tcp_nodelay().unwrap());
        drop(client);
    }
}
