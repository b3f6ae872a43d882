use dcm_core::service::IssuedKubeconfig;
use dcm_proto::v1 as pb;

use super::{
    Answer, App, Reply,
    names::{cloud, name},
    page::BUDGET,
};
use crate::http::{Problem, dto};

/// With a cluster reference the one for that cluster, else one for all clusters.
pub(super) async fn read(app: App, asked: pb::GetKubeconfigRequest) -> Answer<pb::GetKubeconfigResponse> {
    let id = cloud(&asked.project, &asked.logical_cloud)?;
    let issued = match &asked.cluster_reference {
        Some(reference) => app.dcm.kubeconfig(&id, &name("cluster_reference", reference)?).await?,
        None => app.dcm.merged_kubeconfig_of_at_most(&id, BUDGET).await?,
    };
    let (kubeconfig, format) = match pb::KubeconfigFormat::try_from(asked.format) {
        Ok(pb::KubeconfigFormat::Unspecified | pb::KubeconfigFormat::Json) => {
            (json(&issued)?, pb::KubeconfigFormat::Json)
        }
        Ok(pb::KubeconfigFormat::Yaml) => (yaml(&issued)?, pb::KubeconfigFormat::Yaml),
        Err(_) => return Err(Problem::parameter("format", "must be one that this release knows: JSON or YAML")),
    };
    Ok(Reply::new(pb::GetKubeconfigResponse { kubeconfig, format: format.into() }))
}

fn json(issued: &IssuedKubeconfig) -> Result<String, Problem> {
    let text = std::str::from_utf8(issued.expose_json());
    text.map(str::to_owned).map_err(|_| Problem::bug("a kubeconfig is no text"))
}

fn yaml(issued: &IssuedKubeconfig) -> Result<String, Problem> {
    dto::yaml::from_json(issued.expose_json()).ok_or_else(|| Problem::bug("a kubeconfig has no YAML form"))
}
