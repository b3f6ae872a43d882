//! The one layer around all handlers: request ids, trust, bounds, problems, the access log.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery};
use prometheus_client::metrics::gauge::Gauge;
use tokio_util::task::TaskTracker;

use super::{
    App, HttpMetrics, compression,
    problem::Problem,
    query,
    reply::{Made, Told},
    request_id::{RequestId, RequestIds, X_REQUEST_ID},
    router::{Surface, router},
    routes::{Route, Routes},
    trust::Trust,
    waiting, watch,
};
use crate::{
    deadline,
    serving::{self, ConnectionMetrics, Http2},
    status::Kind,
    tls::Protocols,
};

/// Bodies are read as they come, and few clients ask for much at once.
const HTTP2: Http2 = Http2 { streams: 128, stream_window: 64 * 1024, connection_window: 256 * 1024, sent: 64 * 1024 };

/// Longer URIs are refused.
const LONGEST_URI: usize = 8 * 1024;

/// Serves requests.
#[derive(Debug)]
pub(crate) struct Edge {
    app: App,
    routes: Routes,
    trust: Trust,
    ids: RequestIds,
    writes: TaskTracker,
}

/// Counts a request for as long as it is served.
struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Edge {
    /// `process` tells this process's request ids from others'.
    pub(crate) fn new(app: App, surface: Surface, trust: Trust, process: u32) -> Self {
        Self { app, routes: router(surface), trust, ids: RequestIds::new(process), writes: TaskTracker::new() }
    }

    fn metrics(&self) -> &HttpMetrics {
        &self.app.metrics.http
    }

    fn limits(&self) -> &super::Limits {
        &self.app.limits
    }

    /// Serves one request. Whatever happens, there is an answer.
    pub(crate) async fn serve(&self, mut request: Request) -> Response {
        let started = Instant::now();
        let id = self.ids.of(request.headers());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        if watch::is_asked_for(&uri) {
            request.extensions_mut().insert(RequestId::new(&id));
        }
        let told = (!reads(&method)).then(Told::default);
        if let Some(told) = &told {
            request.extensions_mut().insert(told.clone());
        }
        let wants_gzip = compression::is_wanted(request.headers());
        let mut route = None;
        let mut response = match self.admit(&mut request) {
            Ok(running) => {
                route = self.routes.find(request.uri().path());
                self.run(request, route.clone(), running).await
            }
            Err(problem) => problem.into_response(),
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            response = problem.render(&method, &uri, id.to_str().unwrap_or_default());
            if let Some(told) = told {
                told.add_to(response.headers_mut());
            }
        }
        if let Some(location) = response.extensions_mut().remove::<Made>().and_then(|made| made.location(uri.path())) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response = compression::compress(response, wants_gzip).await;
        if method == Method::HEAD {
            response = head_of(response);
        }
        response = match waiting::place(response, &self.app.answers, reads(&method)).await {
            Ok(response) => response,
            Err(problem) => problem.render(&method, &uri, id.to_str().unwrap_or_default()),
        };
        log(&method, &uri, &response, &id, started);
        let headers = response.headers_mut();
        let contract = route.as_deref().and_then(|route| route.contract(&method));
        if let (Some(query), Some(contract)) = (uri.query(), contract) {
            query::unknown(query, &contract.parameters).add_to(headers);
        }
        headers.insert(X_REQUEST_ID, id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.metrics().answered(&method, route.as_deref(), &response, started.elapsed());
        response
    }

    /// What is checked before any handler is asked.
    fn admit(&self, request: &mut Request) -> Result<Running, Problem> {
        let most = self.limits().requests;
        let in_flight = &self.metrics().in_flight;
        let before = in_flight.inc() + self.app.metrics.grpc.in_flight.get();
        let before = usize::try_from(before).unwrap_or_default();
        let running = Running(in_flight.clone());
        // Whoever asks whether the server lives must not take a busy one for a dead one, and why it is busy is asked just then.
        let is_probe = matches!(request.uri().path().trim_end_matches('/'), "/healthz" | "/readyz" | "/metrics");
        if before >= most && !is_probe {
            return Err(Problem::new(Kind::Overloaded, format!("{most} requests are being served already")));
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > LONGEST_URI {
            return Err(Problem::new(Kind::UriTooLong, format!("path and query may have {LONGEST_URI} bytes")));
        }
        // What is larger than the server reads never comes this far.
        let largest = self.limits().header_size;
        let header: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header > largest {
            return Err(Problem::new(Kind::HeadersTooLarge, format!("the header fields may have {largest} bytes")));
        }
        // A prober knows a pod's address and not its name, and learns nothing that is worth a secret.
        if !is_probe {
            self.trust.check(request)?;
        }
        refuse_transfer_codings(request)?;
        if !reads(request.method()) {
            refuse_compressed(request)?;
        }
        strip_slash(request.uri_mut());
        Ok(running)
    }

    async fn run(&self, mut request: Request, route: Option<Arc<Route>>, running: Running) -> Response {
        let Some(route) = route else { return self.elsewhere(&request).into_response() };
        if *request.method() == Method::OPTIONS {
            return possible(route.allow.clone());
        }
        let contract = route.contract(request.method());
        if let Some(Err(problem)) = contract.map(|contract| contract.check(request.uri(), request.headers())) {
            return problem.into_response();
        }
        if !reads(request.method())
            && let Err(problem) = query::refuse_dry_run(request.uri())
        {
            return problem.into_response();
        }
        let (within, reads, app) = (self.limits().request_timeout, reads(request.method()), Arc::clone(&self.app));
        request.extensions_mut().insert(Arc::clone(&route));
        let served = AssertUnwindSafe(async move {
            let _running = running;
            match route.handler(request.method()) {
                Some(serve) => serve(request, app).await,
                None => not_possible(&route).into_response(),
            }
        });
        let served = deadline::within(within, served.catch_unwind());
        // A write that was begun is ended, even where its client goes away or does not get an answer in
        // time: a task of its own is not dropped with the connection.
        let result = if reads {
            tokio::time::timeout(within, served).await
        } else {
            let task = self.writes.spawn(served);
            tokio::time::timeout(within, async { task.await.unwrap_or_else(|error| Err(Box::new(error))) }).await
        };
        match result {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => Problem::bug("a handler panicked").into_response(),
            Err(_) => {
                let detail = format!("there was no answer after {} seconds", within.as_secs());
                Problem::new(Kind::TimedOut, detail).into_response()
            }
        }
    }

    /// What is answered where there is no route: of the server as a whole it can be asked what is possible at all.
    fn elsewhere(&self, request: &Request) -> Result<Response, Problem> {
        if *request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Ok(possible(self.routes.allow()));
        }
        Err(Problem::new(Kind::NoSuchPath, "no resource has this path; /docs/ shows all of them"))
    }
}

impl serving::Edge for Edge {
    const NAME: &'static str = "HTTP";
    const BOTH_WAYS: bool = false;
    const PROTOCOLS: Protocols = Protocols::Http;

    fn limits(&self) -> serving::Limits {
        let limits = &self.app.limits;
        serving::Limits {
            connections: limits.connections,
            // What is a little too large is read, so that it gets an answer of ours.
            head_size: limits.header_size.saturating_mul(2).saturating_add(LONGEST_URI),
            header_timeout: limits.header_timeout,
            write_timeout: limits.write_timeout,
            stop_timeout: limits.stop_timeout,
            http2: HTTP2,
        }
    }

    fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics().connections
    }

    async fn serve(&self, request: Request) -> Response {
        self.serve(request).await
    }

    fn is_watch(response: &Response) -> bool {
        watch::is_one(response)
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

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn possible(methods: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

fn not_possible(route: &Route) -> Problem {
    let detail = "the header field Allow says which methods are possible here";
    Problem::new(Kind::Method, detail).hint(header::ALLOW, route.allow.clone())
}

/// A small body that is inflated can become a large one.
fn refuse_compressed(request: &Request) -> Result<(), Problem> {
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    if codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    let detail = "bodies are read as they are, without a Content-Encoding: send it uncompressed";
    let identity = HeaderValue::from_static("identity");
    Err(Problem::new(Kind::MediaType, detail).hint(header::ACCEPT_ENCODING, identity))
}

/// Whatever lies below chunks (RFC 9112, section 7) would be read as if it were the body. A 501 (section 6.1) would be no better: it is the
/// client that can mend it.
fn refuse_transfer_codings(request: &Request) -> Result<(), Problem> {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if is_chunked(only) => Ok(()),
        _ => Err(Problem::header(
            "Transfer-Encoding",
            "must be chunked alone: bodies are read as they are, so send it uncompressed",
        )),
    }
}

/// The same answer without its body, whose length it still tells.
fn head_of(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact().filter(|_| response.status() != StatusCode::NO_CONTENT) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    *response.body_mut() = Body::empty();
    response
}

/// A trailing slash changes nothing.
fn strip_slash(uri: &mut Uri) {
    let path = uri.path();
    if path.len() < 2 || !path.ends_with('/') {
        return;
    }
    let mut target = path[..path.len() - 1].to_owned();
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// One line for each request; never of its body, its query or its answer.
fn log(method: &Method, uri: &Uri, response: &Response<Body>, id: &HeaderValue, started: Instant) {
    let (path, status) = (uri.path(), response.status().as_u16());
    let request_id = id.to_str().unwrap_or_default();
    let ms = || started.elapsed().as_micros() as f64 / 1000.0;
    if matches!(*method, Method::GET | Method::HEAD) {
        tracing::debug!(%method, path, status, ms = ms(), request_id, "request");
    } else {
        tracing::info!(%method, path, status, ms = ms(), request_id, "request");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use super::{
        super::routes::{Methods, get},
        *,
    };
    use crate::serving::Edge as _;

    /// An edge that leads to other handlers than the usual ones.
    async fn edge(methods: Methods) -> Edge {
        let shared = super::super::Shared::for_tests().await;
        Edge {
            routes: Routes::default().route("/x", methods),
            ..Edge::new(shared, Surface::Clients, Trust::default(), 0)
        }
    }

    fn request(method: Method, path: &str) -> Request {
        Request::builder().method(method).uri(path).header("host", "localhost").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_becomes_an_answer_that_does_not_quote_it() {
        #[expect(unreachable_code, reason = "a handler needs an answer's type")]
        async fn handler() -> StatusCode {
            panic!("s3cret");
            StatusCode::OK
        }
        let edge = edge(get(handler).put(handler)).await;
        for method in [Method::GET, Method::PUT] {
            let response = edge.serve(request(method, "/x")).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains("request id") && !text.contains("s3cret"), "{text}");
        }
        assert_eq!(edge.metrics().in_flight.get(), 0);
    }

    #[tokio::test]
    async fn a_write_is_ended_even_where_nobody_waits_for_it() {
        let done = Arc::new(AtomicBool::new(false));
        let handler = {
            let done = Arc::clone(&done);
            async move || {
                tokio::time::sleep(Duration::from_millis(300)).await;
                done.store(true, Ordering::SeqCst);
            }
        };
        let edge = edge(Methods::default().put(handler)).await;
        let response = edge.serve(request(Method::PUT, "/x")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert!(!done.load(Ordering::SeqCst));
        edge.stop_watches();
        edge.finish().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[test]
    fn a_trailing_slash_is_taken_off_and_the_query_kept() {
        for (given, stripped) in [
            ("/v2/projects/", "/v2/projects"),
            ("/v2/projects/?limit=1", "/v2/projects?limit=1"),
            ("/v2/projects", "/v2/projects"),
            ("/", "/"),
            ("/a//", "/a/"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            strip_slash(&mut uri);
            assert_eq!(uri, stripped);
        }
    }
}
