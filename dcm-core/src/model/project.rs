use serde::{Deserialize, Serialize};

use super::{Metadata, Uid};
use crate::{name::ProjectName, store::Stored};

/// A project: a tenant, the parent of logical clouds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Project {
    /// Its id for life; its logical clouds are keyed by it.
    pub uid: Uid,
    /// Its name and description.
    pub metadata: Metadata<ProjectName>,
    /// Set while a delete looks for children: whoever makes a child meanwhile gives way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
}

impl Stored for Project {
    const KIND: &'static str = "Project";
    const VERSION: u32 = 1;
}
