//! Messages and the port's types, both ways. What comes from outside is checked field by field.

use dcm_core::{
    ca::{Anchor, Bundle, Cloud, Error, Generation, Intermediate, IntermediateRequest, Revoked, Rotation},
    fault::Faults,
    model::Uid,
    name::ClusterIdentity,
};
use dcm_proto::ca_v1 as proto;
use jiff::Timestamp;

/// What a client may ask.
pub(super) fn read_issue(request: proto::IssueIntermediateRequest) -> Result<IntermediateRequest, Error> {
    let mut faults = Faults::new();
    let cloud = read_cloud(request.cloud.unwrap_or_default(), &mut faults);
    let cluster = faults.check("/cluster", request.cluster.parse());
    let generation = faults.check("/generation", read_generation(request.generation));
    match (cloud, cluster, generation) {
        (Some(cloud), Some(cluster), Some(generation)) if faults.is_empty() => {
            Ok(IntermediateRequest { cloud, cluster, generation, csr_pem: request.csr_pem })
        }
        _ => Err(Error::Invalid(faults)),
    }
}

fn read_cloud(cloud: proto::Cloud, faults: &mut Faults) -> Option<Cloud> {
    let uid = faults.check("/uid", Uid::parse(&cloud.uid));
    let project = faults.check("/project", cloud.project.parse());
    let name = faults.check("/logical-cloud", cloud.name.parse());
    let trust_domain = faults.check("/trust-domain", cloud.trust_domain.parse());
    Some(Cloud { uid: uid?, project: project?, name: name?, trust_domain: trust_domain? })
}

pub(super) fn read_uid(text: &str) -> Result<Uid, Error> {
    Uid::parse(text).map_err(|reason| Error::invalid("/uid", reason.to_string()))
}

fn read_generation(number: u32) -> Result<Generation, &'static str> {
    Generation::new(number).ok_or("must be 1 or more")
}

pub(super) fn read_rotate(request: &proto::RotateRequest) -> Result<(Uid, Rotation), Error> {
    let mut faults = Faults::new();
    let uid = faults.check("/uid", Uid::parse(&request.cloud_uid));
    let generation = faults.check("/generation", read_generation(request.generation));
    let step = match request.step() {
        proto::RotationStep::Introduce => Some(Rotation::Introduce as fn(Generation) -> Rotation),
        proto::RotationStep::Switch => Some(Rotation::Switch as _),
        proto::RotationStep::Retire => Some(Rotation::Retire as _),
        proto::RotationStep::Unspecified => {
            faults.add("/step", "must be one of introduce, switch and retire");
            None
        }
    };
    match (uid, generation, step) {
        (Some(uid), Some(generation), Some(step)) => Ok((uid, step(generation))),
        _ => Err(Error::Invalid(faults)),
    }
}

pub(super) fn read_revoke(request: &proto::RevokeRequest) -> Result<(Uid, ClusterIdentity, Generation), Error> {
    let mut faults = Faults::new();
    let uid = faults.check("/uid", Uid::parse(&request.cloud_uid));
    let cluster = faults.check("/cluster", request.cluster.parse());
    let generation = faults.check("/generation", read_generation(request.generation));
    match (uid, cluster, generation) {
        (Some(uid), Some(cluster), Some(generation)) => Ok((uid, cluster, generation)),
        _ => Err(Error::Invalid(faults)),
    }
}

pub(super) fn issue(request: &IntermediateRequest) -> proto::IssueIntermediateRequest {
    let IntermediateRequest { cloud, cluster, generation, csr_pem } = request;
    proto::IssueIntermediateRequest {
        cloud: Some(proto::Cloud {
            uid: cloud.uid.to_string(),
            project: cloud.project.to_string(),
            name: cloud.name.to_string(),
            trust_domain: cloud.trust_domain.to_string(),
        }),
        cluster: cluster.to_string(),
        generation: generation.get(),
        csr_pem: csr_pem.clone(),
    }
}

pub(super) fn rotate(cloud: &Uid, rotation: Rotation) -> proto::RotateRequest {
    let step = match rotation {
        Rotation::Introduce(_) => proto::RotationStep::Introduce,
        Rotation::Switch(_) => proto::RotationStep::Switch,
        Rotation::Retire(_) => proto::RotationStep::Retire,
    };
    proto::RotateRequest { cloud_uid: cloud.to_string(), step: step.into(), generation: rotation.generation().get() }
}

