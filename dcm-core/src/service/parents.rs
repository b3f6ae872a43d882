//! Records whose children are keyed by their uid, and which are deleted only when they have none.
//!
//! A delete takes three steps: it marks the parent, looks whether it has children, and deletes it at the
//! marked state. Whoever makes a child takes the mark off before and after. So either the look sees the child,
//! or the last step fails because the mark is gone; and a mark that a crash left behind is in nobody's way.

use super::{
    Dcm, Expected,
    children::{Label, expect},
};
use crate::{
    error::Error,
    model::{Cluster, ClusterProvider, Project, Uid},
    store::{self, Entry, Key, StoreExt, Stored},
};

/// A record that is deleted only when it has no children.
pub(super) trait Parent: Stored + Send + Sync {
    fn uid(&self) -> &Uid;
    fn is_marked(&self) -> bool;
    fn mark(&mut self, deleting: bool);
}

macro_rules! parents {
    ($($name:ty),*) => {$(
        impl Parent for $name {
            fn uid(&self) -> &Uid {
                &self.uid
            }

            fn is_marked(&self) -> bool {
                self.deleting
            }

            fn mark(&mut self, deleting: bool) {
                self.deleting = deleting;
            }
        }
    )*};
}

parents!(Project, ClusterProvider, Cluster);

impl Dcm {
    /// Deletes a parent, and tells the uid that it had. `held_by` says, for people, what children it has.
    pub(super) async fn erase_parent<T, F>(
        &self,
        key: &Key,
        label: Label<'_>,
        expected: Expected<'_>,
        held_by: impl Fn(Uid) -> F + Send,
    ) -> Result<Uid, Error>
    where
        T: Parent,
        F: Future<Output = Result<Option<String>, Error>> + Send,
    {
        let mut entry = self.read::<T>(key, label).await?;
        expect(&entry, expected, label)?;
        // Looked at once before, so that a delete that is refused leaves the record alone.
        if let Some(held) = held_by(entry.value.uid().clone()).await? {
            return Err(Error::Refused(held));
        }
        entry.value.mark(true);
        let marked = self.write(entry, label, expected).await?;
        if let Some(held) = held_by(marked.value.uid().clone()).await? {
            self.unmarked(marked).await?;
            return Err(Error::Refused(held));
        }
        match self.store().delete(key, &marked.revision).await {
            Err(store::Error::Conflict { .. }) => Err(Error::changed(label.0, label.1, expected.is_some())),
            other => Ok(other.map(|()| marked.value.uid().clone())?),
        }
    }

    /// Takes the mark of a delete off a parent that is about to get a child; `None` where somebody else
    /// changed it meanwhile.
    pub(super) async fn unmarked<T: Parent>(&self, mut found: Entry<T>) -> Result<Option<Entry<T>>, Error> {
        if !found.value.is_marked() {
            return Ok(Some(found));
        }
        found.value.mark(false);
        match self.store().replace(&found.key, &found.value, &found.revision).await {
            Ok(revision) => Ok(Some(Entry { revision, ..found })),
            Err(store::Error::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a parent that is about to get a child, and takes the mark of a delete off it.
    pub(super) async fn for_child<T: Parent>(&self, key: &Key, label: Label<'_>) -> Result<Entry<T>, Error> {
        loop {
            if let Some(parent) = self.unmarked(self.read::<T>(key, label).await?).await? {
                return Ok(parent);
            }
        }
    }

    /// Confirms that a parent is still the one that a child was made for, and takes a mark off it that came
    /// meanwhile.
    pub(super) async fn is_still<T: Parent>(&self, key: &Key, uid: &Uid) -> Result<bool, Error> {
        loop {
            match self.store().load::<T>(key).await? {
                Some(now) if now.value.uid() == uid => {
                    if self.unmarked(now).await?.is_some() {
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
        }
    }
}
