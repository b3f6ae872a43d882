use dcm_core::{
    model::{Controller, ControllerInput, Metadata},
    name::ControllerName,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Input,
    metadata::{MetadataBody, MetadataSchema, metadata},
    reader::Object,
    shapes,
};

impl Input for ControllerInput {
    fn read(body: &Object<'_>) -> Self {
        let metadata = metadata(body, &["name"]);
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

/// A controller, as it is written.
#[derive(ToSchema)]
#[schema(as = ControllerInput)]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct ControllerBody {
    metadata: Option<MetadataBody>,
    spec: SpecBody,
}

#[derive(ToSchema)]
#[schema(as = ControllerInputSpec)]
#[expect(dead_code, reason = "describes what is read")]
struct SpecBody {
    /// A DNS name, or an IP address.
    host: String,
    #[schema(schema_with = shapes::port)]
    port: u16,
    /// EMCO's; kept for its clients.
    #[schema(rename = "type")]
    controller_type: Option<String>,
    #[schema(schema_with = shapes::priority)]
    priority: Option<u32>,
}

/// A controller.
#[derive(Serialize, ToSchema)]
#[schema(as = Controller)]
pub(crate) struct ControllerAnswer<'a> {
    #[schema(value_type = MetadataSchema)]
    metadata: &'a Metadata<ControllerName>,
    spec: Spec<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ControllerSpec)]
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
