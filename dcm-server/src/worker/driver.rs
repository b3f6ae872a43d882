use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dcm_core::{
    error::Error,
    name::ReferenceName,
    service::{Attempt, CloudWork, Conclusion, Dcm, Task, Work},
    store::Key,
};
use futures_util::future::join_all;
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{ClusterId, Lane, OrderBell, Place, Shared};
use crate::telemetry::chain;

/// How long to wait before an order is opened again when the store, or an attempt, failed badly.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long one ring of the bell is waited for to be followed by others.
const TOGETHER: Duration = Duration::from_millis(5);

/// … and how long at most.
const LONGEST_TOGETHER: Duration = Duration::from_secs(2);

/// How long attempts in flight may take to end when the worker stops.
const GRACE: Duration = Duration::from_secs(3);

/// How long it may take to note that attempts were dropped because the worker stops.
const EXCUSE: Duration = Duration::from_secs(1);

/// How long a cluster that was thought to answer may be silent in a place that others wait for.
const SILENCE: Duration = Duration::from_millis(250);

/// How long a cluster is left to another process before it is looked anew, where nothing else has led to that.
const LEFT_TO_ANOTHER: Duration = Duration::from_secs(30);

/// After how many clusters that another process was faster at it is looked again which ones are left.
const OTHERS_WERE_FASTER: usize = 8;

/// Carries out one logical cloud's orders until none waits, or others work on all that is left.
pub(super) struct Driver {
    dcm: Dcm,
    order: Key,
    bell: Arc<OrderBell>,
    shared: Shared,
    stop: CancellationToken,
    /// Clusters that answer again.
    returns: broadcast::Receiver<ClusterId>,
    /// Attempts that went over to the lane of those that do not answer.
    gone_over: (mpsc::UnboundedSender<ReferenceName>, mpsc::UnboundedReceiver<ReferenceName>),
    /// Attempts in flight. They outlive a change of orders: a cluster is never worked on twice at once.
    attempts: JoinSet<Ended>,
    busy: HashMap<ReferenceName, Busy>,
    /// Counts how often the order was opened: an attempt from before tells nothing of it.
    opened: u64,
    /// For which user's sake attempts are made.
    epoch: Option<u64>,
    /// The order is carried out: what has not begun does not begin any more.
    over: CancellationToken,
}

/// An attempt in flight.
struct Busy {
    cluster: ClusterId,
    lane: Lane,
    /// Whether its cluster answered again since it began.
    returned: bool,
}

/// An attempt that ended.
struct Ended {
    opened: u64,
    task: Task,
    /// `None` where the lease was lost before it ended.
    outcome: Option<Result<Attempt, Error>>,
}

/// How to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    /// Open the order anew.
    LookAgain,
}

/// What is left to do for an opened order.
#[derive(Default)]
struct Agenda {
    /// Can begin now, by lane.
    ready: [VecDeque<Task>; 2],
    /// Begin at a time.
    later: BTreeMap<(Instant, ReferenceName), Task>,
    /// Begin when an attempt from before the order was opened has ended.
    behind: HashMap<ReferenceName, Task>,
    /// Since when another process works on a cluster.
    held: Option<Instant>,
    /// Whether an attempt at a cluster has ended that nobody else worked on.
    worked: bool,
    /// At how many clusters another process was faster.
    others_were_faster: usize,
}

