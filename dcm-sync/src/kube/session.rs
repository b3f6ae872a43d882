//! What all steps of one call have at hand.

use std::{collections::BTreeMap, time::Duration};

use dcm_core::{
    name::Namespace,
    sync::{Failure, InventoryItem, ObjectId, Outlook, Owner, Part, PartState, Reason, Report},
};
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use tokio::time::{Instant, sleep};

use super::{
    KubeOptions,
    api::Api,
    changes::Changes,
    failure::CallError,
    ledger::Ledger,
    object::{self, Kind},
};

/// One call's work on one cluster.
pub(super) struct Session<'a> {
    pub(super) api: &'a Api,
    pub(super) options: &'a KubeOptions,
    pub(super) owner: &'a Owner,
    /// The cloud's own namespace.
    pub(super) own: Option<&'a str>,
    /// Under which name what is ours is noted on objects.
    pub(super) manager: String,
    pub(super) ledger: Ledger,
    pub(super) changes: Changes,
    pub(super) parts: BTreeMap<Part, PartState>,
    pub(super) remarks: Vec<String>,
    /// Whether ServiceAccounts are looked for: a cloud without them does not pay for a list of them. One
    /// whose making was never seen to succeed is in the inventory.
    pub(super) accounts: bool,
}

/// Why work on a cluster ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The cloud's own namespace went away under our hands: start again, once.
    NamespaceGone(Failure),
    /// This call comes no further.
    Failed(Failure),
}

impl Stop {
    pub(super) const fn failure(&self) -> &Failure {
        match self {
            Self::NamespaceGone(failure) | Self::Failed(failure) => failure,
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::NamespaceGone(failure) | Self::Failed(failure) => failure,
        }
    }

    /// The state of the part that it happened to.
    pub(super) fn state(&self) -> PartState {
        state_of(self.failure())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Failed(error.into())
    }
}

/// How a part is that has met this failure.
pub(super) fn state_of(failure: &Failure) -> PartState {
    match failure.reason.outlook() {
        Outlook::Refused => PartState::Failed(failure.detail.clone()),
        Outlook::Away | Outlook::Waiting => PartState::NotAvailable(failure.detail.clone()),
    }
}

/// Whether others may be had although something failed with one object.
pub(super) fn is_of_one_object(failure: &Failure) -> bool {
    let of_all = [Reason::Unauthorized, Reason::NamespaceTerminating].contains(&failure.reason);
    failure.reason.outlook() != Outlook::Away && !of_all
}

impl<'a> Session<'a> {
    pub(super) fn new(
        api: &'a Api,
        options: &'a KubeOptions,
        owner: &'a Owner,
        own: Option<&'a Namespace>,
        inventory: &[InventoryItem],
    ) -> Self {
        Self {
            api,
            options,
            owner,
            own: own.map(Namespace::as_str),
            manager: object::manager(owner),
            ledger: Ledger::new(inventory),
            changes: Changes::default(),
            parts: BTreeMap::new(),
            remarks: Vec::new(),
            accounts: inventory.iter().any(|item| object::is_account(&item.id)),
        }
    }

    /// Whether an object lies in the cloud's own namespace.
    pub(super) fn is_own(&self, id: &ObjectId) -> bool {
        self.own.is_some() && id.namespace.as_deref() == self.own
    }

    /// The kinds that are listed in the cloud's own namespace.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        object::KINDS.into_iter().chain(self.accounts.then_some(object::ACCOUNT))
    }

    /// Does works side by side, within the bound, and answers what failed, in order.
    pub(super) async fn side_by_side<E>(&self, works: Vec<BoxFuture<'_, Result<(), E>>>) -> Vec<E> {
        let results: Vec<_> = stream::iter(works).buffered(self.options.concurrency.max(1)).collect().await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Notes how a part is; of several objects the worst counts.
    pub(super) fn note(&mut self, part: Part, state: PartState) {
        let noted = self.parts.entry(part).or_insert_with(|| state.clone());
        if state > *noted {
            *noted = state;
        }
    }

    pub(super) fn report(self, failure: Option<Failure>) -> Report {
        Report {
            parts: self.parts,
            inventory: self.ledger.all(),
            changes: self.changes.all(),
            remarks: self.remarks,
            failure,
        }
    }
}

/// Waits between looks at something: soon at first, then less often.
#[derive(Debug)]
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    const LONGEST: Duration = Duration::from_secs(1);

    pub(super) fn new(bound: Duration) -> Self {
        Self { end: Instant::now() + bound, pause: Duration::from_millis(10) }
    }

    /// Waits a while; false where the bound is reached.
    pub(super) async fn wait(&mut self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(self.pause.min(left)).await;
        self.pause = (self.pause * 2).min(Self::LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_at_its_bound() {
        let start = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(10));
        let mut looks = 0;
        while patience.wait().await {
            looks += 1;
        }
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert!((10..=24).contains(&looks), "{looks}");
    }
}
