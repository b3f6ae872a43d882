use dcm_proto::v1 as pb;

use super::{Answer, App, Reply, convert::cloud_status::told, names::cloud};

pub(super) async fn read(app: App, asked: pb::GetStatusRequest) -> Answer<pb::GetStatusResponse> {
    let status = app.dcm.status(&cloud(&asked.project, &asked.logical_cloud)?).await?;
    Ok(Reply::new(pb::GetStatusResponse { status: Some(told(&status)) }))
}
