use crate::{
    fault::Faults,
    name::{LabelKey, is_label_name},
};

/// One label of a cluster: an entry of [`Cluster::labels`](super::Cluster::labels), and no record of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterLabel {
    /// Its key, unique among the cluster's labels.
    pub key: LabelKey,
    /// Its value; EMCO's labels have none, and so an empty one.
    pub value: String,
}

impl ClusterLabel {
    /// At most so many per cluster.
    pub const MOST: usize = 256;

    /// Checks a value, as Kubernetes does.
    pub(crate) fn check_value(value: &str) -> Result<(), &'static str> {
        if value.is_empty() || is_label_name(value) {
            return Ok(());
        }
        Err("must be empty or up to 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit")
    }
}

/// A cluster's label as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterLabelInput {
    /// See [`ClusterLabel::key`].
    pub key: Option<String>,
    /// See [`ClusterLabel::value`]; empty where absent.
    pub value: Option<String>,
}

impl ClusterLabelInput {
    /// Checks all of it. Where the key is known already (an update), `known` is it: the input may leave it out, but
    /// not change it.
    pub fn check(self, known: Option<&LabelKey>, faults: &mut Faults) -> Option<ClusterLabel> {
        let key = match (self.key, known) {
            (None, Some(known)) => Some(known.clone()),
            (None, None) => {
                faults.add("/label-name", "is required: the label's key");
                None
            }
            (Some(text), known) => {
                let key = faults.check("/label-name", LabelKey::new(&text));
                if key.is_some() && known.is_some_and(|known| known.as_str() != text) {
                    faults.add("/label-name", "must be as in the path, or absent; a label cannot be renamed");
                }
                key
            }
        };
        let value = self.value.unwrap_or_default();
        faults.check("/value", ClusterLabel::check_value(&value));
        Some(ClusterLabel { key: key?, value })
    }
}
