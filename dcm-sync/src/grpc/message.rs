//! Messages and the port's types, both ways. What comes from outside is checked field by field.

use dcm_core::{
    error::Error,
    fault::Faults,
    gateway::{self, CutOffs, Probe},
    name::{ClusterName, ProviderName, ReferenceName},
    service::{CloudId, Page, Preview, Selection},
    sync::{Change, ChangeKind, Comparison, Difference, Failure, FieldDifference, Grant, ObjectId, Reason},
};
use dcm_proto::{
    sync_v1::{self as proto, cluster_cut_off, cluster_diff, probe_cluster_response},
    v1,
};
use serde::{
    Deserialize as _,
    de::value::{Error as NoReason, StrDeserializer},
};
use serde_json::Value;

pub(super) fn probe(provider: &ProviderName, cluster: &ClusterName) -> proto::ProbeClusterRequest {
    proto::ProbeClusterRequest { cluster_provider: provider.to_string(), cluster: cluster.to_string() }
}

pub(super) fn read_probe(request: &proto::ProbeClusterRequest) -> Result<(ProviderName, ClusterName), Error> {
    let mut faults = Faults::new();
    let provider = faults.check("/cluster-provider", request.cluster_provider.parse());
    let cluster = faults.check("/cluster", request.cluster.parse());
    provider.zip(cluster).ok_or(Error::Invalid(faults))
}

pub(super) fn diff(id: &CloudId, which: &Selection) -> proto::DiffRequest {
    let (cluster_reference, page_size, page_token) = match which {
        Selection::One(name) => (Some(name.to_string()), 0, None),
        // What an edge asks for is never more.
        Selection::Page(page) => (None, page.limit.min(Selection::LARGEST_PAGE), page.after.clone()),
    };
    proto::DiffRequest {
        project: id.project.to_string(),
        logical_cloud: id.name.to_string(),
        cluster_reference,
        page_size: page_size.try_into().unwrap_or(u32::MAX),
        page_token: page_token.unwrap_or_default(),
    }
}

pub(super) fn read_diff(request: &proto::DiffRequest) -> Result<(CloudId, Selection), Error> {
    let mut faults = Faults::new();
    let id = read_cloud(&request.project, &request.logical_cloud, &mut faults);
    let which = match &request.cluster_reference {
        Some(name) => faults.check("/cluster-reference", name.parse()).map(Selection::One),
        None => read_page(request, &mut faults).map(Selection::Page),
    };
    id.zip(which).ok_or(Error::Invalid(faults))
}

fn read_page(request: &proto::DiffRequest, faults: &mut Faults) -> Option<Page> {
    let most = Selection::LARGEST_PAGE;
    let limit = usize::try_from(request.page_size).ok().filter(|limit| (1..=most).contains(limit));
    let limit = faults.check("/page-size", limit.ok_or_else(|| format!("must be a number from 1 to {most}")));
    let after = match request.page_token.as_str() {
        "" => Some(None),
        token => faults.check("/page-token", token.parse::<ReferenceName>()).map(|name| Some(name.to_string())),
    };
    Some(Page { limit: limit?, after: after? })
}

fn read_cloud(project: &str, logical_cloud: &str, faults: &mut Faults) -> Option<CloudId> {
    let project = faults.check("/project", project.parse());
    let name = faults.check("/logical-cloud", logical_cloud.parse());
    Some(CloudId { project: project?, name: name? })
}

pub(super) fn cut_off(id: &CloudId, generation: u64) -> proto::CutOffUserRequest {
    let (project, logical_cloud) = (id.project.to_string(), id.name.to_string());
    proto::CutOffUserRequest { project, logical_cloud, generation }
}

pub(super) fn read_cut_off(request: &proto::CutOffUserRequest) -> Result<(CloudId, u64), Error> {
    let mut faults = Faults::new();
    let id = read_cloud(&request.project, &request.logical_cloud, &mut faults);
    // An order makes a generation, and the first one is 1.
    let generation = Some(request.generation).filter(|generation| *generation > 0);
    let generation = faults.check("/generation", generation.ok_or("must be 1 or more"));
    id.zip(generation).ok_or(Error::Invalid(faults))
}

