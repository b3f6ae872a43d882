use dcm_core::{
    name::ReferenceName,
    service::Revocation,
    sync::{Failure, Grant},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;

use super::{AcceptedAnswer, preview::ObjectName};

/// A user who was cut off.
#[derive(Serialize, ToSchema)]
#[schema(as = Revoked)]
pub(crate) struct RevokedAnswer<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    cloud: AcceptedAnswer<'a>,
    /// An object for each cluster reference, whose only key is its name.
    #[schema(value_type = Vec<BTreeMap<String, Access>>)]
    clusters: Vec<Cluster<'a>>,
}

/// One cluster: an object whose only key is the name of its reference.
struct Cluster<'a>(&'a ReferenceName, &'a Result<Vec<Grant>, Failure>);

#[derive(Serialize, ToSchema)]
#[schema(as = RevokedAccess)]
#[serde(rename_all = "kebab-case")]
struct Access<'a> {
    /// What became of his access: `Revoked`, or `Not Revoked Yet`.
    access: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// What was made by others, or by him, and may still give him access.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    still_grants_access: Vec<StillGrants<'a>>,
}

#[derive(Serialize, ToSchema)]
struct StillGrants<'a> {
    #[serde(flatten)]
    #[schema(inline)]
    object: ObjectName<'a>,
    detail: &'a str,
}

impl<'a> RevokedAnswer<'a> {
    pub(crate) fn new(revocation: &'a Revocation) -> Self {
        Self {
            cloud: AcceptedAnswer::new(&revocation.cloud),
            clusters: revocation.clusters.iter().map(|(name, cut)| Cluster(name, cut)).collect(),
        }
    }
}

impl<'a> Access<'a> {
    fn new(cut: &'a Result<Vec<Grant>, Failure>) -> Self {
        match cut {
            Ok(grants) => Self {
                access: "Revoked",
                reason: None,
                detail: None,
                still_grants_access: grants
                    .iter()
                    .map(|grant| StillGrants { object: ObjectName::new(&grant.id), detail: &grant.detail })
                    .collect(),
            },
            Err(failure) => Self {
                access: "Not Revoked Yet",
                reason: Some(failure.reason.as_str()),
                detail: Some(&failure.detail),
                still_grants_access: Vec::new(),
            },
        }
    }
}

impl Serialize for Cluster<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(self.0.as_str(), &Access::new(self.1))?;
        map.end()
    }
}
