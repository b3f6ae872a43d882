//! What an apply would send, and what it would change.

use dcm_core::service::{Page, Selection};
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::preview,
    names::{cloud, name},
    page::{first_only, page},
};
use crate::http::Problem;

pub(super) async fn manifests(app: App, asked: pb::GetManifestsRequest) -> Answer<pb::GetManifestsResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let selection = selection(asked.cluster_reference.as_deref(), asked.page_size, &asked.page_token)?;
    Ok(Reply::new(preview::manifests(app.dcm.manifests(&id, &selection).await?)))
}

pub(super) async fn diff(app: App, asked: pb::DiffRequest) -> Answer<pb::DiffResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let selection = selection(asked.cluster_reference.as_deref(), asked.page_size, &asked.page_token)?;
    Ok(Reply::new(preview::diff(&app.dcm.diff(&id, &selection).await?)))
}

fn selection(reference: Option<&str>, size: i32, token: &str) -> Result<Selection, Problem> {
    let page = page(size, token)?;
    Ok(match reference {
        Some(reference) => {
            first_only(&page)?;
            Selection::One(name("cluster_reference", reference)?)
        }
        None => Selection::Page(Page { limit: page.limit.min(Selection::LARGEST_PAGE), ..page }),
    })
}
