//! Carries out waiting orders: schedules what `dcm-core`'s steps say, and decides nothing itself.
//!
//! One driver (a task) per logical cloud with an order; under it one task per cluster that is being
//! attempted. A cluster that does not answer costs a timer between attempts, and while it is attempted it
//! takes a place in a lane of its own, so that it holds no other one up. One that was thought to answer and
//! does not goes over to that lane. Which clusters do not answer is known to all drivers together: one
//! attempt asks for all, and when the cluster is back, all go at once.
//!
//! Several processes may share a store: each is a member (`membership`), hears of the orders that others take
//! (`orders`), and helps with those that are not carried out a moment later. Who works on a cluster is settled by the
//! claims of `dcm-core`, cluster by cluster.
//!
//! Nothing here has to survive: every order is found again in the store.

mod absences;
mod bell;
mod driver;
mod membership;
mod metrics;
mod order_bell;
mod orders;
mod renewals;
mod resync;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dcm_core::{
    service::{Dcm, Wake},
    store::{Key, Revision},
    sync::Synchronizer,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use absences::{Absences, AskedOnce, ClusterId};
pub(crate) use bell::Bell;
use driver::Driver;
pub(crate) use membership::Others;
use membership::{Membership, Seat};
pub(crate) use metrics::WorkerMetrics;
use order_bell::OrderBell;

use crate::readiness::Readiness;

/// How often waiting orders are looked for without being told of any: a safety net.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How soon waiting orders are looked for once more where they could not be read.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How many orders one look reads at once.
const PAGE: usize = 500;

/// How long an order is left to the process that took it, at the least; at the most twice as long. A small one is carried
/// out by then.
const LEFT_TO_OTHERS: Duration = Duration::from_millis(250);

/// How many changes of orders wait to be heard of.
const NEWS: usize = 1024;

/// How the worker works.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How many clusters are worked on side by side, over all logical clouds.
    pub concurrency: usize,
    /// How often applied logical clouds are looked at again, for drift; `None` for never.
    pub resync_period: Option<Duration>,
    /// Whether all applied logical clouds are looked at again at the start: for clusters that forget.
    pub resync_at_start: bool,
    /// How long this process may be silent before others take its work over; `None` where the store belongs to it alone.
    pub lease: Option<Duration>,
}

/// Makes workers.
#[derive(Clone, Copy, Debug)]
pub struct Worker;

/// A worker that waits for the DCM that it works for.
#[derive(Debug)]
pub struct WorkerSeed {
    settings: WorkerSettings,
    bell: Arc<Bell>,
    absences: Arc<Absences>,
    metrics: WorkerMetrics,
    readiness: Readiness,
}

/// A worker at work.
#[derive(Debug)]
pub struct WorkerHandle {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    /// Makes a worker in two halves: what rings it, which DCM needs, and the rest, which needs DCM.
    #[must_use]
    #[expect(clippy::new_ret_no_self, reason = "the two halves are what there is to be had")]
    pub fn new(settings: WorkerSettings) -> (Arc<dyn Wake>, WorkerSeed) {
        let bell = Arc::new(Bell::default());
        let absences = Arc::<Absences>::default();
        let metrics = WorkerMetrics::new(Arc::clone(&absences));
        let readiness = Readiness::default();
        (Arc::clone(&bell) as Arc<dyn Wake>, WorkerSeed { settings, bell, absences, metrics, readiness })
    }
}

impl WorkerSeed {
    /// Wraps what speaks to clusters, so that the worker knows those that do not answer and asks each of them
    /// once for all logical clouds.
    #[must_use]
    pub fn watch(&self, synchronizer: Arc<dyn Synchronizer>) -> Arc<dyn Synchronizer> {
        Arc::new(AskedOnce::new(synchronizer, Arc::clone(&self.absences)))
    }

    /// What the worker counts.
    pub(crate) const fn metrics(&self) -> &WorkerMetrics {
        &self.metrics
    }

    /// Has the worker say whether it carries out orders.
    pub(crate) fn telling(self, readiness: Readiness) -> Self {
        Self { readiness, ..self }
    }

