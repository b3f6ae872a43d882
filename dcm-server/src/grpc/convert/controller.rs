use dcm_core::{
    model::{Controller, ControllerInput},
    store::Entry,
};
use dcm_proto::v1 as pb;

use super::{etag, metadata};

pub(in crate::grpc) fn input(controller: Option<pb::Controller>) -> ControllerInput {
    let pb::Controller { metadata, spec, .. } = controller.unwrap_or_default();
    let spec = spec.unwrap_or_default();
    ControllerInput {
        metadata: metadata::input(metadata),
        host: spec.host,
        port: spec.port.map(u64::from),
        controller_type: spec.r#type,
        priority: spec.priority.map(u64::from),
    }
}

pub(in crate::grpc) fn told(entry: &Entry<Controller>) -> pb::Controller {
    let controller = &entry.value;
    pb::Controller {
        metadata: metadata::told(&controller.metadata),
        spec: Some(pb::ControllerSpec {
            host: Some(controller.host.clone()),
            port: Some(controller.port.into()),
            r#type: controller.controller_type.clone(),
            priority: controller.priority,
        }),
        etag: etag(&entry.revision),
    }
}
