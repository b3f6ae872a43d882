//! The yardstick with layers: axum with what a server needs beside its handlers, made of public parts: request ids, an
//! access log, metrics, a bound for requests at once, a time-out, a check of the host, and an answer where a handler panics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::serve::ListenerExt as _;
use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use dcm_server::{config::LogFormat, telemetry};
use http::{HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

const BOUNDS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Default)]
struct Ids(Arc<AtomicU64>);

impl MakeRequestId for Ids {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{number:016x}")).ok().map(RequestId::new)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone)]
struct Metrics {
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
}

async fn count(State(metrics): State<Metrics>, path: MatchedPath, request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), request.method().as_str().to_owned());
    let response = next.run(request).await;
    let labels = Labels { method, route: path.as_str().to_owned(), status: response.status().as_u16() };
    metrics.requests.get_or_create(&labels).inc();
    metrics.durations.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    response
}

async fn own_host(request: Request, next: Next) -> Response {
    // HTTP/2 has it in the URI.
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| request.headers().get(header::HOST).and_then(|host| host.to_str().ok()));
    let name = host.map(|host| host.split_once(':').map_or(host, |(name, _)| name));
    if matches!(name, Some("localhost" | "127.0.0.1")) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

/// Serves a constant answer at the path of a logical cloud, with a tag as DCM's has.
#[allow(dead_code, reason = "gRPC has an answer of its own")]
pub(crate) async fn serve(body: String) -> Result<()> {
    let body = Bytes::from(body);
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json"), (header::ETAG, "\"1234567\"")], body) }
    };
    listen(Router::new().route("/v2/projects/{project}/logical-clouds/{logical-cloud}", get(answer))).await
}

/// Serves routes behind the layers, and prints where. As DCM and tonic do, it sends at once what there is.
pub(crate) async fn listen(routes: Router) -> Result<()> {
    telemetry::init("info", LogFormat::Text)?;
    let metrics =
        Metrics { requests: Family::default(), durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)) };
    let id = HeaderName::from_static("x-request-id");
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(id.clone(), Ids::default()))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(id))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(CatchPanicLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(1024))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30)))
        .layer(from_fn(own_host));
    let app = routes.route_layer(from_fn_with_state(metrics, count)).layer(layers);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), app).await?;
    Ok(())
}
