use futures_util::StreamExt as _;

use crate::{
    error::Error,
    keys,
    model::{Cluster, ClusterProvider, LogicalCloud, Project, Uid},
    store::{Changes, Document, Entry, InvalidKey, Key, Position, Store},
};

/// What watched records belong to: they go with it.
#[derive(Debug)]
pub(in crate::service) struct Parent {
    key: Key,
    /// What holds it and its siblings: a store watches what lies below a key.
    siblings: Key,
    uid: Uid,
    uid_of: fn(&Document) -> Result<Uid, crate::store::Error>,
}

impl Parent {
    pub(in crate::service) fn project(entry: &Entry<Project>) -> Result<Self, Error> {
        let uid_of = |document: &Document| Ok(document.body.read::<Project>(&document.key)?.uid);
        Ok(Self { key: entry.key.clone(), siblings: keys::projects()?, uid: entry.value.uid.clone(), uid_of })
    }

    pub(in crate::service) fn provider(entry: &Entry<ClusterProvider>) -> Result<Self, Error> {
        let uid_of = |document: &Document| Ok(document.body.read::<ClusterProvider>(&document.key)?.uid);
        Ok(Self { key: entry.key.clone(), siblings: keys::providers()?, uid: entry.value.uid.clone(), uid_of })
    }

    pub(in crate::service) fn cluster(entry: &Entry<Cluster>) -> Result<Self, Error> {
        let uid_of = |document: &Document| Ok(document.body.read::<Cluster>(&document.key)?.uid);
        // Of its own key, which says under which provider it lies: one that is made anew under that one's name is another.
        let siblings = entry.key.prefixes().last().ok_or(InvalidKey)?;
        Ok(Self { key: entry.key.clone(), siblings, uid: entry.value.uid.clone(), uid_of })
    }

    pub(in crate::service) fn cloud(entry: &Entry<LogicalCloud>) -> Result<Self, Error> {
        let uid_of = |document: &Document| Ok(document.body.read::<LogicalCloud>(&document.key)?.uid);
        let siblings = keys::logical_clouds(&entry.value.project_uid)?;
        Ok(Self { key: entry.key.clone(), siblings, uid: entry.value.uid.clone(), uid_of })
    }

    /// Whether it is there no more, or only another one of its name.
    pub(super) async fn is_gone(&self, store: &dyn Store) -> Result<bool, Error> {
        match store.get(&self.key).await? {
            Some(document) => Ok((self.uid_of)(&document)? != self.uid),
            None => Ok(true),
        }
    }

    /// One item, for nobody's use, whenever it changes.
    pub(super) async fn touches(&self, store: &dyn Store, from: &Position) -> Result<Changes, Error> {
        let changes = store.watch(Some(&self.siblings), Some(from.clone())).await?;
        let key = self.key.clone();
        let is_it = move |item: &Result<crate::store::Event, crate::store::Error>| {
            let touched = item.as_ref().map_or(true, |event| *event.change.key() == key);
            std::future::ready(touched)
        };
        Ok(changes.filter(is_it).boxed())
    }
}
