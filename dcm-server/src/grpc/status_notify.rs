//! EMCO's `StatusNotify`, so that its clients (`emcoctl watch`) can watch a logical cloud.
//!
//! What is told is what EMCO's DCM tells of the same registration, in the words of the status in EMCO's form (`docs/grpc.md`).

mod asked;
mod clients;
mod notification;

use dcm_core::{
    error::Error,
    service::{CloudStatus, News, Watch},
};
use dcm_proto::statusnotify::{
    StatusDeregistration, StatusDeregistrationResponse, StatusNotification, StatusRegistration,
    status_notify_server::StatusNotify as Service,
};
use futures_util::StreamExt as _;
use tonic::{Extensions, Request, Response, Status};

use super::{
    Answer, App, Problem,
    call::Call,
    reply::answer,
    watch::{Client, Events, Watching},
};
use crate::{
    http::{Shown as _, rest},
    tls::PeerIdentity,
};
use asked::Asked;
use clients::{ClientId, Clients};

/// Serves it.
#[derive(Debug)]
pub(super) struct StatusNotify {
    app: App,
    clients: Clients,
}

impl StatusNotify {
    pub(super) fn new(app: App) -> Self {
        Self { app, clients: Clients::default() }
    }

    async fn register(
        &self,
        registration: StatusRegistration,
        who: Option<String>,
        call: Call,
    ) -> Answer<Events<StatusNotification>> {
        let id = ClientId::new(who, &registration.client_id)?;
        let asked = Asked::read(registration)?;
        let watching = Watching::new(&self.app, call)?;
        let registered = self.clients.register(id)?;
        let watch = self.app.dcm.watch_status(&asked.cloud, None).await?;
        let app = App::clone(&self.app);
        watching.fed(|client| async move {
            let told = tokio::select! {
                () = registered.ended() => Ok(()),
                told = tell(&app, &asked, watch, &client) => told,
            };
            match told {
                Ok(()) => client.end().await,
                Err(problem) => client.fail(problem).await,
            }
        })
    }
}

/// Tells a client each notification that differs from the one before, until the logical cloud is gone.
async fn tell(
    app: &App,
    asked: &Asked,
    mut watch: Watch<CloudStatus>,
    client: &Client<StatusNotification>,
) -> Result<(), Problem> {
    let mut last = None;
    while let Some(event) = watch.next().await {
        let status = match event?.news {
            News::Put(status) => status,
            News::Synced => continue,
            News::Deleted(_) | News::Ended => break,
        };
        let next = if asked.wants_objects() {
            // As new as the status or newer; whatever changes after it is told in turn.
            match app.dcm.object_status(&asked.cloud).await {
                Err(Error::NotFound { .. }) => break,
                all => asked.notification_of_objects(&all?)?,
            }
        } else {
            asked.notification(&status)
        };
        if last.as_ref() != Some(&next) {
            client.tell(next.clone()).await;
            last = Some(next);
        }
        rest(status.pause()).await;
    }
    Ok(())
}

/// Whose certificate the call came with.
fn who(extensions: &Extensions) -> Option<String> {
    extensions.get::<PeerIdentity>().map(ToString::to_string)
}

#[tonic::async_trait]
impl Service for StatusNotify {
    type StatusRegisterStream = Events<StatusNotification>;

    async fn status_register(
        &self,
        request: Request<StatusRegistration>,
    ) -> Result<Response<Self::StatusRegisterStream>, Status> {
        let (_, extensions, registration) = request.into_parts();
        let call = extensions.get::<Call>().cloned().ok_or_else(|| Status::internal("no call"))?;
        answer(self.register(registration, who(&extensions), call).await)
    }

    async fn status_deregister(
        &self,
        request: Request<StatusDeregistration>,
    ) -> Result<Response<StatusDeregistrationResponse>, Status> {
        let (_, extensions, asked) = request.into_parts();
        // As in EMCO, one that is not registered is none the less deregistered then.
        if let Ok(id) = ClientId::new(who(&extensions), &asked.client_id) {
            self.clients.deregister(&id);
        }
        Ok(Response::new(StatusDeregistrationResponse {}))
    }
}