pub(super) fn revoke(cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> proto::RevokeRequest {
    proto::RevokeRequest { cloud_uid: cloud.to_string(), cluster: cluster.to_string(), generation: generation.get() }
}

pub(super) fn issued(issued: Intermediate) -> proto::IssueIntermediateResponse {
    proto::IssueIntermediateResponse {
        generation: issued.generation.get(),
        root_generation: issued.root_generation.get(),
        certificate_pem: issued.certificate_pem,
        chain_pem: issued.chain_pem,
        serial: issued.serial,
        not_before: Some(time(issued.not_before)),
        not_after: Some(time(issued.not_after)),
        bundle: Some(bundle(issued.bundle)),
    }
}

pub(super) fn bundle(bundle: Bundle) -> proto::Bundle {
    let anchor = |anchor: Anchor| proto::Anchor {
        generation: anchor.generation.get(),
        certificate_pem: anchor.certificate_pem,
        not_before: Some(time(anchor.not_before)),
        not_after: Some(time(anchor.not_after)),
    };
    proto::Bundle {
        cloud_uid: bundle.cloud.to_string(),
        issuing_generation: bundle.issuing.get(),
        anchors: bundle.anchors.into_iter().map(anchor).collect(),
    }
}

pub(super) fn revoked(revoked: Revoked) -> proto::RevokeResponse {
    proto::RevokeResponse {
        generation: revoked.generation.get(),
        serial: revoked.serial,
        revoked_at: Some(time(revoked.revoked_at)),
        trusted_until: Some(time(revoked.trusted_until)),
    }
}

/// An answer of a CA that is no such answer.
#[derive(Debug, thiserror::Error)]
#[error("the CA's answer cannot be understood: {0} is missing or wrong")]
pub(super) struct OddAnswer(&'static str);

impl From<OddAnswer> for Error {
    fn from(odd: OddAnswer) -> Self {
        Self::Internal(Box::new(odd))
    }
}

pub(super) fn read_issued(answer: proto::IssueIntermediateResponse) -> Result<Intermediate, OddAnswer> {
    Ok(Intermediate {
        generation: Generation::new(answer.generation).ok_or(OddAnswer("generation"))?,
        root_generation: Generation::new(answer.root_generation).ok_or(OddAnswer("root_generation"))?,
        certificate_pem: answer.certificate_pem,
        chain_pem: answer.chain_pem,
        serial: answer.serial,
        not_before: read_time(answer.not_before).ok_or(OddAnswer("not_before"))?,
        not_after: read_time(answer.not_after).ok_or(OddAnswer("not_after"))?,
        bundle: read_bundle(answer.bundle)?,
    })
}

pub(super) fn read_bundle(bundle: Option<proto::Bundle>) -> Result<Bundle, OddAnswer> {
    let bundle = bundle.ok_or(OddAnswer("bundle"))?;
    let anchor = |anchor: proto::Anchor| {
        Ok(Anchor {
            generation: Generation::new(anchor.generation).ok_or(OddAnswer("bundle.anchors.generation"))?,
            certificate_pem: anchor.certificate_pem,
            not_before: read_time(anchor.not_before).ok_or(OddAnswer("bundle.anchors.not_before"))?,
            not_after: read_time(anchor.not_after).ok_or(OddAnswer("bundle.anchors.not_after"))?,
        })
    };
    Ok(Bundle {
        cloud: Uid::parse(&bundle.cloud_uid).map_err(|_| OddAnswer("bundle.cloud_uid"))?,
        issuing: Generation::new(bundle.issuing_generation).ok_or(OddAnswer("bundle.issuing_generation"))?,
        anchors: bundle.anchors.into_iter().map(anchor).collect::<Result<_, _>>()?,
    })
}

pub(super) fn read_revoked(answer: proto::RevokeResponse) -> Result<Revoked, OddAnswer> {
    Ok(Revoked {
        generation: Generation::new(answer.generation).ok_or(OddAnswer("generation"))?,
        serial: answer.serial,
        revoked_at: read_time(answer.revoked_at).ok_or(OddAnswer("revoked_at"))?,
        trusted_until: read_time(answer.trusted_until).ok_or(OddAnswer("trusted_until"))?,
    })
}

fn time(time: Timestamp) -> prost_types::Timestamp {
    // A time's own parts have one sign; of a message's, the second one is never negative.
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

fn read_time(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time.filter(|time| (0..1_000_000_000).contains(&time.nanos))?;
    Timestamp::new(time.seconds, time.nanos).ok()
}
