//! This process among those that share a store: when it may act, and who else is at work.
//!
//! The steps and the reasons are `dcm-core`'s (`service/members`); here is the time. A member renews every third of its
//! lease, and may act until four fifths of a lease after it sent the last renewal that succeeded. All that acts is
//! wrapped in [`Tenure::guard`], which looks at the clock before each step: a process that was paused for longer does nothing any
//! more when it wakes. Then it joins anew.

mod others;
#[cfg(test)]
mod tests;

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use dcm_core::{
    model::{Member, Uid},
    service::{Claimant, Dcm},
    store::Entry,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{News, metrics::WorkerMetrics};
use crate::{readiness::Readiness, telemetry::chain};
pub(crate) use others::Others;

/// How the membership is called where it is waited for.
const PART: &str = "lease";

/// How long what was sent is waited for at most before leave is taken.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How long to wait before joining is tried again.
const JOIN_PAUSE: Duration = Duration::from_secs(1);

/// How long a membership is waited for before it is looked whether there is one.
const LOOK_ANEW: Duration = Duration::from_millis(500);

/// How long nobody is looked at where there are no others.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How long taking leave may take: the others wait no longer than the lease.
const LEAVE: Duration = Duration::from_secs(2);

/// How long a member may act after it sent its last renewal: less than its lease, since clocks do not run alike, and what is
/// sent in time arrives later.
fn usable(lease: Duration) -> Duration {
    lease * 4 / 5
}

/// How often a member renews, and looks at the others.
fn period(lease: Duration) -> Duration {
    lease / 3
}

/// What a process may act on: its membership, from joining until it is lost.
#[derive(Clone, Debug)]
pub(super) struct Tenure {
    claimant: Claimant,
    /// Nobody acts after this, counted in nanoseconds from `joined`.
    until: Arc<AtomicU64>,
    joined: Instant,
    over: CancellationToken,
    rank: Arc<Mutex<Option<Rank>>>,
}

/// Where a member stands among all, the eldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Tenure {
    fn new(claimant: Claimant, joined: Instant, lease: Option<Duration>) -> Self {
        let until = lease.map_or(u64::MAX, |lease| nanoseconds(usable(lease)));
        let rank = lease.is_none().then_some(Rank { index: 0, of: 1 });
        Self {
            claimant,
            until: Arc::new(until.into()),
            joined,
            over: CancellationToken::new(),
            rank: Arc::new(Mutex::new(rank)),
        }
    }

    pub(super) const fn claimant(&self) -> &Claimant {
        &self.claimant
    }

    /// Where it stands among all members, as far as is known.
    pub(super) fn rank(&self) -> Option<Rank> {
        *self.rank.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        self.until.store(nanoseconds(until - self.joined), Ordering::SeqCst);
    }

    /// What is left of it.
    fn left(&self) -> Duration {
        let until = Duration::from_nanos(self.until.load(Ordering::SeqCst));
        until.saturating_sub(self.joined.elapsed())
    }

    fn is_valid(&self) -> bool {
        !self.over.is_cancelled() && !self.left().is_zero()
    }

    /// Lets something go on for as long as this process may act; `None` where that ended first. It is dropped then.
    pub(super) async fn guard<F: Future>(&self, work: F) -> Option<F::Output> {
        let (mut work, mut over) = (pin!(work), pin!(self.over.cancelled()));
        poll_fn(|context| {
            // First, and each time: this may be the first step after a long sleep.
            if !self.is_valid() || over.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The present membership, for all who act on it.
#[derive(Clone, Debug)]
pub(super) struct Seat(watch::Receiver<Option<Tenure>>);

impl Seat {
    /// The present membership, as soon as there is one.
    pub(super) async fn tenure(&self) -> Tenure {
        let mut seat = self.0.clone();
        loop {
            // One that had run out may have been renewed after all, which nobody is told of.
            let taken = seat.wait_for(|tenure| tenure.as_ref().is_some_and(Tenure::is_valid));
            match tokio::time::timeout(LOOK_ANEW, taken).await.map(|taken| taken.map(|tenure| tenure.clone())) {
                Ok(Ok(Some(tenure))) => return tenure,
                Ok(Ok(None)) | Err(_) => {}
                // The worker stops.
                Ok(Err(_)) => std::future::pending().await,
            }
        }
    }

    pub(super) fn present(&self) -> Option<Tenure> {
        self.0.borrow().clone().filter(Tenure::is_valid)
    }

    /// Where this process stands among all that are at work, as far as is known.
    pub(super) fn rank(&self) -> Option<Rank> {
        self.present()?.rank()
    }

    /// Whether what one process does for all is this one's to do. For a moment two may think so, or none: whatever hangs
    /// on it must stand both.
    pub(super) fn is_eldest(&self) -> bool {
        self.rank().is_some_and(|rank| rank.index == 0)
    }
}

#[cfg(test)]
impl Seat {
    /// The seat of a member that is there for ever and stands there among all, with what moves it.
    pub(super) fn at(index: usize) -> (Self, Arc<Mutex<Option<Rank>>>) {
        let tenure = Tenure::new(Claimant::member(Uid::from_random([1; 16])), Instant::now(), None);
        let rank = Arc::clone(&tenure.rank);
        *rank.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rank { index, of: index + 1 });
        (Self(watch::channel(Some(tenure)).1), rank)
    }
}

/// Keeps this process a member.
pub(super) struct Membership {
    dcm: Dcm,
    /// `None` where the store is this process's own: then there are no others.
    lease: Option<Duration>,
    seat: watch::Sender<Option<Tenure>>,
    news: mpsc::Sender<News>,
    metrics: WorkerMetrics,
    readiness: Readiness,
}

impl Membership {
    pub(super) fn new(
        dcm: Dcm,
        lease: Option<Duration>,
        news: mpsc::Sender<News>,
        metrics: WorkerMetrics,
        readiness: Readiness,
    ) -> (Self, Seat) {
        let (seat, taken) = watch::channel(None);
        let membership = Self { dcm, lease, seat, news, metrics, readiness };
        if lease.is_some() {
            membership.is_away("it has not joined the others at work yet");
        }
        (membership, Seat(taken))
    }

    /// Says where it is asked whether this process is ready that it carries out no orders. The log has it already.
    fn is_away(&self, why: impl std::fmt::Display) {
        self.readiness.note(PART, Some(format!("this process carries out no orders: {why}")));
    }

    /// Joins, and joins anew whenever the lease was lost. Never ends.
    pub(super) async fn run(&self) {
        let Some(lease) = self.lease else {
            let claimant = self.dcm.alone();
            self.metrics.count_claims(&claimant);
            self.metrics.members.set(1);
            self.readiness.note(PART, None);
            self.seat.send_replace(Some(Tenure::new(claimant, Instant::now(), None)));
            return std::future::pending().await;
        };
        let mut claimant: Option<Claimant> = None;
        let mut before: Option<Uid> = None;
        // What is known of the others outlives a membership: so it is noticed who goes between two.
        let mut others = Others::default();
        loop {
            // What this process held as another member is free now, and nobody has to wait for that.
            if let Some(member) = &before
                && matches!(tokio::time::timeout(LEAVE, self.dcm.leave(member)).await, Ok(Ok(())))
            {
                before = None;
            }
            let sent = Instant::now();
            let member = match self.dcm.join(lease).await {
                Ok(member) => member,
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "this process could not join the others at work; it is tried again");
                    self.is_away(format_args!("it could not join the others at work: {error}"));
                    tokio::time::sleep(JOIN_PAUSE).await;
                    continue;
                }
            };
            let id = member.value.id.clone();
            let now =
                claimant.as_ref().map_or_else(|| Claimant::member(id.clone()), |before| before.rejoined(id.clone()));
            self.metrics.count_claims(&now);
            let tenure = Tenure::new(claimant.insert(now).clone(), sent, Some(lease));
            tracing::debug!(member = %id, "joined those who carry out orders");
            self.seat.send_replace(Some(tenure.clone()));
            self.readiness.note(PART, None);
            let why = tokio::select! {
                why = self.renew(member, &tenure, lease) => why,
                () = self.observe(&tenure, lease, &mut others) => "nobody looks at the others",
            };
            tenure.over.cancel();
            self.seat.send_replace(None);
            self.is_away(format_args!("the lease is lost ({why}), and it joins anew"));
            self.metrics.lost_leases.inc();
            tracing::warn!(member = %id, why, "the lease is lost: what was in hand is dropped, and begun anew");
            // Nothing is begun any more; what was sent in time arrives meanwhile.
            tokio::time::sleep(lease - usable(lease)).await;
            before = Some(id);
        }
    }

    /// Takes leave of the others, once nothing is in hand any more. Where something was cut short, what it has sent arrives first;
    /// where that may take too long, the others find out by themselves.
    pub(super) async fn leave(&self, cut_short: bool) {
        let (Some(tenure), Some(lease)) = (self.seat.send_replace(None), self.lease) else { return };
        tenure.over.cancel();
        let on_the_way = lease - usable(lease);
        if cut_short && on_the_way > LONGEST_WAIT {
            tracing::warn!("work was cut short: the others take it over when the lease is over");
            return;
        }
        if cut_short {
            tokio::time::sleep(on_the_way).await;
        }
        match tokio::time::timeout(LEAVE, self.dcm.leave(tenure.claimant.id())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "the others find out by themselves that this process has ended")
            }
            Err(_) => tracing::warn!(
                "the store does not answer: the others find out by themselves that this process has ended"
            ),
        }
    }

    /// Renews until the lease is lost; answers why.
    async fn renew(&self, mut member: Entry<Member>, tenure: &Tenure, lease: Duration) -> &'static str {
        let mut pause = period(lease);
        loop {
            tokio::time::sleep(pause.min(tenure.left())).await;
            let (sent, left) = (Instant::now(), tenure.left());
            if left.is_zero() {
                return "it was not renewed in time";
            }
            match tokio::time::timeout(left, self.dcm.renew_member(member.clone())).await {
                Ok(Ok(Some(renewed))) => {
                    member = renewed;
                    tenure.extend(sent + usable(lease));
                    pause = period(lease).saturating_sub(sent.elapsed());
                }
                Ok(Ok(None)) => return "others have seen no renewal for too long",
                Ok(Err(error)) => {
                    tracing::warn!(error = %chain(&error), "the lease could not be renewed; it is tried again");
                    pause = period(lease) / 4;
                }
                Err(_) => return "the store does not answer",
            }
        }
    }

    /// Looks at the others, and expels who is silent for too long. Never ends.
    async fn observe(&self, tenure: &Tenure, lease: Duration, others: &mut Others) {
        // Who went while this process was no member may have left what nobody has looked at since. An error says that the worker stops.
        let _ = self.news.send(News::LookAgain).await;
        loop {
            let (asked, mut failed) = (Instant::now(), false);
            match self.dcm.members().await {
                Ok(found) => {
                    let silent = others.look(&found, Some(tenure.claimant.id()), asked, Instant::now());
                    for member in silent {
                        failed |= !self.expel(member, others).await;
                    }
                    self.take_place(&found, tenure);
                    if others.take_gone() {
                        // What they had in hand waits now. An error says that the worker stops.
                        let _ = self.news.send(News::LookAgain).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the others at work could not be looked at");
                    failed = true;
                }
            }
            // Who could not be looked at or expelled stays due: not again at once.
            let due = others.due(Instant::now()).filter(|_| !failed).unwrap_or(LONGEST_PAUSE);
            tokio::time::sleep(due.min(period(lease))).await;
        }
    }

    /// Expels a member; false where that could not be done.
    async fn expel(&self, member: &Entry<Member>, others: &mut Others) -> bool {
        let id = &member.value.id;
        match self.dcm.expel(member).await {
            Ok(true) => {
                tracing::warn!(member = %id, "a process that carried out orders is silent; what it had in hand is taken over");
                others.expelled(id);
            }
            // It has spoken, or is gone: the next look tells.
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(member = %id, error = %chain(&error), "a silent process could not be expelled");
                return false;
            }
        }
        true
    }

    fn take_place(&self, found: &[Entry<Member>], tenure: &Tenure) {
        let mut all: Vec<_> = found.iter().map(|member| (member.value.started_at, &member.value.id)).collect();
        all.sort_unstable();
        self.metrics.members.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        let index = all.iter().position(|(_, id)| *id == tenure.claimant.id());
        let rank = index.map(|index| Rank { index, of: all.len() });
        *tenure.rank.lock().unwrap_or_else(PoisonError::into_inner) = rank;
    }
}
