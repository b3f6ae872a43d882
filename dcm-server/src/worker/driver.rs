use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use dcm_core::{
    error::Error,
    name::ReferenceName,
    service::{Attempt, CloudWork, Conclusion, Dcm, Task, Work},
    store::Key,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Lane, Lanes};
use crate::telemetry::chain;

/// How long to wait before the store is asked again when it failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long one ring of the bell is waited for to be followed by others.
const TOGETHER: Duration = Duration::from_millis(5);

/// … and how long at most.
const LONGEST_TOGETHER: Duration = Duration::from_secs(2);

/// How long attempts in flight may take to end when the worker stops.
const GRACE: Duration = Duration::from_secs(3);

/// Carries out one logical cloud's orders until none waits.
pub(super) struct Driver {
    dcm: Dcm,
    order: Key,
    bell: Arc<Notify>,
    lanes: Lanes,
    stop: CancellationToken,
    /// Attempts in flight. They outlive a change of orders: a cluster is never worked on twice at once.
    attempts: JoinSet<Ended>,
    busy: HashMap<ReferenceName, Lane>,
    /// Counts how often the order was opened: an attempt from before tells nothing of it.
    opened: u64,
}

/// An attempt that ended.
struct Ended {
    opened: u64,
    task: Task,
    outcome: Result<Attempt, Error>,
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
}

impl Driver {
    pub(super) fn new(dcm: Dcm, order: Key, bell: Arc<Notify>, lanes: Lanes, stop: CancellationToken) -> Self {
        Self { dcm, order, bell, lanes, stop, attempts: JoinSet::new(), busy: HashMap::new(), opened: 0 }
    }

    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let carried_out = async {
            self.carry_out().await;
            while self.attempts.join_next().await.is_some() {}
        };
        tokio::select! {
            () = carried_out => {}
            () = stop.cancelled() => {}
        }
        let rest = async { while self.attempts.join_next().await.is_some() {} };
        // What does not end in time is dropped, which every attempt stands.
        let _ = tokio::time::timeout(GRACE, rest).await;
    }

    async fn carry_out(&mut self) {
        loop {
            self.opened += 1;
            let pause = match self.dcm.open_order(&self.order).await {
                Ok(Work::Nothing) => return,
                Ok(Work::Cloud(work)) => match self.work_on(&work).await {
                    Ok(Conclusion::Done) => return,
                    Ok(Conclusion::Superseded) => continue,
                    Ok(Conclusion::Later(at)) => self.dcm.time_until(at),
                    Err(error) => self.log(&error),
                },
                Err(error) => self.log(&error),
            };
            tokio::select! {
                () = self.bell.notified() => {}
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
        let mut agenda = Agenda::default();
        let began = Instant::now();
        let tasks = self.dcm.tasks(work).await?;
        let look = began.elapsed();
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
                return self.dcm.conclude(work).await;
            }
            let next = agenda.later.keys().next().map(|(at, _)| *at);
            tokio::select! {
                () = self.bell.notified() => {
                    // Those who ring often ring for much the same: look once for all of them, and look no
                    // more than a fifth of the time.
                    tokio::time::sleep((look * 4).clamp(TOGETHER, LONGEST_TOGETHER)).await;
                    return Ok(Conclusion::Superseded);
                }
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok(ended) => if self.is_superseded_by(ended, &mut agenda) {
                        return Ok(Conclusion::Superseded);
                    },
                    Err(error) => {
                        // Which one it was is unknown: look at all again, once the others have ended.
                        tracing::error!(order = %self.order, %error, "an attempt ended badly");
                        while self.attempts.join_next().await.is_some() {}
                        self.busy.clear();
                        return Ok(Conclusion::Superseded);
                    }
                },
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
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

    /// Puts a task where it begins. From here on its time is the process's own, whatever the wall clock does.
    fn enter(&self, agenda: &mut Agenda, task: Task) {
        let pause = task.due.map_or(Duration::ZERO, |due| self.dcm.time_until(due));
        if pause.is_zero() {
            agenda.push(task);
        } else {
            agenda.later.insert((Instant::now() + pause, task.reference.name.clone()), task);
        }
    }

    /// Begins what can begin, as far as there are places: so many attempts exist at most as there are
    /// places, whatever the number of clusters.
    fn begin(&mut self, work: &Arc<CloudWork>, agenda: &mut Agenda) {
        for lane in Lane::ALL {
            let places = &self.lanes[lane];
            while self.busy.values().filter(|busy| **busy == lane).count() < places.width {
                let Some(task) = agenda.ready[lane as usize].pop_front() else { break };
                self.busy.insert(task.reference.name.clone(), lane);
                let (dcm, work, opened) = (self.dcm.clone(), Arc::clone(work), self.opened);
                let places = Arc::clone(&places.free);
                self.attempts.spawn(async move {
                    let _place = places.acquire_owned().await;
                    let outcome = dcm.attempt(&work, &task).await;
                    Ended { opened, task, outcome }
                });
            }
        }
    }

    /// Takes in what came of an attempt; true where another order came.
    fn is_superseded_by(&mut self, ended: Ended, agenda: &mut Agenda) -> bool {
        let name = ended.task.reference.name.clone();
        self.busy.remove(&name);
        if let Some(task) = agenda.behind.remove(&name) {
            agenda.push(task);
            return false;
        }
        if ended.opened != self.opened {
            return false;
        }
        let mut task = ended.task;
        match ended.outcome {
            Ok(Attempt::Done) => false,
            Ok(Attempt::Superseded) => true,
            Ok(Attempt::Retry { at, away }) => {
                task.away = away;
                let at = Instant::now() + self.dcm.time_until(at);
                agenda.later.insert((at, name), task);
                false
            }
            Err(error) => {
                let at = Instant::now() + self.log(&error);
                agenda.later.insert((at, name), task);
                false
            }
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