    /// Starts to work. Must be called in a tokio runtime.
    #[must_use]
    pub fn start(self, dcm: Dcm) -> WorkerHandle {
        let stop = CancellationToken::new();
        let lanes = Lanes::new(self.settings.concurrency);
        let (tell, news) = mpsc::channel(NEWS);
        let lease = self.settings.lease;
        let (membership, seat) =
            Membership::new(dcm.clone(), lease, tell.clone(), self.metrics.clone(), self.readiness);
        let cut_short = Arc::<AtomicBool>::default();
        let (absences, metrics) = (self.absences, self.metrics.clone());
        let dispatcher = Dispatcher {
            dcm: dcm.clone(),
            bell: self.bell,
            shared: Shared { lanes, absences, metrics, seat: seat.clone(), cut_short: Arc::clone(&cut_short) },
            stop: stop.clone(),
            drivers: JoinSet::new(),
            bells: HashMap::new(),
            left_to_others: BTreeMap::new(),
            owed: None,
        };
        let renewals = renewals::run(dcm.clone(), seat.clone(), self.metrics.renewals.clone());
        let sweep = sweep(dcm.clone());
        let (period, at_start) = (self.settings.resync_period, self.settings.resync_at_start);
        let resync = resync::run(dcm.clone(), seat, period, at_start);
        let orders = async move {
            if lease.is_some() {
                orders::run(dcm, tell).await;
            }
        };
        let until_stopped = stop.clone();
        let task = tokio::spawn(async move {
            let timers = async {
                tokio::select! {
                    _ = async { tokio::join!(sweep, resync, renewals, orders) } => {}
                    () = until_stopped.cancelled() => {}
                }
            };
            tokio::select! {
                _ = async { tokio::join!(dispatcher.run(news), timers) } => {}
                () = membership.run() => {}
            }
            membership.leave(cut_short.load(Ordering::SeqCst)).await;
        });
        WorkerHandle { stop, task }
    }
}

/// Removes what a delete of a cluster left that was cut short.
async fn sweep(dcm: Dcm) {
    if let Err(error) = dcm.sweep_clusters().await {
        tracing::warn!(error = %crate::telemetry::chain(&error), "what clusters left could not be removed; the next start does");
    }
}

impl WorkerHandle {
    /// Stops: begins nothing new, gives attempts in flight a moment to end, and drops the others. What is
    /// not done goes on at the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the worker ended badly");
        }
    }
}

/// What other processes did.
#[derive(Debug)]
enum News {
    /// An order was given, or is another one now.
    Changed(Key, Revision),
    /// An order is carried out.
    Gone(Key),
    /// Anything may have happened: look at all orders.
    LookAgain,
}

/// Where an attempt takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// For clusters that answer, as far as is known.
    Present = 0,
    /// For clusters that do not answer.
    Away = 1,
}

impl Lane {
    const ALL: [Self; 2] = [Self::Present, Self::Away];

    const fn of(away: bool) -> Self {
        if away { Self::Away } else { Self::Present }
    }
}

/// The places of one lane, shared by all logical clouds.
#[derive(Clone, Debug)]
struct Places {
    free: Arc<Semaphore>,
    width: usize,
}

/// A place that is taken until this is dropped.
type Place = Option<OwnedSemaphorePermit>;

