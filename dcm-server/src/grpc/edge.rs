//! The one layer around all methods: request ids, trust, bounds, deadlines, statuses, the access log.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration, time::Instant};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::{FutureExt as _, stream};
use http::{HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, StreamBody};
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use super::{
    App,
    call::Call,
    caught::{Caught, end_with},
    deadline,
    methods::{Method, Methods},
    services::{Offer, Services, ServicesError},
    status::{carry, complete},
    whole::Whole,
};
use crate::{
    http::{Place, Problem, RequestIds, Trust, X_REQUEST_ID, read_whole},
    serving::{self, ConnectionMetrics, Http2},
    status::{Kind, name},
    tls::Protocols,
};

/// A client has one connection for all that he asks.
const HTTP2: Http2 = Http2 { streams: 256, stream_window: 64 * 1024, connection_window: 1024 * 1024, sent: 64 * 1024 };

/// What a message has in front of it.
const PREFIX: usize = 5;

/// The path of a call, and a query that means nothing, may have so many bytes: those of ours are far shorter.
const LONGEST_PATH: usize = 256;

/// Stands for the path of what is no method of ours.
const UNMATCHED: &str = "/unmatched";

/// Says which version of REST or gRPC is spoken here to whoever speaks another one.
const ELSEWHERE: &str = "this port speaks gRPC over HTTP/2; REST is served at the address of --http\n";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Serves calls.
#[derive(Debug)]
pub(crate) struct Edge {
    app: App,
    services: Arc<Services>,
    methods: Methods,
    trust: Trust,
    ids: RequestIds,
    writes: TaskTracker,
}

/// Marks an answer that goes on for as long as its client wants.
#[derive(Clone, Copy, Debug)]
struct Watch;

/// What is known of an answer before it is sent.
#[derive(Clone, Copy, Debug, Default)]
struct Size(usize);