pub(super) fn probed(probed: Result<Probe, Failure>) -> proto::ProbeClusterResponse {
    use probe_cluster_response::Outcome;
    let capability = |(feature, lacks)| proto::Capability { feature, lacks };
    let outcome = match probed {
        Ok(Probe { identity, version, capabilities }) => Outcome::Facts(proto::ClusterFacts {
            identity,
            version,
            capabilities: capabilities.into_iter().map(capability).collect(),
        }),
        Err(failed) => Outcome::Failure(failure(failed)),
    };
    proto::ProbeClusterResponse { outcome: Some(outcome) }
}

pub(super) fn diffed(preview: Preview<Result<Comparison, Failure>>) -> proto::DiffResponse {
    proto::DiffResponse {
        generation: preview.generation,
        clusters: preview.clusters.into_iter().map(cluster_diff).collect(),
        next_page_token: preview.next.unwrap_or_default(),
    }
}

fn cluster_diff((reference, compared): (ReferenceName, Result<Comparison, Failure>)) -> proto::ClusterDiff {
    use cluster_diff::Outcome;
    let outcome = match compared {
        Ok(Comparison { differences, remarks, failure: stopped }) => Outcome::Comparison(proto::Comparison {
            changes: differences.into_iter().map(object_diff).collect(),
            remarks,
            failure: stopped.map(failure),
        }),
        Err(failed) => Outcome::Failure(failure(failed)),
    };
    proto::ClusterDiff { cluster_reference: reference.into(), outcome: Some(outcome) }
}

fn object_diff(difference: Difference) -> proto::ObjectDiff {
    let Difference { change: Change { id, change }, fields, checked, refusal } = difference;
    let kind = match change {
        ChangeKind::Create => v1::ChangeKind::Create,
        ChangeKind::Update => v1::ChangeKind::Update,
        ChangeKind::Replace => v1::ChangeKind::Replace,
        ChangeKind::Delete => v1::ChangeKind::Delete,
        ChangeKind::Other => v1::ChangeKind::Unspecified,
    };
    let field = |field: FieldDifference| proto::FieldDiff {
        pointer: field.pointer,
        live_json: field.live.as_ref().map(ToString::to_string),
        wanted_json: field.wanted.as_ref().map(ToString::to_string),
    };
    proto::ObjectDiff {
        change: kind.into(),
        object: Some(object(id)),
        fields: fields.into_iter().map(field).collect(),
        checked_by_cluster: checked,
        refusal: refusal.map(failure),
    }
}

pub(super) fn cut_offs(clusters: CutOffs) -> proto::CutOffUserResponse {
    use cluster_cut_off::Outcome;
    let grant = |Grant { id, detail }| proto::Grant { object: Some(object(id)), detail };
    let cluster = |(reference, cut): (ReferenceName, Result<Vec<Grant>, Failure>)| proto::ClusterCutOff {
        cluster_reference: reference.into(),
        outcome: Some(match cut {
            Ok(grants) => {
                Outcome::CutOff(proto::CutOff { still_grants_access: grants.into_iter().map(grant).collect() })
            }
            Err(failed) => Outcome::Failure(failure(failed)),
        }),
    };
    proto::CutOffUserResponse { clusters: clusters.into_iter().map(cluster).collect() }
}

fn object(ObjectId { api_version, kind, namespace, name }: ObjectId) -> v1::ObjectName {
    v1::ObjectName { api_version, kind, namespace, name }
}

fn failure(Failure { reason, detail, retry_after }: Failure) -> proto::Failure {
    proto::Failure { reason: reason.as_str().to_owned(), detail, retry_after }
}

/// An answer that is none.
#[derive(Debug)]
pub(super) struct OddAnswer(&'static str);

impl std::fmt::Display for OddAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the synchronizer's answer cannot be understood: {} is missing or wrong", self.0)
    }
}

impl std::error::Error for OddAnswer {}

impl From<OddAnswer> for Error {
    fn from(odd: OddAnswer) -> Self {
        gateway::Error::Internal(Box::new(odd)).into()
    }
}

pub(super) fn read_probed(answer: proto::ProbeClusterResponse) -> Result<Result<Probe, Failure>, OddAnswer> {
    use probe_cluster_response::Outcome;
    Ok(match answer.outcome.ok_or(OddAnswer("outcome"))? {
        Outcome::Facts(proto::ClusterFacts { identity, version, capabilities }) => {
            let capabilities = capabilities.into_iter().map(|capability| (capability.feature, capability.lacks));
            Ok(Probe { identity, version, capabilities: capabilities.collect() })
        }
        Outcome::Failure(failed) => Err(read_failure(failed)),
    })
}

