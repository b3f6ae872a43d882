use dcm_core::{
    model::{Controller, ControllerInput, Metadata},
    name::ControllerName,
};
use serde::Serialize;

use super::{Input, metadata::metadata, reader::Object};

impl Input for ControllerInput {
    fn read(body: &Object<'_>) -> Self {
        body.read_only(&["name"]);
        let metadata = metadata(body);
        let spec = body.object_or_empty("spec");
        Self {
            metadata,
            host: spec.text(&["host"]),
            port: spec.integer("port"),
            controller_type: spec.text(&["type"]),
            priority: spec.integer("priority"),
        }
    }
}

/// A controller.
#[derive(Serialize)]
pub(crate) struct ControllerAnswer<'a> {
    metadata: &'a Metadata<ControllerName>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    host: &'a str,
    port: u16,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    controller_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
}

impl<'a> ControllerAnswer<'a> {
    pub(crate) fn new(controller: &'a Controller) -> Self {
        Self {
            metadata: &controller.metadata,
            spec: Spec {
                host: &controller.host,
                port: controller.port,
                controller_type: controller.controller_type.as_deref(),
                priority: controller.priority,
            },
        }
    }
}
