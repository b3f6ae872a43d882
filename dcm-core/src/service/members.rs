//! Processes that carry out orders from one store, and how they know of each other.
//!
//! A process joins as a member: a document of its own, which it renews. Others look at all of them, and expel who was
//! silent for a whole lease: they delete the document at the state that they saw, so that a renewal either came before,
//! and keeps it, or fails. When that is, is for whoever has a clock; here are the steps.
//!
//! # Contract
//! - Who has joined may act for so long after it *sent* its last renewal that succeeded as its lease says, less a margin,
//!   and stops by itself then.
//! - Who expels a member has seen it in one state for its whole lease, counted from *after* the answer that showed the
//!   state first, by a clock that does not jump.
//!
//! Then a member whose document is gone does nothing any more. Nobody compares clocks.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{Claimant, Dcm};
use crate::{
    error::Error,
    keys,
    model::{Member, Uid},
    store::{self, Changes, Document, Entry, Key, Position, Revision, Scan, StoreExt},
};

/// How often a renewal that meets another state is tried.
const ATTEMPTS: usize = 4;

/// How many members, or orders, are read at once.
const PAGE: usize = 100;

/// How long a member may be silent whose document cannot be read: longer than anybody's lease is meant to be.
const UNREADABLE: Duration = Duration::from_secs(600);

impl Dcm {
    /// The only one who carries out orders, under a new id: for a store that belongs to one process.
    #[must_use]
    pub fn alone(&self) -> Claimant {
        Claimant::alone(self.new_uid())
    }

    /// Joins those who carry out orders, under a new id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn join(&self, lease: Duration) -> Result<Entry<Member>, Error> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let value = Member { id: self.new_uid(), started_at: self.now(), lease_ms, beat: 0 };
        let key = keys::member(&value.id)?;
        let revision = self.store().insert(&key, &value).await?;
        Ok(Entry { key, revision, value })
    }

    /// Tells the others that a member lives; `None` where it was expelled.
    ///
    /// # Errors
    /// [`Error::Store`]; whether the others know is not known then.
    pub async fn renew_member(&self, mut member: Entry<Member>) -> Result<Option<Entry<Member>>, Error> {
        for _ in 0..ATTEMPTS {
            member.value.beat += 1;
            match self.store().replace(&member.key, &member.value, &member.revision).await {
                Ok(revision) => return Ok(Some(Entry { revision, ..member })),
                // Nobody else writes it: it was expelled, or an earlier write went through whose outcome was not known.
                Err(store::Error::Conflict { .. }) => match self.store().load::<Member>(&member.key).await? {
                    Some(found) => member = found,
                    None => return Ok(None),
                },
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::changed("member", member.value.id.as_str(), false))
    }

    /// All members, as they are now. One whose document cannot be read, of a later release say, keeps nobody from the others: it is known by
    /// key and state, is the youngest, and may be silent for ten minutes.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn members(&self) -> Result<Vec<Entry<Member>>, Error> {
        let mut all = Vec::new();
        let mut rest = Some(Scan::below(keys::members()?, PAGE));
        while let Some(scan) = rest {
            let documents = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&documents);
            all.extend(documents.into_iter().map(as_far_as_it_can_be_read));
        }
        Ok(all)
    }

    /// Expels a member, if it is still in the state that was seen; false where it has spoken since, or is gone.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn expel(&self, member: &Entry<Member>) -> Result<bool, Error> {
        match self.store().delete(&member.key, &member.revision).await {
            Ok(()) => Ok(true),
            Err(store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a member away whose process has ended all that it did: others need not wait for its lease.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn leave(&self, member: &Uid) -> Result<(), Error> {
        Ok(self.store().remove(&keys::member(member)?).await?)
    }

    /// Whether a member is gone: it has left, or was expelled.
    pub(super) async fn is_gone(&self, member: &Uid) -> Result<bool, Error> {
        Ok(self.store().get(&keys::member(member)?).await?.is_none())
    }

    /// Whether [`Dcm::watch_orders`] costs the store more than [`Dcm::order_states`], asked now and then.
    #[must_use]
    pub fn watches_by_looking(&self) -> bool {
        self.store().watches_by_looking()
    }

    /// All waiting orders, and the state that each is in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn order_states(&self) -> Result<BTreeMap<Key, Revision>, Error> {
        let mut all = BTreeMap::new();
        let mut rest = Some(Scan::below(keys::orders()?, PAGE));
        while let Some(scan) = rest {
            let documents = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&documents);
            all.extend(documents.into_iter().map(|document| (document.key, document.revision)));
        }
        Ok(all)
    }

    /// Streams the changes of waiting orders, whoever gave them: those after a position, or those from now on.
    ///
    /// # Errors
    /// [`Error::Store`]; where the position is too old, all waiting orders are to be looked at.
    pub async fn watch_orders(&self, from: Option<Position>) -> Result<Changes, Error> {
        Ok(self.store().watch(Some(&keys::orders()?), from).await?)
    }
}

fn as_far_as_it_can_be_read(document: Document) -> Entry<Member> {
    let (key, revision) = (document.key.clone(), document.revision.clone());
    Entry::read(document).unwrap_or_else(|_| {
        let lease_ms = u64::try_from(UNREADABLE.as_millis()).unwrap_or(u64::MAX);
        let value = Member { id: Uid::from_key(key.last()), started_at: Timestamp::MAX, lease_ms, beat: 0 };
        Entry { key, revision, value }
    })
}