impl Places {
    async fn take(&self) -> Place {
        // An error says that it was closed, which nobody does.
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

/// The places for attempts. One at a cluster that does not answer only waits, so there are more of them.
#[derive(Clone, Debug)]
struct Lanes([Places; 2]);

impl Lanes {
    fn new(concurrency: usize) -> Self {
        let places = |width: usize| Places { free: Arc::new(Semaphore::new(width)), width };
        let concurrency = concurrency.max(1);
        Self([places(concurrency), places(concurrency.saturating_mul(2))])
    }
}

impl std::ops::Index<Lane> for Lanes {
    type Output = Places;

    fn index(&self, lane: Lane) -> &Places {
        &self.0[lane as usize]
    }
}

/// What all drivers share.
#[derive(Clone, Debug)]
struct Shared {
    lanes: Lanes,
    absences: Arc<Absences>,
    metrics: WorkerMetrics,
    seat: Seat,
    /// Whether an attempt was dropped when the worker stopped: what it has sent may still arrive.
    cut_short: Arc<AtomicBool>,
}

/// Sees to it that every waiting order has a driver.
struct Dispatcher {
    dcm: Dcm,
    bell: Arc<Bell>,
    shared: Shared,
    stop: CancellationToken,
    drivers: JoinSet<Key>,
    bells: HashMap<Key, Arc<OrderBell>>,
    /// Orders that another process has taken, and when to help with them.
    left_to_others: BTreeMap<Key, Instant>,
    /// When to make the look that failed.
    owed: Option<Instant>,
}

impl Dispatcher {
    async fn run(mut self, mut news: mpsc::Receiver<News>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let (help, owed) = (self.left_to_others.values().min().copied(), self.owed);
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.bell.rung() => {
                    for order in self.bell.take() {
                        self.ring(order);
                    }
                }
                Some(ended) = self.drivers.join_next() => self.reap(ended),
                Some(news) = news.recv() => self.hear(news).await,
                _ = look.tick() => self.look(false).await,
                () = tokio::time::sleep_until(help.unwrap_or_else(Instant::now)), if help.is_some() => self.help(),
                () = tokio::time::sleep_until(owed.unwrap_or_else(Instant::now)), if owed.is_some() => self.look(false).await,
            }
            self.shared.metrics.waiting.set(i64::try_from(self.bells.len()).unwrap_or(i64::MAX));
        }
        while self.drivers.join_next().await.is_some() {}
    }

    /// Has an order's driver look at it again, or gives it one.
    fn ring(&mut self, order: Key) {
        self.left_to_others.remove(&order);
        if let Some(bell) = self.bells.get(&order) {
            bell.ring();
            return;
        }
        let bell = Arc::<OrderBell>::default();
        self.bells.insert(order.clone(), Arc::clone(&bell));
        let driver = Driver::new(self.dcm.clone(), order.clone(), bell, self.shared.clone(), self.stop.clone());
        self.drivers.spawn(async move {
            driver.run().await;
            order
        });
    }

    /// Takes in what other processes did, or this one: a watch tells of both.
    async fn hear(&mut self, news: News) {
        match news {
            News::Changed(order, revision) => match self.bells.get(&order) {
                Some(bell) => bell.changed(Some(revision)),
                None => {
                    let chance = f64::from(fastrand::u8(..)) / 255.0;
                    let at = Instant::now() + LEFT_TO_OTHERS.mul_f64(1.0 + chance);
                    // One that changes again and again is not put off each time.
                    self.left_to_others.entry(order).or_insert(at);
                }
            },
            News::Gone(order) => {
                self.left_to_others.remove(&order);
                if let Some(bell) = self.bells.get(&order) {
                    bell.changed(None);
                }
            }
            News::LookAgain => self.look(true).await,
        }
    }

    /// Gives drivers to orders that other processes have not carried out in the time that was left to them.
    fn help(&mut self) {
        let now = Instant::now();
        let due: Vec<Key> =
            self.left_to_others.iter().filter(|(_, at)| **at <= now).map(|(order, _)| order.clone()).collect();
        for order in due {
            self.ring(order);
        }
    }

    /// A driver has ended. If it was rung after its last look, the order gets another one.
    fn reap(&mut self, ended: Result<Key, tokio::task::JoinError>) {
        match ended {
            Ok(order) => {
                let bell = self.bells.remove(&order);
                if bell.is_some_and(|bell| bell.has_rung()) {
                    self.ring(order);
                }
            }
            // The next look finds its order again; its bell must not stand in the way.
            Err(error) => {
                tracing::error!(%error, "a driver ended badly");
                self.bells.retain(|_, bell| Arc::strong_count(bell) > 1);
            }
        }
    }

    /// Looks for all waiting orders, and has those who have them in hand look again, too, where that is wanted.
    async fn look(&mut self, again: bool) {
        if again {
            self.bells.values().for_each(|bell| bell.ring());
        }
        self.owed = None;
        let mut after = None;
        loop {
            match self.dcm.waiting_orders(after.take(), PAGE).await {
                Ok(page) => {
                    after = page.last().cloned();
                    let last = page.len() < PAGE;
                    for order in page {
                        if !self.bells.contains_key(&order) {
                            self.ring(order);
                        }
                    }
                    if last {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %crate::telemetry::chain(&error), "waiting orders could not be read; it is tried again");
                    self.owed = Some(Instant::now() + LOOK_AGAIN);
                    return;
                }
            }
        }
    }
}
