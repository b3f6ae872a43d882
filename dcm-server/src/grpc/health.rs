//! The health of the server, as gRPC asks for it (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>): asked of the store each
//! time, and not remembered.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

use super::{
    App,
    call::Call,
    status::{carry, render},
    watch::until,
};
use crate::{http::Problem, status::Kind};

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

    /// How the server is, as soon as that is something else than was told.
    async fn another_than(&self, told: Option<&HealthCheckResponse>, knows: bool) -> HealthCheckResponse {
        loop {
            if told.is_some() {
                tokio::time::sleep(LOOK).await;
            }
            let now = match knows {
                true => self.status().await,
                false => HealthCheckResponse { status: ServingStatus::ServiceUnknown.into() },
            };
            if told != Some(&now) {
                return now;
            }
        }
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
        let (_, extensions, asked) = request.into_parts();
        let call = extensions.get::<Call>().cloned().ok_or_else(|| Status::internal("no call"))?;
        let (probe, knows) = (self.clone(), self.knows(&asked.service));
        let told = stream::unfold(Some((place, None)), move |state| {
            let (probe, call) = (probe.clone(), call.clone());
            async move {
                let (place, told) = state?;
                tokio::select! {
                    () = place.stop.cancelled() => None,
                    () = until(call.deadline) => {
                        let problem = Problem::new(Kind::TimedOut, "the deadline of the call has passed");
                        Some((Err(render(problem, &call)), None))
                    }
                    now = probe.another_than(told.as_ref(), knows) => Some((Ok(now), Some((place, Some(now))))),
                }
            }
        });
        Ok(Response::new(Box::pin(told)))
    }
}
