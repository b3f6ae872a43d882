//! One connection, from its first byte to its end.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Version, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    Edge, Limits,
    activity::{Activity, Noted},
    answer, drained,
};
use crate::tls::{PeerIdentity, ServerTls};

/// When the server stops: how long a client who is silent may still begin a request, since one may be on its way.
const FAREWELL: Duration = Duration::from_millis(200);

/// How long the goodbye to a client of whom nothing was heard may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a connection may take to become secure.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the connections of a listener have in common.
#[derive(Debug)]
pub(super) struct Connections<E> {
    edge: Arc<E>,
    limits: Limits,
    builder: auto::Builder<TokioExecutor>,
    tls: Option<ServerTls>,
    stop: CancellationToken,
}

impl<E: Edge> Connections<E> {
    pub(super) fn new(edge: E, limits: Limits, tls: Option<ServerTls>, stop: CancellationToken) -> Self {
        Self { edge: Arc::new(edge), builder: builder(&limits), limits, tls, stop }
    }

    pub(super) fn edge(&self) -> &E {
        &self.edge
    }

    /// Serves a connection until it ends.
    pub(super) async fn serve(&self, stream: TcpStream) {
        prepare(&stream, self.limits.write_timeout);
        let Some(tls) = &self.tls else { return self.http(stream, None).await };
        if let Some((stream, identity)) = self.secure(tls, stream).await {
            self.http(stream, identity).await;
        }
    }

    /// Nobody may take longer to become secure than the head of a request may take; when the server stops, than a goodbye.
    async fn secure(&self, tls: &ServerTls, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Option<PeerIdentity>)> {
        let too_long = async {
            tokio::select! {
                () = tokio::time::sleep(self.limits.header_timeout.min(HANDSHAKE)) => {}
                () = async { self.stop.cancelled().await; tokio::time::sleep(GOODBYE).await } => {}
            }
        };
        tokio::select! {
            secure = tls.accept(stream, E::PROTOCOLS) => secure,
            () = too_long => {
                tls.too_slow();
                None
            }
        }
    }

    async fn http(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, identity: Option<PeerIdentity>) {
        // Hyper's own bounds begin when it knows the protocol, and end where HTTP/2 begins.
        let (activity, within, write_timeout) =
            (Activity::new(), self.limits.header_timeout, self.limits.write_timeout);
        let stream = TokioIo::new(Noted::new(stream, activity.clone()));
        let (edge, requests) = (Arc::clone(&self.edge), activity.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (edge, activity, version) = (Arc::clone(&edge), requests.clone(), request.version());
            let (running, identity) = (activity.request(version), identity.clone());
            async move {
                let (mut request, read) = drained::drained(request);
                if let Some(identity) = identity {
                    request.extensions_mut().insert(identity);
                }
                let mut response = edge.serve(request).await;
                // Where an answer ends before its request does, some clients never end: curl waits for ever.
                if version == Version::HTTP_2 && !E::BOTH_WAYS {
                    drop(read.await);
                }
                if version != Version::HTTP_2 && activity.is_leaving() {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                let response = answer::watched(response, E::is_watch, &activity);
                drop(running);
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.builder.serve_connection(stream, service).into_owned());
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = activity.stalled(write_timeout) => {
                tracing::debug!("a client took nothing of its answer");
                None
            }
            () = self.stop.cancelled() => tokio::select! {
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
}

/// Has the system send at once, and give a client up who went without a word, as one does whose machine lost its power: for a quarter of
/// an hour the system alone would send again what he never takes. Whoever is there and takes nothing is cut before.
fn prepare(stream: &TcpStream, write_timeout: Duration) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(write_timeout.saturating_mul(2)));
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(limits.head_size);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.http2.streams)
        .initial_stream_window_size(limits.http2.stream_window)
        .initial_connection_window_size(limits.http2.connection_window)
        .max_send_buf_size(limits.http2.sent)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::TcpListener;

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
