//! The health of the server, as gRPC asks for it (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>): asked of the store each
//! time, and not remembered.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use super::{App, status::carry};

/// How often whoever watches is told, if it has changed.
const LOOK: Duration = Duration::from_secs(5);

/// Says how the server is.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    app: App,
    services: Vec<&'static str>,
}

impl Probe {
    pub(super) const fn new(app: App, services: Vec<&'static str>) -> Self {
        Self { app, services }
    }

    /// The server as a whole has no name.
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }

    async fn status(&self) -> HealthCheckResponse {
        let status = match self.app.dcm.ready().await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        HealthCheckResponse { status: status.into() }
    }
}

#[tonic::async_trait]
impl Health for Probe {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("this service is not served here"));
        }
        Ok(Response::new(self.status().await))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let place = self.app.watches.place().map_err(carry)?;
        let knows = self.knows(&request.get_ref().service);
        let told = stream::unfold((self.clone(), place, None), move |(probe, place, told)| async move {
            let mut now = HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() };
            loop {
                if told.is_some() {
                    tokio::select! {
                        () = place.stop.cancelled() => return None,
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                if knows {
                    now = probe.status().await;
                }
                if told.as_ref() != Some(&now) {
                    return Some((Ok(now), (probe, place, Some(now))));
                }
            }
        });
        Ok(Response::new(Box::pin(told)))
    }
}
