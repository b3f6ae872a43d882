//! What a client is told.

use dcm_core::service::{CloudObjects, CloudStatus, ClusterObjects, ObjectStatus, Overall};
use dcm_proto::statusnotify::{
    ClusterStatus, Gvk, ResourceStatus, StatusDetail, StatusNotification, StatusValue, status_detail,
};
use prost::Message as _;

use super::{
    Problem,
    asked::{Asked, Word},
};
use crate::http::dto::{is_deployed, is_object_deployed, is_object_ready};

/// The details of a notification have at most so many bytes: clients of most makes take messages of 4 MiB at most.
const LARGEST: usize = 4 * 1024 * 1024 - 64 * 1024;

impl Word {
    const fn value(self, is_so: bool) -> StatusValue {
        match (self, is_so) {
            (Self::Ready, true) => StatusValue::Ready,
            (Self::Ready, false) => StatusValue::NotReady,
            (Self::Deployed, true) => StatusValue::Deployed,
            (Self::Deployed, false) => StatusValue::NotDeployed,
        }
    }

    fn is_said_of(self, object: &ObjectStatus<'_>) -> bool {
        match self {
            Self::Ready => is_object_ready(object),
            Self::Deployed => is_object_deployed(object),
        }
    }
}

impl Asked {
    /// Of the whole alone, for those who ask whether it is ready.
    pub(super) fn notification(&self, status: &CloudStatus) -> StatusNotification {
        StatusNotification { status_value: self.whole(is_ready(status.overall)), details: Vec::new() }
    }

    /// Of the whole, and of each object where that is asked for. As in EMCO the whole is not selected from.
    pub(super) fn notification_of_objects(&self, all: &CloudObjects) -> Result<StatusNotification, Problem> {
        let is_so = match self.word {
            Word::Ready => is_ready(all.status.overall),
            Word::Deployed => is_deployed(all),
        };
        let details = if self.details { self.clusters(all)? } else { Vec::new() };
        Ok(StatusNotification { status_value: self.whole(is_so), details })
    }

    fn whole(&self, is_so: bool) -> i32 {
        self.word.value(is_so).into()
    }

    fn clusters(&self, all: &CloudObjects) -> Result<Vec<StatusDetail>, Problem> {
        let (mut details, mut size) = (Vec::new(), 0);
        for cluster in all.clusters() {
            let names = (cluster.provider.to_string(), cluster.cluster.to_string());
            if !self.clusters.is_empty() && !self.clusters.contains(&names) {
                continue;
            }
            let Some(told) = self.cluster(&cluster, names) else { continue };
            let detail = StatusDetail { status_detail: Some(status_detail::StatusDetail::Cluster(told)) };
            size += detail.encoded_len() + 8;
            if size > LARGEST {
                let detail = format!(
                    "tells of too many objects, more than {LARGEST} bytes; name some with clusters or resources, or ask for SUMMARY"
                );
                return Err(Problem::parameter("output", detail));
            }
            details.push(detail);
        }
        Ok(details)
    }

    /// One cluster; `None` where it has nothing that is asked for.
    fn cluster(
        &self,
        cluster: &ClusterObjects<'_>,
        (cluster_provider, name): (String, String),
    ) -> Option<ClusterStatus> {
        let kept =
            cluster.objects().filter(|object| self.resources.is_empty() || self.resources.contains(&object.id.name));
        let resources: Vec<_> = kept.map(|object| self.resource(&object)).collect();
        let good: i32 = self.word.value(true).into();
        // A credential is no object, and a cluster is not ready without it.
        let is_whole = self.word == Word::Deployed || !self.resources.is_empty() || cluster.is_reached;
        let is_so = is_whole && resources.iter().all(|resource| resource.status_value == good);
        let status_value = self.word.value(is_so).into();
        (!resources.is_empty()).then_some(ClusterStatus { cluster_provider, cluster: name, status_value, resources })
    }

    fn resource(&self, object: &ObjectStatus<'_>) -> ResourceStatus {
        let api_version = object.id.api_version.as_str();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let gvk = Gvk { group: group.to_owned(), version: version.to_owned(), kind: object.id.kind.clone() };
        let status_value = self.word.value(self.word.is_said_of(object)).into();
        ResourceStatus { name: object.id.name.clone(), gvk: Some(gvk), status_value }
    }
}

/// Only where every cluster is as it was applied.
fn is_ready(overall: Overall) -> bool {
    overall == Overall::Created
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_created_is_ready() {
        use Overall as O;
        assert!(is_ready(O::Created));
        for overall in [
            O::NotCreated,
            O::CreationInProgress,
            O::CreationFailed,
            O::DeletionInProgress,
            O::Deleted,
            O::DeletionFailed,
            O::Stopped,
        ] {
            assert!(!is_ready(overall), "{overall:?}");
        }
    }
}
