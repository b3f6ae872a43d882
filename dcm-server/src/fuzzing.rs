//! A door for the fuzz targets in `fuzz/`. It promises nothing to anybody else.

use dcm_core::{clock::Clock as _, service::Dcm};
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;

use crate::{
    Config,
    assemble::{SystemClock, limits},
    http::{self as edge, Shared, Surface, Trust},
    metrics::Metrics,
    readiness::Readiness,
};

/// The REST edge without a socket.
#[derive(Debug)]
pub struct Edge(edge::Edge);

impl Edge {
    /// The edge of a DCM, with the configuration's limits. To be used within a tokio runtime.
    #[must_use]
    pub fn new(dcm: Dcm, config: &Config) -> Self {
        let metrics = Metrics::new(&Default::default(), SystemClock.now());
        Self(edge::Edge::new(
            Shared::new(dcm, limits(config), metrics, Readiness::default()).into(),
            Surface::Clients,
            Trust::default(),
            0,
        ))
    }

    /// Answers a request as a server does. Of a body that goes on for ever there is what is there at once.
    pub async fn serve(&self, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
        let (parts, mut body) = self.0.serve(request.map(axum::body::Body::from)).await.into_parts();
        let mut whole = Vec::new();
        while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
            whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        Response::from_parts(parts, whole)
    }
}