/// Counts a call for as long as it is served.
struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Edge {
    /// `process` tells this edge's request ids from others'.
    pub(crate) fn new(app: App, offer: Offer, trust: Trust, process: u32) -> Result<Self, ServicesError> {
        let (services, methods) = Services::of(&app, offer)?;
        Ok(Self {
            app,
            services: Arc::new(services),
            methods,
            trust,
            ids: RequestIds::new(process),
            writes: TaskTracker::new(),
        })
    }

    /// Serves one call. Whatever happens, there is an answer.
    pub(crate) async fn serve(&self, request: Request) -> Response {
        let started = Instant::now();
        if !is_grpc(&request) {
            return elsewhere();
        }
        let id = self.ids.of(request.headers());
        let method = self.methods.find(request.uri().path()).cloned();
        // Whatever somebody calls is not repeated, nor written into the log, where it is no method of ours.
        let target = request.uri().path_and_query().filter(|_| method.is_some());
        let uri = target.map_or_else(|| Uri::from_static(UNMATCHED), |target| target.clone().into());
        let mut call = Call { id: id.to_str().unwrap_or_default().to_owned(), uri, deadline: None };
        let served = async {
            let (running, within) = self.admit(&request, method.as_ref())?;
            call.deadline = within.and_then(|within| started.checked_add(within)).map(Into::into);
            self.run(request, method.as_ref(), running, &call, within).await
        };
        // What a panic says may quote what its client sent.
        let served = AssertUnwindSafe(served).catch_unwind().await;
        let served = served.unwrap_or_else(|_panic| Err(Problem::bug("a call panicked")));
        let mut response = served.unwrap_or_else(|problem| carry(problem).into_http());
        if let Some(status) = response.extensions_mut().remove::<Status>() {
            response = complete(status, &call).into_http();
        }
        let code = code(&response);
        log(method.as_ref(), &call, code, started);
        let size = response.extensions().get::<Size>().copied().unwrap_or_default();
        self.app.metrics.grpc.answered(method.as_ref(), code, size.0, started.elapsed());
        response.headers_mut().insert(X_REQUEST_ID, id);
        response
    }

    /// What is checked before any handler is asked, and how long its client waits.
    fn admit(&self, request: &Request, method: Option<&Method>) -> Result<(Running, Option<Duration>), Problem> {
        let limits = &self.app.limits;
        let in_flight = &self.app.metrics.grpc.in_flight;
        let before = usize::try_from(in_flight.inc() + self.app.metrics.http.in_flight.get()).unwrap_or_default();
        let running = Running(in_flight.clone());
        // Whoever asks whether the server lives must not take a busy one for a dead one.
        let is_probe = method.is_some_and(|method| method.is_probe);
        if before >= limits.requests && !is_probe {
            let detail = format!("{} requests are being served already", limits.requests);
            return Err(Problem::new(Kind::Overloaded, detail));
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > LONGEST_PATH {
            return Err(Problem::new(Kind::UriTooLong, format!("the path may have {LONGEST_PATH} bytes")));
        }
        let header: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header > limits.header_size {
            let detail = format!("the metadata may have {} bytes", limits.header_size);
            return Err(Problem::new(Kind::HeadersTooLarge, detail));
        }
        if !is_probe {
            self.trust.check(request)?;
        }
        Ok((running, deadline::of(request.headers())?))
    }

    async fn run(
        &self,
        mut request: Request,
        method: Option<&Method>,
        running: Running,
        call: &Call,
        within: Option<Duration>,
    ) -> Result<Response, Problem> {
        let Some(method) = method.cloned() else {
            return Err(Problem::new(
                Kind::NoSuchPath,
                "there is no such method; reflection lists those that there are",
            ));
        };
        request.extensions_mut().insert(call.clone());
        let (app, reads) = (App::clone(&self.app), method.reads);
        let request_id = call.id.clone();
        let (begun, limit) = (Instant::now(), app.limits.request_timeout);
        let within = within.map_or(limit, |within| within.min(limit));
        let too_late = || Problem::new(Kind::TimedOut, format!("there was no answer after {within:?}"));
        // Nothing is asked of a service before its message is there, so that it can be called here.
        let (parts, body) = request.into_parts();
        // What is asked of the server itself is small, which its services see to, and takes no memory that is there for others.
        let (body, held) = if method.takes_stream || method.of_the_server {
            (body, None)
        } else {
            let most = app.limits.body_size.saturating_add(PREFIX);
            let read = tokio::time::timeout(within, read_whole(body, most, &app)).await;
            let (message, held) = read.map_err(|_| too_late())??;
            app.metrics.grpc.read(message.len().saturating_sub(PREFIX));
            (Body::from(message), Some(held))
        };
        // Whoever is not waited for any more begins nothing.
        let left = within.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(too_late());
        }
        let services = Arc::clone(&self.services);
        let served = async move {
            let (_running, _held) = (running, held);
            let answered = services.call(Request::from_parts(parts, body));
            let Some(answered) = answered else { return Err(Problem::bug("a method has no service")) };
            let response = answered.await.unwrap_or_else(|never| match never {});
            finish(response, &method, &app, left, request_id).await
        };
        let served = crate::deadline::within(left, served);
        // A write that was begun is ended, even where its client goes away or does not get an answer in time: a task of its own is
        // not dropped with the connection.
        let result = if reads {
            tokio::time::timeout(left, served).await
        } else {
            let task = self.writes.spawn(served);
            let ended = async { task.await.unwrap_or_else(|_panic| Err(Problem::bug("a handler panicked"))) };
            tokio::time::timeout(left, ended).await
        };
        result.unwrap_or_else(|_| Err(too_late()))
    }
}

impl serving::Edge for Edge {
    const NAME: &'static str = "gRPC";
    const BOTH_WAYS: bool = true;
    const PROTOCOLS: Protocols = Protocols::Http2;

    fn limits(&self) -> serving::Limits {
        let limits = &self.app.limits;
        serving::Limits {
            connections: limits.connections,
            // What is a little too large is read, so that it gets an answer of ours.
            head_size: limits.header_size.saturating_mul(2),
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            stop_timeout: limits.stop_timeout,
            http2: HTTP2,
        }
    }

    fn metrics(&self) -> &ConnectionMetrics {
        &self.app.metrics.grpc.connections
    }

    async fn serve(&self, request: Request) -> Response {
        self.serve(request).await
    }

    fn is_watch(response: &Response) -> bool {
        response.extensions().get::<Watch>().is_some()
    }

