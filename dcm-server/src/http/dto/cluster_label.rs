use dcm_core::model::ClusterLabelInput;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Input, reader::Object};

/// `label-name`, as the first releases of EMCO have it, or `clusterLabel`, as the later ones do; and a value.
impl Input for ClusterLabelInput {
    fn read(body: &Object<'_>) -> Self {
        let ours = ["label-name", "label", "name", "key"];
        let key = if body.has(&ours) {
            body.repeats(&["cluster-label"], body, &ours);
            body.text(&ours)
        } else {
            body.text(&["label-name", "cluster-label"])
        };
        Self { key, value: body.text(&["value"]) }
    }
}

/// A label of a cluster, as it is written.
#[derive(ToSchema)]
#[schema(as = ClusterLabelInput)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is read")]
pub(crate) struct ClusterLabelBody {
    /// Its key, which may also be called `clusterLabel`. Required to create one; may be left out where the path has it.
    label_name: Option<String>,
    value: Option<String>,
}

/// A label of a cluster, for clients of every release of EMCO.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterLabel)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ClusterLabelAnswer<'a> {
    label_name: &'a str,
    value: &'a str,
    #[serde(rename = "clusterLabel")]
    emco: &'a str,
}

impl<'a> ClusterLabelAnswer<'a> {
    pub(crate) fn new(key: &'a str, value: &'a str) -> Self {
        Self { label_name: key, value, emco: key }
    }

    pub(crate) const fn key(&self) -> &'a str {
        self.label_name
    }
}
