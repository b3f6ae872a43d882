//! How far a logical cloud is: page by page, and as it changes. The same in `dcm.v1` and `dcm.sync.v1`.

use std::{iter, sync::Arc};

use dcm_core::{
    error::Error,
    model::ClusterStatus,
    name::ReferenceName,
    service::{CloudId, CloudStatus, Page, Watch},
};
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::cloud_status::{cluster, told},
    names::{cloud, name},
    page,
    watch::Parts,
    watches::position,
};
use crate::http::Problem;

/// Of which clusters a status is wanted.
pub(super) struct Wanted {
    /// Only of the one with this reference.
    only: Option<ReferenceName>,
    page: Page,
}

/// One page of it.
pub(super) struct StatusPage {
    /// The generation that is worked towards, or was reached.
    pub(super) generation: u64,
    pub(super) status: pb::LogicalCloudStatus,
    pub(super) next_page_token: String,
}

pub(super) async fn read(app: App, asked: pb::GetStatusRequest) -> Answer<pb::GetStatusResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let page = page::page(asked.page_size, &asked.page_token)?;
    let wanted = Wanted::of(&app, &id, asked.cluster_reference.as_deref(), page).await?;
    let StatusPage { status, next_page_token, .. } = wanted.read(&app, &id).await?;
    Ok(Reply::new(pb::GetStatusResponse { status: Some(status), next_page_token }))
}

impl Wanted {
    /// With a reference only the cluster of that, which has to be there; else a page of them, or parts of that size.
    pub(super) async fn of(app: &App, id: &CloudId, reference: Option<&str>, page: Page) -> Result<Self, Problem> {
        let only = match reference {
            Some(reference) => {
                page::first_only(&page)?;
                Some(app.dcm.reference(id, &name("cluster_reference", reference)?).await?.value.metadata.name)
            }
            None => None,
        };
        Ok(Self { only, page })
    }

    /// The same for a watch that may go on: where the reference went meanwhile, it goes on as one that has not broken off.
    pub(super) async fn watched(
        app: &App,
        id: &CloudId,
        reference: Option<&str>,
        size: i32,
        last_event_id: &str,
    ) -> Result<Self, Problem> {
        let page = page::page(size, "")?;
        if let Some(text) = reference.filter(|_| !last_event_id.is_empty()) {
            let asked = name("cluster_reference", text)?;
            if let Err(Error::NotFound { .. }) = app.dcm.reference(id, &asked).await {
                return Ok(Self { only: Some(asked), page });
            }
        }
        Self::of(app, id, reference, page).await
    }

    /// Watches the status that is wanted.
    pub(super) async fn watch(
        &self,
        app: &App,
        id: &CloudId,
        last_event_id: &str,
    ) -> Result<Watch<CloudStatus>, Problem> {
        let from = position(last_event_id);
        Ok(match &self.only {
            Some(only) => app.dcm.watch_status_of(id, only, from.as_ref()).await?,
            None => app.dcm.watch_status(id, from.as_ref()).await?,
        })
    }

    pub(super) async fn read(self, app: &App, id: &CloudId) -> Result<StatusPage, Problem> {
        let status = app.dcm.status(id).await?;
        let after = self.page.after.as_deref().filter(|_| self.only.is_none());
        let mut rest = self.clusters(&status).filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let page: Vec<_> = rest.by_ref().take(self.page.limit).collect();
        let more = rest.next().is_some();
        let next = page.last().filter(|_| more).map(|(name, _)| name.to_string());
        let (clusters, next_page_token) = page::fitting(page.into_iter().map(cluster), next);
        let generation = status.cloud.lifecycle.applied_generation;
        Ok(StatusPage { generation, status: told(&status, clusters), next_page_token })
    }

    /// Tells a watch of each state in parts, made of the generation that is worked towards and what is told.
    pub(super) fn updates<E: 'static>(
        self,
        event: impl Fn(u64, pb::StatusUpdate) -> E + Send + Sync + 'static,
    ) -> impl FnMut(&CloudStatus) -> Parts<E> + Send + 'static {
        let event = Arc::new(event);
        let mut before = None;
        move |status| {
            let generation = status.cloud.lifecycle.applied_generation;
            let parts = page::parts(self.clusters(status).map(cluster), self.page.limit);
            if self.only.is_some() {
                // What is another one may be another cluster's.
                let now = Some((generation, told(status, parts.concat())));
                if before == now {
                    return Box::new(iter::empty());
                }
                before = now;
            }
            let (count, whole, event) = (parts.len(), told(status, Vec::new()), Arc::clone(&event));
            // Each is made when the one before is on its way: the rest of the status is in every one of them.
            let update = move |(part, clusters): (usize, Vec<pb::ClusterStatus>)| {
                let status = Some(pb::LogicalCloudStatus { clusters, ..whole.clone() });
                event(generation, pb::StatusUpdate { status, more: part + 1 < count })
            };
            Box::new(parts.into_iter().enumerate().map(update))
        }
    }

    fn clusters<'s>(
        &'s self,
        status: &'s CloudStatus,
    ) -> impl Iterator<Item = &'s (ReferenceName, Option<ClusterStatus>)> {
        let is_wanted = |name: &ReferenceName| self.only.as_ref().is_none_or(|only| only == name);
        status.clusters.iter().filter(move |(name, _)| is_wanted(name))
    }
}
