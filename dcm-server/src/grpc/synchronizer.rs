//! `dcm.sync.v1`: what the synchronizer role serves to main servers.
//!
//! Nothing is ordered here. Each call says that the store holds an order, which is looked for there; one that it does not hold is
//! refused, so that nobody who may only give hints can have anything deleted.

use std::sync::Arc;

use dcm_core::{
    error::{Error, ErrorKind},
    keys,
    lifecycle::Phase,
    service::{LogicalCloudView, Wake},
};
use dcm_proto::{
    sync_v1::{
        GetStatusRequest, GetStatusResponse, StartRequest, StartResponse, StopRequest, StopResponse, TerminateRequest,
        TerminateResponse, WatchStatusRequest, WatchStatusResponse, resource_synchronizer_server::ResourceSynchronizer,
        watch_status_response::Event,
    },
    v1::{WatchEnded, WatchSynced},
};
use tonic::{Request, Response, Status};

use super::{
    Answer, App, Reply,
    call::Call,
    cloud_status::{StatusPage, Wanted},
    names,
    page::page,
    reply::answer,
    watch::{Events, Telling, Watching},
};
use crate::{http::Problem, status::Kind};

/// Serves it.
#[derive(Clone, Debug)]
pub(super) struct Synchronizer {
    app: App,
    worker: Arc<dyn Wake>,
}

impl Synchronizer {
    /// `worker` is told of the orders that are found.
    pub(super) fn new(app: App, worker: Arc<dyn Wake>) -> Self {
        Self { app, worker }
    }

    async fn find(&self, project: &str, logical_cloud: &str) -> Result<Arc<LogicalCloudView>, Problem> {
        Ok(self.app.dcm.logical_cloud(&names::cloud(project, logical_cloud)?).await?)
    }

    /// Has the worker look at the logical cloud's order.
    fn ring(&self, view: &LogicalCloudView) -> Result<(), Problem> {
        self.worker.wake(&keys::order(&view.cloud.uid).map_err(Error::from)?);
        Ok(())
    }

    async fn start(&self, asked: StartRequest) -> Answer<StartResponse> {
        let view = self.find(&asked.project, &asked.logical_cloud).await?;
        let generation = view.cloud.lifecycle.applied_generation;
        if generation < asked.generation {
            let detail = format!("the store has generation {generation} and not yet {}", asked.generation);
            return Err(Problem::new(Kind::Core(ErrorKind::Conflict), detail));
        }
        self.ring(&view)?;
        Ok(Reply::new(StartResponse { generation }))
    }

    async fn stop(&self, asked: StopRequest) -> Answer<StopResponse> {
        let view = self.find(&asked.project, &asked.logical_cloud).await?;
        expect(view.cloud.lifecycle.phase == Phase::Stopped, "stop")?;
        self.ring(&view)?;
        Ok(Reply::new(StopResponse {}))
    }

    async fn terminate(&self, asked: TerminateRequest) -> Answer<TerminateResponse> {
        let view = self.find(&asked.project, &asked.logical_cloud).await?;
        let phase = view.cloud.lifecycle.phase;
        expect(phase.is_going() || phase == Phase::Terminated, "terminate")?;
        self.ring(&view)?;
        Ok(Reply::new(TerminateResponse {}))
    }

    async fn status(&self, asked: GetStatusRequest) -> Answer<GetStatusResponse> {
        let id = names::cloud(&asked.project, &asked.logical_cloud)?;
        let page = page(asked.page_size, &asked.page_token)?;
        let wanted = Wanted::of(&self.app, &id, asked.cluster_reference.as_deref(), page).await?;
        let StatusPage { generation, status, next_page_token } = wanted.read(&self.app, &id).await?;
        Ok(Reply::new(GetStatusResponse { generation, status: Some(status), next_page_token }))
    }

    async fn watch(&self, asked: WatchStatusRequest, call: Call) -> Answer<Events<WatchStatusResponse>> {
        let watching = Watching::new(&self.app, call)?;
        let id = names::cloud(&asked.project, &asked.logical_cloud)?;
        let (only, last) = (asked.cluster_reference.as_deref(), &asked.last_event_id);
        let wanted = Wanted::watched(&self.app, &id, only, asked.page_size, last).await?;
        let watch = wanted.watch(&self.app, &id, last).await?;
        let updates = wanted.updates(|generation, update| (generation, Event::Status(update)));
        watching.answer_in_parts(watch, asked.last_event_id, updates)
    }
}

/// Refuses to act on an order that the store does not hold.
fn expect(ordered: bool, order: &str) -> Result<(), Problem> {
    if ordered {
        return Ok(());
    }
    let detail = format!("the store holds no {order} for it; orders are given to a main server");
    Err(Problem::new(Kind::Core(ErrorKind::Refused), detail))
}

impl Telling for WatchStatusResponse {
    /// With the generation that is worked towards.
    type Event = (u64, Event);

    fn new(event_id: String, (generation, event): Self::Event) -> Self {
        Self { event_id, generation, event: Some(event) }
    }

    /// A status goes with its logical cloud.
    fn deleted(_: String) -> Self::Event {
        Self::ended()
    }

    fn synced() -> Self::Event {
        (0, Event::Synced(WatchSynced {}))
    }

    fn ended() -> Self::Event {
        (0, Event::Ended(WatchEnded {}))
    }
}

#[tonic::async_trait]
impl ResourceSynchronizer for Synchronizer {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<StartResponse>, Status> {
        answer(self.start(request.into_inner()).await)
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopResponse>, Status> {
        answer(self.stop(request.into_inner()).await)
    }

    async fn terminate(&self, request: Request<TerminateRequest>) -> Result<Response<TerminateResponse>, Status> {
        answer(self.terminate(request.into_inner()).await)
    }

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        answer(self.status(request.into_inner()).await)
    }

    type WatchStatusStream = Events<WatchStatusResponse>;

    async fn watch_status(
        &self,
        request: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let (_, extensions, asked) = request.into_parts();
        let call = extensions.get::<Call>().cloned().ok_or_else(|| Status::internal("no call"))?;
        answer(self.watch(asked, call).await)
    }
}