    fn stop_watches(&self) {
        self.app.watches.stop();
    }

    /// Every watch ends, and every write that was begun, also those whose client went away.
    async fn finish(&self) {
        self.app.watches.ended().await;
        self.writes.close();
        self.writes.wait().await;
    }
}

/// What is known of an answer where it is not a stream.
async fn finish(
    response: http::Response<tonic::body::Body>,
    method: &Method,
    app: &App,
    within: Duration,
    request_id: String,
) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    if method.gives_stream {
        parts.extensions.insert(Watch);
        let body = Caught::new(body, request_id);
        let body = if method.takes_stream { bounded(body, app.watches.place()?, within) } else { Body::new(body) };
        return Ok(Response::from_parts(parts, body));
    }
    let whole = Whole::of(body, app, method.reads).await?;
    parts.extensions.insert(Size(whole.size()));
    parts.extensions.insert(whole.code());
    Ok(Response::from_parts(parts, Body::new(whole)))
}

/// A stream that goes on for as long as its client asks, within bounds: it has a place among the watches, and an end; the server
/// ends it where it stops.
fn bounded(body: Caught, place: Place, within: Duration) -> Body {
    let end = Box::pin(tokio::time::sleep(within));
    let frames = stream::unfold(Some((body, place, end)), async |state| {
        let (mut body, place, mut end) = state?;
        let status = tokio::select! {
            frame = body.frame() => return Some((frame?, Some((body, place, end)))),
            () = place.stop.cancelled() => Status::unavailable("the server stops"),
            () = &mut end => Status::deadline_exceeded("the stream has come to its end; ask again"),
        };
        Some((Ok(end_with(&status)), None))
    });
    Body::new(StreamBody::new(frames))
}

/// How a call ended, as far as that is known; a stream, how it began.
fn code(response: &Response) -> Code {
    match response.headers().get(GRPC_STATUS) {
        Some(status) => Code::from_bytes(status.as_bytes()),
        None => response.extensions().get::<Code>().copied().unwrap_or(Code::Ok),
    }
}

fn is_grpc(request: &Request) -> bool {
    let media_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    request.version() == Version::HTTP_2
        && request.method() == http::Method::POST
        && (media_type == b"application/grpc" || media_type.starts_with(b"application/grpc+"))
}

/// What whoever does not speak gRPC is told.
fn elsewhere() -> Response {
    let mut response = Response::new(Body::from(ELSEWHERE));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// One line for each call; never of its message or its answer.
fn log(method: Option<&Method>, call: &Call, code: Code, started: Instant) {
    let (path, code, request_id) = (call.uri.path(), name(code), call.id.as_str());
    let ms = || started.elapsed().as_micros() as f64 / 1000.0;
    if method.is_some_and(|method| method.reads) {
        tracing::debug!(path, code, ms = ms(), request_id, "call");
    } else {
        tracing::info!(path, code, ms = ms(), request_id, "call");
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Poll};

    use bytes::Bytes;
    use hyper::body::Frame;

    use super::*;
    use crate::http::Shared;

    fn request(method: &str, body: Body) -> Request {
        let request = Request::post(method).version(Version::HTTP_2).header(header::HOST, "localhost");
        let request = request.header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers");
        request.body(body).unwrap()
    }

    #[tokio::test]
    async fn a_panic_while_a_message_is_read_becomes_a_status_that_does_not_quote_it() {
        let edge = Edge::new(Shared::for_tests().await, Offer::Clients, Trust::default(), 0).unwrap();
        for method in ["/dcm.v1.LogicalClouds/GetStatus", "/dcm.v1.LogicalClouds/Apply"] {
            let frames = stream::poll_fn(|_| -> Poll<Option<Result<Frame<Bytes>, Infallible>>> { panic!("s3cret") });
            let response = edge.serve(request(method, Body::new(StreamBody::new(frames)))).await;
            assert_eq!(code(&response), Code::Internal, "{method}");
            let told = format!("{:?}", response.headers());
            assert!(told.contains("request%20id") && !told.contains("s3cret"), "{told}");
        }
        assert_eq!(edge.app.metrics.grpc.in_flight.get(), 0);
    }
}
