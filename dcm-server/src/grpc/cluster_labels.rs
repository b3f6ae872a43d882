use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    convert::cluster_label::{input, one, told},
    names::{cluster, name},
    page::{cut, fitting, key_page},
};
use crate::http::Conditions;

pub(super) async fn create(app: App, asked: pb::CreateClusterLabelRequest) -> Answer<pb::CreateClusterLabelResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let draft = input(asked.cluster_label).into();
    let (made, revision) = app.dcm.create_cluster_label((&provider, &cluster), draft).await?;
    Ok(Reply::new(pb::CreateClusterLabelResponse { cluster_label: Some(told(&made, &revision)) }))
}

pub(super) async fn read(app: App, asked: pb::GetClusterLabelRequest) -> Answer<pb::GetClusterLabelResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let key = name("label_name", &asked.label_name)?;
    let (found, revision) = app.dcm.cluster_label((&provider, &cluster), &key).await?;
    let not_modified = conditions.has(&revision)?;
    let cluster_label = (!not_modified).then(|| told(&found, &revision));
    Ok(Reply::new(pb::GetClusterLabelResponse { cluster_label, not_modified }))
}

pub(super) async fn list(app: App, asked: pb::ListClusterLabelsRequest) -> Answer<pb::ListClusterLabelsResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let page = key_page(asked.page_size, &asked.page_token)?;
    let (labels, revision) = app.dcm.cluster_labels((&provider, &cluster)).await?;
    let (labels, next) = cut(labels.into_iter().collect(), &page, |(key, _)| key);
    let labels = labels.into_iter().map(|(key, value)| one(key, value, &revision));
    let (cluster_labels, next_page_token) = fitting(labels, next);
    Ok(Reply::new(pb::ListClusterLabelsResponse { cluster_labels, next_page_token }))
}

pub(super) async fn update(app: App, asked: pb::UpdateClusterLabelRequest) -> Answer<pb::UpdateClusterLabelResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let (dcm, of, key) = (&app.dcm, (&provider, &cluster), name("label_name", &asked.label_name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster_label(of, &key).await?.1)).await?;
    let draft = input(asked.cluster_label).into();
    let (made, revision) = dcm.update_cluster_label(of, &key, draft, expected.as_ref()).await?;
    Ok(Reply::new(pb::UpdateClusterLabelResponse { cluster_label: Some(told(&made, &revision)) }))
}

pub(super) async fn delete(app: App, asked: pb::DeleteClusterLabelRequest) -> Answer<pb::DeleteClusterLabelResponse> {
    let (provider, cluster) = cluster(&asked.cluster_provider, &asked.cluster)?;
    let (dcm, of, key) = (&app.dcm, (&provider, &cluster), name("label_name", &asked.label_name)?);
    let conditions = Conditions::of_texts(&asked.if_match, &asked.if_none_match)?;
    let expected = conditions.expected(async || Ok(dcm.cluster_label(of, &key).await?.1)).await?;
    dcm.delete_cluster_label(of, &key, expected.as_ref()).await?;
    Ok(Reply::new(pb::DeleteClusterLabelResponse {}))
}
