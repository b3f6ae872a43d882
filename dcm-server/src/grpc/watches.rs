//! The one watch of logical clouds and what belongs to them.

use dcm_core::{
    model::LabelSelector,
    service::{CloudId, WatchPosition},
};
use dcm_proto::v1::{self as pb, watch_response::Event};

use super::{
    Answer, App,
    call::Call,
    cloud_status::Wanted,
    convert::{kv_pair, logical_cloud, permission, quota, reference},
    names, page,
    watch::{Events, Watching},
};
use crate::http::Problem;

pub(super) async fn watch(app: App, asked: pb::WatchRequest, call: Call) -> Answer<Events<pb::WatchResponse>> {
    let watching = Watching::new(&app, call)?;
    let (dcm, from) = (&app.dcm, position(&asked.last_event_id));
    let (selector, from) = (page::selector(&asked.label_selector)?, from.as_ref());
    if asked.watched() != pb::Watched::Status {
        only_of_a_status("cluster_reference", asked.cluster_reference.is_none())?;
        only_of_a_status("page_size", asked.page_size == 0)?;
    }
    match asked.watched() {
        pb::Watched::Unspecified => Err(Problem::parameter("watched", "must say what is to be watched")),
        pb::Watched::LogicalClouds => {
            let project = names::name("project", &asked.project)?;
            refuse("logical_cloud", asked.logical_cloud.is_empty())?;
            let watch = dcm.watch_logical_clouds(&project, &selector, from).await?;
            watching.answer(watch, |view| Event::LogicalCloud(logical_cloud::told(view)))
        }
        pb::Watched::ClusterReferences => {
            let watch = dcm.watch_references(&cloud(&asked, &selector)?, from).await?;
            watching.answer(watch, |entry| Event::ClusterReference(reference::told(entry)))
        }
        pb::Watched::UserPermissions => {
            let watch = dcm.watch_permissions(&cloud(&asked, &selector)?, from).await?;
            watching.answer(watch, |all| Event::UserPermissions(permission::all(all)))
        }
        pb::Watched::Quotas => {
            let watch = dcm.watch_quotas(&cloud(&asked, &selector)?, from).await?;
            watching.answer(watch, |entry| Event::Quota(quota::told(entry)))
        }
        pb::Watched::KvPairs => {
            let watch = dcm.watch_kv_pairs(&cloud(&asked, &selector)?, from).await?;
            watching.answer(watch, |entry| Event::KvPair(kv_pair::told(entry)))
        }
        pb::Watched::Status => {
            let id = cloud(&asked, &selector)?;
            let (only, last) = (asked.cluster_reference.as_deref(), &asked.last_event_id);
            let wanted = Wanted::watched(&app, &id, only, asked.page_size, last).await?;
            let watch = wanted.watch(&app, &id, last).await?;
            watching.answer_in_parts(watch, asked.last_event_id, wanted.updates(|_, update| Event::Status(update)))
        }
    }
}

/// After which event a client goes on.
pub(super) fn position(last_event_id: &str) -> Option<WatchPosition> {
    Some(last_event_id).filter(|id| !id.is_empty()).map(WatchPosition::new)
}

fn cloud(asked: &pb::WatchRequest, selector: &LabelSelector) -> Result<CloudId, Problem> {
    if *selector != LabelSelector::everything() {
        return Err(Problem::parameter("label_selector", "selects nothing here: what is told here has no labels"));
    }
    names::cloud(&asked.project, &asked.logical_cloud)
}

fn only_of_a_status(field: &str, is_left_out: bool) -> Result<(), Problem> {
    if is_left_out { Ok(()) } else { Err(Problem::parameter(field, "is for WATCHED_STATUS only: leave it out")) }
}

fn refuse(field: &str, is_empty: bool) -> Result<(), Problem> {
    if is_empty { Ok(()) } else { Err(Problem::parameter(field, "must be empty: all of the project are watched")) }
}
