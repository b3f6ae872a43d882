//! What all records have in common: how they are read, listed, written under an expectation and deleted,
//! and how a child is kept from being visible without its parent.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::{CloudId, Dcm, Expected};
use crate::{
    error::Error,
    model::{LogicalCloud, Uid},
    store::{self, Entry, Key, Scan, StoreExt, Stored},
};

/// What a record is called in errors, and its name.
pub(super) type Label<'a> = (&'static str, &'a str);

impl Dcm {
    /// Reads a record that must be there.
    pub(super) async fn read<T: Stored>(&self, key: &Key, label: Label<'_>) -> Result<Entry<T>, Error> {
        let found = self.store().load(key).await?;
        found.ok_or_else(|| Error::not_found(label.0, label.1))
    }

    /// Creates a record that must not be there.
    pub(super) async fn create<T: Stored + Sync>(
        &self,
        key: Key,
        value: T,
        label: Label<'_>,
    ) -> Result<Entry<T>, Error> {
        match self.store().insert(&key, &value).await {
            Ok(revision) => Ok(Entry { key, revision, value }),
            Err(store::Error::Conflict { .. }) => Err(Error::exists(label.0, label.1)),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces what was read; fails where somebody else was faster.
    pub(super) async fn write<T: Stored + Sync>(
        &self,
        entry: Entry<T>,
        label: Label<'_>,
        expected: Expected<'_>,
    ) -> Result<Entry<T>, Error> {
        match self.store().replace(&entry.key, &entry.value, &entry.revision).await {
            Ok(revision) => Ok(Entry { revision, ..entry }),
            Err(store::Error::Conflict { .. }) => Err(Error::changed(label.0, label.1, expected.is_some())),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a record, over again while somebody else is faster, unless the caller expects one state.
    pub(super) async fn change<T: Stored + Send + Sync>(
        &self,
        key: &Key,
        label: Label<'_>,
        expected: Expected<'_>,
        mut change: impl FnMut(T) -> Result<T, Error> + Send,
    ) -> Result<Entry<T>, Error> {
        for _ in 0..super::orders::ATTEMPTS {
            let mut entry = self.read::<T>(key, label).await?;
            expect(&entry, expected, label)?;
            entry.value = change(entry.value)?;
            match self.write(entry, label, expected).await {
                Err(Error::Changed { expected: false, .. }) => {}
                other => return other,
            }
        }
        Err(Error::changed(label.0, label.1, false))
    }

    /// Deletes a record that must be there.
    pub(super) async fn erase<T: Stored + Send + Sync>(
        &self,
        key: &Key,
        label: Label<'_>,
        expected: Expected<'_>,
    ) -> Result<(), Error> {
        for _ in 0..super::orders::ATTEMPTS {
            let entry = self.read::<T>(key, label).await?;
            expect(&entry, expected, label)?;
            match self.store().delete(key, &entry.revision).await {
                Err(store::Error::Conflict { .. }) if expected.is_none() => {}
                Err(store::Error::Conflict { .. }) => {
                    return Err(Error::changed(label.0, label.1, true));
                }
                other => return Ok(other?),
            }
        }
        Err(Error::changed(label.0, label.1, false))
    }

    /// Creates a child of a logical cloud, at most so many.
    pub(super) async fn create_child<T: Stored + Sync>(
        &self,
        cloud: (&CloudId, &Uid),
        keys: (&Key, Key),
        value: T,
        label: Label<'_>,
        most: usize,
    ) -> Result<Entry<T>, Error> {
        let confirm = async || self.confirm_parent(cloud).await;
        self.create_among(keys, value, label, ("logical cloud", most), confirm).await
    }

    /// Creates a child of any parent that has at most so many. `confirm` says whether the parent is still there; where
    /// it is not, the child is taken back. It was never visible: children are keyed by their parent's uid.
    pub(super) async fn create_among<T, F>(
        &self,
        (prefix, key): (&Key, Key),
        value: T,
        label: Label<'_>,
        (parent, most): (&'static str, usize),
        confirm: impl FnOnce() -> F + Send,
    ) -> Result<Entry<T>, Error>
    where
        T: Stored + Sync,
        F: Future<Output = Result<(), Error>> + Send,
    {
        let few = self.looks.allows(prefix);
        let siblings = if few { 0 } else { self.count(prefix, most).await? };
        if siblings >= most && self.store().get(&key).await?.is_none() {
            return Err(too_many(parent, label, most));
        }
        let near = !few && siblings + SIDE_BY_SIDE >= most;
        if !few && !near {
            self.looks.allow(prefix, (most - siblings) / PROCESSES);
        }
        let entry = self.create(key, value, label).await?;
        if let Err(gone) = confirm().await {
            self.take_back(&entry).await?;
            return Err(gone);
        }
        // Others may have been created side by side.
        if near && self.count(prefix, most + 1).await? > most {
            self.take_back(&entry).await?;
            return Err(too_many(parent, label, most));
        }
        Ok(entry)
    }

    /// How many documents are below a prefix, as far as a limit. Kv-pairs may have a gigabyte together: stores can only read whole
    /// documents, so they are read, but no more than a page of them is held at once.
    async fn count(&self, prefix: &Key, limit: usize) -> Result<usize, Error> {
        let (mut count, mut rest) = (0, Some(Scan::below(prefix.clone(), limit).bytes(Scan::PAGE_BYTES)));
        while let Some(scan) = rest.filter(|_| count < limit) {
            let found = self.store().scan(Scan { limit: limit - count, ..scan.clone() }).await?;
            count += found.len();
            rest = scan.rest(&found);
        }
        Ok(count)
    }

    /// Confirms that a logical cloud is still the one that a child was made for, and takes children in.
    async fn confirm_parent(&self, (id, uid): (&CloudId, &Uid)) -> Result<(), Error> {
        let now = self.cloud(id).await?.value;
        if now.uid == *uid { refuse_deleting(&now) } else { Err(Error::not_found("logical cloud", &id.name)) }
    }

    /// Deletes what was just created, unless somebody has changed it since.
    pub(super) async fn take_back<T>(&self, entry: &Entry<T>) -> Result<(), Error> {
        match self.store().delete(&entry.key, &entry.revision).await {
            Ok(()) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// How many requests may be creating siblings at once for a limit to be kept exactly.
const SIDE_BY_SIDE: usize = 64;

/// Among how many processes the room that is left below a limit is shared out.
const PROCESSES: usize = 8;

/// How many collections are remembered.
const MOST_LOOKS: usize = 10_000;

/// How many children may still be created before they are counted again: a collection that is far from its
/// limit is not read through for every child.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<Key, usize>>);

impl Looks {
    fn allows(&self, collection: &Key) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = looks.get_mut(collection).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        true
    }

    fn allow(&self, collection: &Key, children: usize) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= MOST_LOOKS {
            looks.clear();
        }
        looks.insert(collection.clone(), children);
    }
}

fn too_many(parent: &str, label: Label<'_>, most: usize) -> Error {
    Error::Refused(format!("a {parent} has at most {most} of a {}", label.0))
}

/// Compares what was read with what the caller expects.
pub(super) fn expect<T>(entry: &Entry<T>, expected: Expected<'_>, label: Label<'_>) -> Result<(), Error> {
    match expected {
        Some(revision) if *revision != entry.revision => Err(Error::changed(label.0, label.1, true)),
        _ => Ok(()),
    }
}

/// A logical cloud that is on its way out takes nothing in.
pub(super) fn refuse_deleting(cloud: &LogicalCloud) -> Result<(), Error> {
    if cloud.lifecycle.phase == crate::lifecycle::Phase::Deleting {
        return Err(Error::Refused(format!("the logical cloud \"{}\" is being deleted", cloud.metadata.name)));
    }
    Ok(())
}
