//! Carrying out orders in one call, for a program that needs no scheduler of its own.

use std::{num::NonZeroUsize, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use super::{Attempt, CloudWork, Conclusion, Dcm, Work};
use crate::{error::Error, store::Key};

/// How many waiting orders are read at once.
const PAGE: usize = 500;

/// What came of the attempts at one opened order.
enum Round {
    /// Every cluster is as it should be.
    Reached,
    /// Some are not; not before that time.
    Later(Timestamp),
    /// Another order came: open it.
    Superseded,
}

impl Dcm {
    /// Carries out all orders that wait, as far as that can be done now: what a program calls that embeds DCM and has no
    /// scheduler. Answers when to call it again, at the latest; `None` where nothing waits any more.
    ///
    /// At most `side_by_side` logical clouds are worked on at once, and as many clusters of each. Between two calls
    /// nothing happens: call it when [`Wake`](super::super::Wake) rings, and at the time that it answers
    /// ([`Dcm::time_until`]). A cluster that does not answer costs the call as much time as the synchronizer gives
    /// it; where that must not hold up others, give each order a task of your own with [`Dcm::carry_out`].
    ///
    /// Only one caller may carry out an order at a time, and in one process only: nobody else's claim stands here. Where several
    /// processes share a store, each makes its attempts as a member ([`Dcm::join`], [`Claimant::member`](crate::service::Claimant::member)).
    ///
    /// # Errors
    /// As [`Dcm::carry_out`], for the first order that has one. Orders that were not come to wait further.
    pub async fn carry_out_waiting(&self, side_by_side: NonZeroUsize) -> Result<Option<Timestamp>, Error> {
        let (mut after, mut again) = (None, None);
        loop {
            let page = self.waiting_orders(after, PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().cloned();
            let orders = stream::iter(page).map(|order| async move { self.carry_out(&order, side_by_side).await });
            let ended: Vec<Option<Timestamp>> = orders.buffer_unordered(side_by_side.get()).try_collect().await?;
            again = ended.into_iter().flatten().chain(again).min();
            if !full {
                return Ok(again);
            }
        }
    }

    /// Carries out one order, as far as that can be done now: attempts every cluster that is due, at most
    /// `side_by_side` at once, follows orders that take its place meanwhile, and concludes. Answers when to call it
    /// again; `None` where the order is carried out and gone.
    ///
    /// Where a user is cut off meanwhile, attempts in flight go on to their end before he is: drop the call and call it
    /// again, if that is too late.
    ///
    /// It has no runtime and no timer: it waits for clusters and the store only. It can be dropped at any await and
    /// called again, and only one caller may carry out an order at a time.
    ///
    /// # Errors
    /// [`Error::Store`] and the like, where something could not be read or recorded; call it again after a
    /// pause. What a cluster does is no error: it is in the status.
    pub async fn carry_out(&self, order: &Key, side_by_side: NonZeroUsize) -> Result<Option<Timestamp>, Error> {
        while let Work::Cloud(work) = self.open_order(order).await? {
            match self.attempt_all(&work, side_by_side).await? {
                Round::Later(at) => return Ok(Some(at)),
                Round::Superseded => {}
                Round::Reached => match self.conclude(&work, &self.alone).await? {
                    Conclusion::Done => return Ok(None),
                    Conclusion::Later(at) => return Ok(Some(at)),
                    // Nobody keeps out who is alone.
                    Conclusion::Superseded | Conclusion::Held => {}
                },
            }
        }
        Ok(None)
    }

    /// Attempts each cluster of an opened order that is due once.
    async fn attempt_all(&self, work: &CloudWork, side_by_side: NonZeroUsize) -> Result<Round, Error> {
        let attempts = stream::iter(self.tasks(work).await?).map(async |task| match task.due {
            Some(at) if self.is_paused_until(at) => Ok(Attempt::Retry { at, away: task.away }),
            _ => self.attempt(work, &task, &self.alone).await,
        });
        let ended: Vec<Attempt> = attempts.buffer_unordered(side_by_side.get()).try_collect().await?;
        let mut round = Round::Reached;
        for attempt in ended {
            round = match (round, attempt) {
                (Round::Superseded, _) | (_, Attempt::Superseded) => Round::Superseded,
                (Round::Later(one), Attempt::Retry { at, .. }) => Round::Later(one.min(at)),
                (_, Attempt::Retry { at, .. }) => Round::Later(at),
                (round, Attempt::Done | Attempt::Already | Attempt::Held) => round,
            };
        }
        Ok(round)
    }

    /// Whether an attempt is to wait until then. No pause is longer than the longest: what is further off was planned by a
    /// clock that has jumped since, and holds nothing up.
    pub(super) fn is_paused_until(&self, at: Timestamp) -> bool {
        let off = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        !off.is_zero() && off <= self.settings().longest_retry
    }
}