pub(super) fn read_diffed(answer: proto::DiffResponse) -> Result<Preview<Result<Comparison, Failure>>, OddAnswer> {
    Ok(Preview {
        generation: answer.generation,
        clusters: answer.clusters.into_iter().map(read_cluster_diff).collect::<Result<_, _>>()?,
        next: Some(answer.next_page_token).filter(|token| !token.is_empty()),
    })
}

fn read_cluster_diff(cluster: proto::ClusterDiff) -> Result<(ReferenceName, Result<Comparison, Failure>), OddAnswer> {
    use cluster_diff::Outcome;
    let compared = match cluster.outcome.ok_or(OddAnswer("clusters.outcome"))? {
        Outcome::Comparison(comparison) => Ok(Comparison {
            differences: comparison.changes.into_iter().map(read_object_diff).collect::<Result<_, _>>()?,
            remarks: comparison.remarks,
            failure: comparison.failure.map(read_failure),
        }),
        Outcome::Failure(failed) => Err(read_failure(failed)),
    };
    Ok((read_reference(&cluster.cluster_reference)?, compared))
}

fn read_object_diff(difference: proto::ObjectDiff) -> Result<Difference, OddAnswer> {
    let change = match difference.change() {
        v1::ChangeKind::Create => ChangeKind::Create,
        v1::ChangeKind::Update => ChangeKind::Update,
        v1::ChangeKind::Replace => ChangeKind::Replace,
        v1::ChangeKind::Delete => ChangeKind::Delete,
        v1::ChangeKind::Unspecified => ChangeKind::Other,
    };
    Ok(Difference {
        change: Change { id: read_object(difference.object)?, change },
        fields: difference.fields.into_iter().map(read_field).collect::<Result<_, _>>()?,
        checked: difference.checked_by_cluster,
        refusal: difference.refusal.map(read_failure),
    })
}

fn read_field(field: proto::FieldDiff) -> Result<FieldDifference, OddAnswer> {
    let json = |text: Option<String>| -> Result<Option<Value>, OddAnswer> {
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| OddAnswer("clusters.changes.fields"))
    };
    Ok(FieldDifference { pointer: field.pointer, live: json(field.live_json)?, wanted: json(field.wanted_json)? })
}

pub(super) fn read_cut_offs(answer: proto::CutOffUserResponse) -> Result<CutOffs, OddAnswer> {
    use cluster_cut_off::Outcome;
    let grant = |grant: proto::Grant| Ok(Grant { id: read_object(grant.object)?, detail: grant.detail });
    let cluster = |cluster: proto::ClusterCutOff| {
        let cut = match cluster.outcome.ok_or(OddAnswer("clusters.outcome"))? {
            Outcome::CutOff(cut) => Ok(cut.still_grants_access.into_iter().map(grant).collect::<Result<_, _>>()?),
            Outcome::Failure(failed) => Err(read_failure(failed)),
        };
        Ok((read_reference(&cluster.cluster_reference)?, cut))
    };
    answer.clusters.into_iter().map(cluster).collect()
}

fn read_reference(name: &str) -> Result<ReferenceName, OddAnswer> {
    name.parse().map_err(|_| OddAnswer("clusters.cluster_reference"))
}

fn read_object(object: Option<v1::ObjectName>) -> Result<ObjectId, OddAnswer> {
    let v1::ObjectName { api_version, kind, namespace, name } = object.ok_or(OddAnswer("object"))?;
    Ok(ObjectId { api_version, kind, namespace, name })
}

