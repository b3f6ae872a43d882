//! What of ours is on a cluster, while it is being worked on.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dcm_core::sync::{InventoryItem, ObjectId};

/// The inventory, kept while several objects are worked on side by side.
///
/// An object is noted before it is made, so that one whose answer was never seen is not forgotten.
#[derive(Debug)]
pub(super) struct Ledger(Mutex<BTreeMap<ObjectId, InventoryItem>>);

impl Ledger {
    pub(super) fn new(inventory: &[InventoryItem]) -> Self {
        let items = inventory.iter().map(|item| (item.id.clone(), item.clone()));
        Self(Mutex::new(items.collect()))
    }

    fn items(&self) -> MutexGuard<'_, BTreeMap<ObjectId, InventoryItem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<InventoryItem> {
        self.items().get(id).cloned()
    }

    pub(super) fn uid(&self, id: &ObjectId) -> Option<String> {
        self.get(id).and_then(|item| item.uid)
    }

    /// Notes that an object is about to be made; whether that is news.
    pub(super) fn plan(&self, id: &ObjectId) -> bool {
        let mut items = self.items();
        let news = !items.contains_key(id);
        items.entry(id.clone()).or_insert_with(|| InventoryItem { id: id.clone(), uid: None, adopted: false });
        news
    }

    pub(super) fn there(&self, id: &ObjectId, uid: &str, adopted: bool) {
        let item = InventoryItem { id: id.clone(), uid: Some(uid.to_owned()), adopted };
        self.items().insert(id.clone(), item);
    }

    pub(super) fn gone(&self, id: &ObjectId) {
        self.items().remove(id);
    }

    /// Forgets all that is in a namespace that is gone.
    pub(super) fn gone_with(&self, namespace: &str) {
        self.items().retain(|id, _| id.namespace.as_deref() != Some(namespace));
    }

    pub(super) fn all(&self) -> Vec<InventoryItem> {
        self.items().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::object::namespace_id;

    #[test]
    fn a_plan_does_not_forget_a_uid() {
        let ledger = Ledger::new(&[]);
        let id = namespace_id("ns");
        assert!(ledger.plan(&id));
        assert_eq!(ledger.all()[0].uid, None);
        ledger.there(&id, "u", true);
        assert!(!ledger.plan(&id));
        assert_eq!(ledger.uid(&id).as_deref(), Some("u"));
        assert!(ledger.get(&id).unwrap().adopted);
        ledger.gone(&id);
        assert!(ledger.all().is_empty());
    }
}
