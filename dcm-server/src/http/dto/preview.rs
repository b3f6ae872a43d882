use std::{collections::BTreeMap, sync::Arc};

use dcm_core::{
    name::ReferenceName,
    service::{CloudId, Preview},
    sync::{ChangeKind, Comparison, Difference, Failure, FieldDifference, Object, ObjectId},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use utoipa::ToSchema;

/// Objects as the list that `kubectl` reads and writes.
pub(crate) struct Manifests<'a>(pub(crate) &'a [Object]);

impl Serialize for Manifests<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let items: Vec<&Value> = self.0.iter().map(|object| &object.manifest).collect();
        let mut map = to.serialize_map(Some(3))?;
        map.serialize_entry("apiVersion", "v1")?;
        map.serialize_entry("kind", "List")?;
        map.serialize_entry("items", &items)?;
        map.end()
    }
}

/// Objects as the list that `kubectl` reads and writes.
#[derive(ToSchema)]
#[schema(as = ManifestList)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) struct ManifestsSchema {
    api_version: String,
    kind: String,
    items: Vec<Value>,
}

/// What an apply would send: to several clusters, or to the one that was asked for.
#[derive(ToSchema)]
#[schema(as = Manifests)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) enum ManifestsAnswerSchema {
    One(ManifestsSchema),
    Several(ManifestsOfClusters),
}

#[derive(ToSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) struct ManifestsOfClusters {
    logical_cloud_name: String,
    generation: u64,
    /// An object for each cluster reference, whose only key is its name.
    clusters: Vec<BTreeMap<String, ManifestsSchema>>,
}

/// What an apply would change.
#[derive(ToSchema)]
#[schema(as = Diff)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what is written")]
pub(crate) struct DiffSchema {
    logical_cloud_name: String,
    generation: u64,
    /// An object for each cluster reference, whose only key is its name.
    #[schema(value_type = Vec<BTreeMap<String, ClusterDiff>>)]
    clusters: (),
}

/// A preview of several clusters: each an object whose only key is the name of its reference.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Clusters<'a, T: Serialize> {
    logical_cloud_name: &'a str,
    generation: u64,
    clusters: Vec<One<'a, T>>,
}

struct One<'a, T>(&'a ReferenceName, T);

impl<T: Serialize> Serialize for One<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        map.serialize_entry(self.0.as_str(), &self.1)?;
        map.end()
    }
}

/// What an apply would send.
#[derive(Serialize)]
pub(crate) struct ManifestsAnswer<'a>(Clusters<'a, Manifests<'a>>);

impl<'a> ManifestsAnswer<'a> {
    pub(crate) fn new(id: &'a CloudId, preview: &'a Preview<Arc<[Object]>>) -> Self {
        let clusters = preview.clusters.iter().map(|(name, objects)| One(name, Manifests(objects))).collect();
        Self(Clusters { logical_cloud_name: id.name.as_str(), generation: preview.generation, clusters })
    }
}

/// What an apply would change.
#[derive(Serialize)]
pub(crate) struct DiffAnswer<'a>(Clusters<'a, ClusterDiff<'a>>);

impl<'a> DiffAnswer<'a> {
    pub(crate) fn new(id: &'a CloudId, preview: &'a Preview<Result<Comparison, Failure>>) -> Self {
        let clusters = preview.clusters.iter().map(|(name, compared)| One(name, ClusterDiff::new(compared))).collect();
        Self(Clusters { logical_cloud_name: id.name.as_str(), generation: preview.generation, clusters })
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct ClusterDiff<'a> {
    changes: Vec<ObjectDiff<'a>>,
    #[schema(required = false)]
    #[serde(skip_serializing_if = "no_remarks")]
    remarks: &'a [String],
    #[serde(flatten)]
    #[schema(inline)]
    failure: Why<'a>,
}

fn no_remarks(remarks: &&[String]) -> bool {
    remarks.is_empty()
}

/// Why something is not so, where it is not.
#[derive(Serialize, ToSchema)]
struct Why<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl<'a> Why<'a> {
    fn new(failure: Option<&'a Failure>) -> Self {
        Self {
            reason: failure.map(|failure| failure.reason.as_str()),
            detail: failure.map(|failure| failure.detail.as_str()),
        }
    }
}

impl<'a> ClusterDiff<'a> {
    fn new(compared: &'a Result<Comparison, Failure>) -> Self {
        match compared {
            Ok(comparison) => Self {
                changes: comparison.differences.iter().map(ObjectDiff::new).collect(),
                remarks: &comparison.remarks,
                failure: Why::new(comparison.failure.as_ref()),
            },
            Err(failure) => Self { changes: Vec::new(), remarks: &[], failure: Why::new(Some(failure)) },
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct ObjectDiff<'a> {
    #[schema(value_type = ChangeWord)]
    change: &'static str,
    #[serde(flatten)]
    #[schema(inline)]
    object: ObjectName<'a>,
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    #[serde(flatten)]
    #[schema(inline)]
    refusal: Why<'a>,
}

impl<'a> ObjectDiff<'a> {
    fn new(difference: &'a Difference) -> Self {
        Self {
            change: change_word(difference.change.change),
            object: ObjectName::new(&difference.change.id),
            fields: difference.fields.iter().map(Field::new).collect(),
            note: (!difference.checked).then_some("not checked by the cluster"),
            refusal: Why::new(difference.refusal.as_ref()),
        }
    }
}

/// What brings an object to what it should be.
#[derive(ToSchema)]
#[schema(as = ChangeKind)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes a word")]
pub(super) enum ChangeWord {
    Create,
    Update,
    Replace,
    Delete,
    Other,
}

/// The word for a change.
pub(super) const fn change_word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Create => "create",
        ChangeKind::Update => "update",
        ChangeKind::Replace => "replace",
        ChangeKind::Delete => "delete",
        ChangeKind::Other => "other",
    }
}

/// What an object is and where it lies, as Kubernetes spells it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectName<'a> {
    api_version: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
}

impl<'a> ObjectName<'a> {
    pub(super) fn new(id: &'a ObjectId) -> Self {
        Self { api_version: &id.api_version, kind: &id.kind, namespace: id.namespace.as_deref(), name: &id.name }
    }
}

/// One field; `live` or `wanted` is left out where there is nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldDiff)]
struct Field<'a> {
    pointer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<&'a Value>,
}

impl<'a> Field<'a> {
    fn new(field: &'a FieldDifference) -> Self {
        Self { pointer: &field.pointer, live: field.live.as_ref(), wanted: field.wanted.as_ref() }
    }
}