fn read_failure(proto::Failure { reason, detail, retry_after }: proto::Failure) -> Failure {
    let reason = Reason::deserialize(StrDeserializer::<NoReason>::new(&reason)).unwrap_or(Reason::Other);
    Failure { retry_after, ..Failure::new(reason, detail) }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use serde_json::json;

    use super::*;

    /// As it comes out of the wire.
    fn sent<M: Message + Default>(message: M) -> M {
        M::decode(message.encode_to_vec().as_slice()).unwrap()
    }

    fn object_id(namespace: Option<&str>) -> ObjectId {
        let (api_version, kind) = ("rbac.authorization.k8s.io/v1".to_owned(), "Role".to_owned());
        ObjectId { api_version, kind, namespace: namespace.map(str::to_owned), name: "ä \"\n".to_owned() }
    }

    fn failures() -> [Failure; 3] {
        [
            Failure::new(Reason::Unreachable, ""),
            Failure { retry_after: Some(u64::MAX), ..Failure::new(Reason::RateLimited, "later: \"ä\"\n") },
            Failure::new(Reason::Other, "?"),
        ]
    }

    #[test]
    fn a_diff_arrives_field_for_field() {
        let numbers = json!([u64::MAX, i64::MIN, 0.1, 1e300, null, { "a.b/$": "ä\u{0}" }]);
        let fields = vec![
            FieldDifference { pointer: "/a~1b".to_owned(), live: Some(numbers), wanted: None },
            FieldDifference { pointer: String::new(), live: None, wanted: Some(json!(null)) },
        ];
        let [first, second, third] = failures();
        let kinds =
            [ChangeKind::Create, ChangeKind::Update, ChangeKind::Replace, ChangeKind::Delete, ChangeKind::Other];
        let difference = |change| Difference {
            change: Change { id: object_id(Some("ns")), change },
            fields: fields.clone(),
            checked: change == ChangeKind::Update,
            refusal: (change == ChangeKind::Create).then(|| first.clone()),
        };
        let compared = Comparison {
            differences: kinds.map(difference).into(),
            remarks: vec!["one".to_owned(), String::new()],
            failure: Some(second),
        };
        let name = |name: &str| name.parse::<ReferenceName>().unwrap();
        for next in [None, Some("c3".to_owned())] {
            let preview = Preview {
                generation: u64::MAX,
                clusters: vec![
                    (name("c1"), Ok(compared.clone())),
                    (name("c2"), Ok(Comparison::default())),
                    (name("c3"), Err(third.clone())),
                ],
                next,
            };
            assert_eq!(read_diffed(sent(diffed(preview.clone()))).unwrap(), preview);
        }
    }

    #[test]
    fn what_a_cluster_says_of_itself_arrives_field_for_field() {
        let lacks = vec!["get pods".to_owned(), "ä".to_owned()];
        let probe = Probe {
            identity: "uid".to_owned(),
            version: "v1.34.1+k3s1".to_owned(),
            capabilities: [("core".to_owned(), lacks), ("tokens".to_owned(), Vec::new())].into(),
        };
        for told in failures().map(Err).into_iter().chain([Ok(probe)]) {
            assert_eq!(read_probed(sent(probed(told.clone()))).unwrap(), told);
        }
    }

    #[test]
    fn what_became_of_cutting_off_arrives_field_for_field() {
        let grant = |namespace| Grant { id: object_id(namespace), detail: "gives \"ä\"".to_owned() };
        let [_, failure, _] = failures();
        let clusters: CutOffs = vec![
            ("c1".parse().unwrap(), Ok(vec![grant(None), grant(Some("ns"))])),
            ("c2".parse().unwrap(), Ok(Vec::new())),
            ("c3".parse().unwrap(), Err(failure)),
        ];
        assert_eq!(read_cut_offs(sent(cut_offs(clusters.clone()))).unwrap(), clusters);
    }

    #[test]
    fn what_is_asked_arrives_as_it_was_asked() {
        let id = CloudId { project: "p".parse().unwrap(), name: "lc-1".parse().unwrap() };
        let page = |limit, after: Option<&str>| Selection::Page(Page { limit, after: after.map(str::to_owned) });
        let one = Selection::One("c1".parse().unwrap());
        for which in [one, page(1, None), page(Selection::LARGEST_PAGE, Some("c1"))] {
            assert_eq!(read_diff(&sent(diff(&id, &which))).unwrap(), (id.clone(), which));
        }
        assert_eq!(read_diff(&diff(&id, &page(1_000, None))).unwrap().1, page(Selection::LARGEST_PAGE, None));
        let (provider, cluster) = ("default".parse().unwrap(), "c1".parse().unwrap());
        assert_eq!(read_probe(&sent(probe(&provider, &cluster))).unwrap(), (provider, cluster));
        assert_eq!(read_cut_off(&sent(cut_off(&id, 7))).unwrap(), (id, 7));
    }
}