impl Driver {
    pub(super) fn new(dcm: Dcm, order: Key, bell: Arc<OrderBell>, shared: Shared, stop: CancellationToken) -> Self {
        let (returns, gone_over) = (shared.absences.returns(), mpsc::unbounded_channel());
        let (attempts, busy, over) = (JoinSet::new(), HashMap::new(), CancellationToken::new());
        Self { dcm, order, bell, shared, stop, returns, gone_over, attempts, busy, opened: 0, epoch: None, over }
    }

    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let carried_out = async {
            self.carry_out().await;
            self.over.cancel();
            while self.attempts.join_next().await.is_some() {}
        };
        tokio::select! {
            () = carried_out => {}
            () = stop.cancelled() => {}
        }
        self.over.cancel();
        let rest = async { while self.attempts.join_next().await.is_some() {} };
        // What does not end in time is dropped, which every attempt stands. What it has sent may still arrive.
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            self.shared.cut_short.store(true, Ordering::SeqCst);
            self.attempts.shutdown().await;
            self.excuse().await;
        }
    }

    /// Notes where attempts were dropped that no cluster has killed this process. What fails here has others wait a little longer.
    async fn excuse(&self) {
        let Some(tenure) = self.shared.seat.present() else { return };
        let excuses = self.busy.keys().map(|reference| self.dcm.excuse(&self.order, reference, tenure.claimant()));
        let _ = tokio::time::timeout(EXCUSE, join_all(excuses)).await;
    }

    async fn carry_out(&mut self) {
        loop {
            self.opened += 1;
            let pause = match self.dcm.open_order(&self.order).await {
                Ok(Work::Nothing) => return,
                Ok(Work::Cloud(work)) => match self.work_on(&work).await {
                    // Where others have all that is left, who ends his last attempt finishes the order.
                    Ok(Conclusion::Done | Conclusion::Held) => return,
                    Ok(Conclusion::Superseded) => continue,
                    Ok(Conclusion::Later(at)) => self.dcm.time_until(at),
                    Err(error) => self.log(&error),
                },
                Err(error) => self.log(&error),
            };
            tokio::select! {
                () = self.bell.rung(None) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn log(&self, error: &Error) -> Duration {
        tracing::warn!(order = %self.order, error = %chain(error), "an order could not be carried on; it is tried again");
        STORE_PAUSE
    }

    /// Works on an opened order until nothing is left to do or another order came.
    async fn work_on(&mut self, work: &Arc<CloudWork>) -> Result<Conclusion, Error> {
        self.drop_attempts_for_another_user(work).await;
        let mut agenda = Agenda::default();
        let began = Instant::now();
        let mut tasks = self.dcm.tasks(work).await?;
        let look = began.elapsed();
        if let Some(rank) = self.shared.seat.rank() {
            // Each process begins elsewhere: so they seldom meet.
            let first = tasks.len() * rank.index / rank.of.max(1);
            tasks.rotate_left(first);
        }
        for task in tasks {
            if self.busy.contains_key(&task.reference.name) {
                agenda.behind.insert(task.reference.name.clone(), task);
            } else {
                self.enter(&mut agenda, task);
            }
        }
        loop {
            self.begin(work, &mut agenda);
            if agenda.is_empty() && self.busy.is_empty() {
                return self.conclude(work, &agenda).await;
            }
            // Those who ring often ring for much the same: look once for all of them, and look no more than a fifth of
            // the time.
            let rest = (look * 4).clamp(TOGETHER, LONGEST_TOGETHER);
            if agenda.others_were_faster >= OTHERS_WERE_FASTER && began.elapsed() > rest {
                return Ok(Conclusion::Superseded);
            }
            let next = agenda.later.keys().next().map(|(at, _)| *at);
            let look_anew = agenda.held.map(|since| since + LEFT_TO_ANOTHER);
            tokio::select! {
                () = self.bell.rung(Some(work.order_revision())) => {
                    tokio::time::sleep(TOGETHER).await;
                    self.drop_attempts_for_who_was_cut_off().await;
                    tokio::time::sleep(rest.saturating_sub(TOGETHER)).await;
                    return Ok(Conclusion::Superseded);
                }
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok(ended) => if self.take_in(ended, &mut agenda) == Then::LookAgain {
                        return Ok(Conclusion::Superseded);
                    },
                    Err(error) => {
                        // Which one it was is unknown: look at all again, once the others have ended.
                        tracing::error!(order = %self.order, %error, "an attempt ended badly");
                        while self.attempts.join_next().await.is_some() {}
                        self.busy.clear();
                        tokio::time::sleep(STORE_PAUSE).await;
                        return Ok(Conclusion::Superseded);
                    }
                },
                Some(name) = self.gone_over.1.recv() => {
                    if let Some(busy) = self.busy.get_mut(&name) {
                        busy.lane = Lane::Away;
                    }
                }
                returned = self.returns.recv() => match returned {
                    Ok(cluster) => self.is_back(&mut agenda, |other| *other == cluster),
                    // Which ones they were is lost: all may be.
                    Err(_) => self.is_back(&mut agenda, |_| true),
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                // He may have gone without a word.
                () = tokio::time::sleep_until(look_anew.unwrap_or_else(Instant::now)), if look_anew.is_some() => {
                    return Ok(Conclusion::Superseded);
                }
            }
            while let Some(entry) = agenda.later.first_entry() {
                if entry.key().0 > Instant::now() {
                    break;
                }
                let task = entry.remove();
                agenda.push(task);
            }
        }
    }

    /// Finishes an order for which this process has nothing left to do.
    async fn conclude(&self, work: &CloudWork, agenda: &Agenda) -> Result<Conclusion, Error> {
        match (agenda.held.is_some(), agenda.worked) {
            // Others may have ended meanwhile what they had in hand, and left the rest to this one.
            (true, true) => return Ok(Conclusion::Superseded),
            (true, false) => return Ok(Conclusion::Held),
            (false, _) => {}
        }
        let tenure = self.shared.seat.tenure().await;
        tenure.guard(self.dcm.conclude(work, tenure.claimant())).await.unwrap_or(Ok(Conclusion::Superseded))
    }

    /// Looks, before others that ring are waited for, whether attempts in flight are for a user who was cut off.
    async fn drop_attempts_for_who_was_cut_off(&mut self) {
        if self.busy.is_empty() {
            return;
        }
        // What fails here is tried again when the order is opened.
        if let Ok(Work::Cloud(now)) = self.dcm.open_order(&self.order).await {
            self.drop_attempts_for_another_user(&now).await;
        }
    }

    /// A user who was cut off must not be let in again by an attempt from before, not for a moment.
    async fn drop_attempts_for_another_user(&mut self, work: &CloudWork) {
        // Where everything goes, nobody is let in that stays; what is in flight is waited for, and then removed.
        if work.cloud().lifecycle.phase.is_going() {
            return;
        }
        let epoch = work.cloud().credential_epoch;
        if self.epoch.replace(epoch).is_some_and(|before| before != epoch) {
            self.attempts.shutdown().await;
            self.busy.clear();
        }
    }

    /// Puts a task where it begins. From here on its time is the process's own, whatever the wall clock does.
    fn enter(&self, agenda: &mut Agenda, mut task: Task) {
        task.away |= self.is_silent(&task);
        let pause = task.due.map_or(Duration::ZERO, |due| self.dcm.time_until(due));
        if pause.is_zero() {
            agenda.push(task);
        } else {
            agenda.later.insert((Instant::now() + pause, task.reference.name.clone()), task);
        }
    }

    fn is_silent(&self, task: &Task) -> bool {
        self.shared.absences.is_silent(&cluster_of(task), SILENCE)
    }

    /// A cluster answers again: what waits for it begins now.
    fn is_back(&mut self, agenda: &mut Agenda, is_meant: impl Fn(&ClusterId) -> bool) {
        for busy in self.busy.values_mut() {
            busy.returned |= is_meant(&busy.cluster);
        }
        let waiting: Vec<_> = agenda.later.extract_if(.., |_, task| task.away && is_meant(&cluster_of(task))).collect();
        for (_, mut task) in waiting {
            task.away = false;
            agenda.push(task);
        }
    }

    /// Begins what can begin, as far as there are places: so many attempts exist at most as there are
    /// places, whatever the number of clusters.
    fn begin(&mut self, work: &Arc<CloudWork>, agenda: &mut Agenda) {
        for lane in Lane::ALL {
            let width = self.shared.lanes[lane].width;
            while self.busy.values().filter(|busy| busy.lane == lane).count() < width {
                let Some(task) = agenda.ready[lane as usize].pop_front() else { break };
                let busy = Busy { cluster: cluster_of(&task), lane, returned: false };
                self.busy.insert(task.reference.name.clone(), busy);
                let (dcm, work, opened) = (self.dcm.clone(), Arc::clone(work), self.opened);
                let (shared, gone_over, over) = (self.shared.clone(), self.gone_over.0.clone(), self.over.clone());
                self.attempts.spawn(async move {
                    let turn = async { (shared.lanes[lane].take().await, shared.seat.tenure().await) };
                    let Some((place, tenure)) = over.run_until_cancelled(turn).await else {
                        return Ended { opened, task, outcome: None };
                    };
                    let _counted = shared.metrics.attempt();
                    let outcome = {
                        let mut attempt = pin!(tenure.guard(dcm.attempt(&work, &task, tenure.claimant())));
                        tokio::select! {
                            outcome = &mut attempt => outcome,
                            _other_place = away_from(lane, &shared, &task) => {
                                drop(place);
                                // An error says that the driver is gone, and soon this will be.
                                let _ = gone_over.send(task.reference.name.clone());
                                attempt.await
                            }
                        }
                    };
                    shared.metrics.ended(outcome.as_ref());
                    Ended { opened, task, outcome }
                });
            }
        }
    }

    /// Takes in what came of an attempt.
    fn take_in(&mut self, ended: Ended, agenda: &mut Agenda) -> Then {
        let name = ended.task.reference.name.clone();
        let returned = self.busy.remove(&name).is_some_and(|busy| busy.returned);
        if let Some(task) = agenda.behind.remove(&name) {
            agenda.push(task);
            return Then::GoOn;
        }
        if ended.opened != self.opened {
            return Then::GoOn;
        }
        let mut task = ended.task;
        let others = matches!(ended.outcome, Some(Ok(Attempt::Already | Attempt::Held)));
        agenda.others_were_faster += usize::from(others);
        agenda.worked |= !matches!(ended.outcome, Some(Ok(Attempt::Held)));
        match ended.outcome {
            Some(Ok(Attempt::Done | Attempt::Already)) => {}
            Some(Ok(Attempt::Held)) => {
                agenda.held.get_or_insert_with(Instant::now);
            }
            Some(Ok(Attempt::Superseded)) => return Then::LookAgain,
            Some(Ok(Attempt::Retry { at, away })) => {
                task.due = Some(at);
                // What it met may be over.
                task.away = away && !returned;
                if away && returned {
                    agenda.push(task);
                } else {
                    let at = Instant::now() + self.dcm.time_until(at);
                    agenda.later.insert((at, name), task);
                }
            }
            Some(Err(error)) => {
                let at = Instant::now() + self.log(&error);
                agenda.later.insert((at, name), task);
            }
            // Once more, as another member.
            None => agenda.push(task),
        }
        Then::GoOn
    }
}

fn cluster_of(task: &Task) -> ClusterId {
    (task.reference.cluster_provider.clone(), task.reference.cluster_name.clone())
}

/// A place among those whose clusters do not answer, as soon as the task's does not and there is one. Never
/// comes for an attempt that has such a place already.
async fn away_from(lane: Lane, shared: &Shared, task: &Task) -> Place {
    let cluster = cluster_of(task);
    loop {
        tokio::time::sleep(SILENCE / 2).await;
        if lane == Lane::Present && shared.absences.is_silent(&cluster, SILENCE) {
            return shared.lanes[Lane::Away].take().await;
        }
    }
}

impl Agenda {
    fn push(&mut self, task: Task) {
        self.ready[Lane::of(task.away) as usize].push_back(task);
    }

    fn is_empty(&self) -> bool {
        self.ready.iter().all(VecDeque::is_empty) && self.later.is_empty() && self.behind.is_empty()
    }
}
