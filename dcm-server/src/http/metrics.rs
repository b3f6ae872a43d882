//! What the REST edge counts, and where it is read.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::State,
    response::Response,
};
use http::{HeaderValue, Method, StatusCode, header};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    Answer, App,
    api::{Api, Operation},
    problem::Problem,
    routes::Route,
};
use crate::serving::ConnectionMetrics;

/// Bounds in seconds: what is read takes well below a millisecond, what is written a few, what asks a cluster up to some
/// seconds.
const BOUNDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Stands for a path that is none of ours, or of which no more was looked at.
const UNMATCHED: &str = "unmatched";

/// Counts requests and connections.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
    unmatched: Arc<str>,
    /// Requests that are being served.
    pub(crate) in_flight: Gauge,
    received: Counter,
    sent: Counter,
    /// The listener's connections.
    pub(super) connections: ConnectionMetrics,
}

/// What was asked, with names of ours only: nobody can make more of them by asking for other things.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            unmatched: UNMATCHED.into(),
            in_flight: Gauge::default(),
            received: Counter::default(),
            sent: Counter::default(),
            connections: ConnectionMetrics::default(),
        }
    }
}

impl HttpMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests",
            "Requests that were answered, by method, path template and status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "How long requests took until the head of their answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("requests_in_flight", "Requests that are being served", self.in_flight.clone());
        let help = "Bytes of requests' bodies that were read";
        registry.register_with_unit("request_body", help, Unit::Bytes, self.received.clone());
        let help = "Bytes of answers' bodies, as they are sent; without streams";
        registry.register_with_unit("response_body", help, Unit::Bytes, self.sent.clone());
        self.connections.register(registry);
    }

    /// Counts a body that was read.
    pub(super) fn read(&self, body: &[u8]) {
        self.received.inc_by(body.len() as u64);
    }

    /// Counts a request that was answered.
    pub(super) fn answered(&self, method: &Method, route: Option<&Route>, response: &Response, took: Duration) {
        let method = known(method);
        let route = Arc::clone(route.map_or(&self.unmatched, |route| &route.template));
        let asked = Asked { method, route };
        self.durations.get_or_create(&asked).observe(took.as_secs_f64());
        let Asked { method, route } = asked;
        let answered = Answered { method, route, status: response.status().as_u16() };
        self.requests.get_or_create(&answered).inc();
        self.sent.inc_by(response.body().size_hint().exact().unwrap_or_default());
    }
}

/// The method by a name of ours.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(super) fn routes(api: Api) -> Api {
    let operation = Operation::new("getMetrics", "Answers all that the server counts, for Prometheus.")
        .about("In the OpenMetrics text format. No name of a tenant is among the labels.")
        .answers_text(StatusCode::OK, "The metrics.", &["application/openmetrics-text"]);
    api.path("/metrics", |path| path.get(read, operation))
}

/// Answers all that the server counts.
pub(super) async fn read(State(app): State<App>) -> Answer {
    let text = app.metrics.render().map_err(|error| Problem::bug(format!("the metrics have no text form: {error}")))?;
    let mut response = Response::new(Body::from(text));
    let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

impl fmt::Debug for HttpMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpMetrics").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}
