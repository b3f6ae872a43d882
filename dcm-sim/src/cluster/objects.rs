//! A direct look at a cluster's state.

use std::sync::Arc;

use serde_json::Value;

use crate::admission::quota;
use crate::kinds::KindId;
use crate::shared::Shared;

/// What a cluster stores, past its API. Resources are named `namespaces` or `roles.rbac.authorization.k8s.io`.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a>(&'a Arc<Shared>);

impl<'a> Objects<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>) -> Self {
        Self(shared)
    }

    /// One object; the namespace is empty for cluster-wide ones.
    #[must_use]
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = KindId::named(resource)?;
        self.0.read(|state| state.get(kind, namespace, name).map(|object| Value::clone(object)))
    }

    /// All objects of a resource, in one namespace or everywhere.
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Value> {
        let Some(kind) = KindId::named(resource) else {
            return Vec::new();
        };
        self.0.read(|state| state.range(kind, namespace, None).map(|(_, object)| Value::clone(object)).collect())
    }

    /// Takes an object away without asking its finalizers, as someone would who edits the store. Tells whether it was there.
    pub fn remove(&self, resource: &str, namespace: &str, name: &str) -> bool {
        let Some(kind) = KindId::named(resource) else {
            return false;
        };
        self.0.write(|state| {
            let gone = state.take(kind, namespace, name).is_some();
            quota::refresh(state, namespace);
            gone
        })
    }

    /// The revision of the last change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.read(crate::state::State::revision)
    }

    /// Forgets the changes so far: watches and pages that started before are answered 410.
    pub fn compact(&self) {
        self.0.write(crate::state::State::compact);
    }
}
