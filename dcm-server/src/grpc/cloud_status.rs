//! How far a logical cloud is: page by page, and as it changes. The same in `dcm.v1` and `dcm.sync.v1`.

use dcm_core::{
    model::ClusterStatus,
    name::ReferenceName,
    service::{CloudId, CloudStatus, Page},
};
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::cloud_status::{cluster, told},
    names::{cloud, name},
    page,
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
                Some(app.dcm.reference(id, &name("cluster_reference", reference)?).await?.value.metadata.name)
            }
            None => None,
        };
        Ok(Self { only, page })
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
        event: impl Fn(u64, pb::StatusUpdate) -> E + Send + 'static,
    ) -> impl FnMut(&CloudStatus) -> Vec<E> + Send + 'static {
        let mut before = None;
        move |status| {
            let generation = status.cloud.lifecycle.applied_generation;
            let parts = page::parts(self.clusters(status).map(cluster), self.page.limit);
            if self.only.is_some() {
                // What is another one may be another cluster's.
                let now = Some((generation, told(status, parts.concat())));
                if before == now {
                    return Vec::new();
                }
                before = now;
            }
            let count = parts.len();
            let update = |(part, clusters): (usize, Vec<pb::ClusterStatus>)| {
                let more = part + 1 < count;
                event(generation, pb::StatusUpdate { status: Some(told(status, clusters)), more })
            };
            parts.into_iter().enumerate().map(update).collect()
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
