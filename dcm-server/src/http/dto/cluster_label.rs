use dcm_core::model::ClusterLabelInput;
use serde::Serialize;

use super::{Input, reader::Object};

/// `label-name`, as the first releases of EMCO have it, or `clusterLabel`, as the later ones do; and a value.
impl Input for ClusterLabelInput {
    fn read(body: &Object<'_>) -> Self {
        let ours = ["label-name", "label", "name", "key"];
        let key = if body.has(&ours) {
            body.read_only(&["cluster-label"]);
            body.text(&ours)
        } else {
            body.text(&["label-name", "cluster-label"])
        };
        Self { key, value: body.text(&["value"]) }
    }
}

/// A label of a cluster, for clients of every release of EMCO.
#[derive(Serialize)]
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
