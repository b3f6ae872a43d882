//! A worker of the simulation: what `dcm-server`'s does, as one future that is polled when its turn comes.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use dcm_core::{
    model::{Member, Uid},
    service::{Attempt, Claimant, CloudWork, Conclusion, Dcm, Task, Work},
    store::{Entry, Key, Revision},
};
use futures_util::future::{Either, select};

use crate::world::{LEASE, Me, Time};

const MILLISECONDS: u64 = LEASE.as_millis() as u64;

pub(crate) struct Worker {
    pub(crate) dcm: Dcm,
    pub(crate) time: Arc<Time>,
    pub(crate) me: Me,
    /// How many orders this one has finished.
    pub(crate) finished: Arc<AtomicU64>,
    pub(crate) takeovers: Arc<AtomicU64>,
    pub(crate) lost: Arc<AtomicU64>,
    /// What was attempted when the lease was lost: it is begun anew as it was, however old it is by then.
    pub(crate) in_hand: Mutex<Option<(Arc<CloudWork>, Task)>>,
}

impl Worker {
    /// A process's life, as long as it is polled.
    pub(crate) async fn live(self) {
        loop {
            *self.me.lock().unwrap() = None;
            let sent = self.time.now();
            let Ok(member) = self.dcm.join(LEASE).await else { continue };
            *self.me.lock().unwrap() = Some(member.value.id.clone());
            let claimant = Claimant::member(member.value.id.clone());
            let until = Arc::new(AtomicU64::new(sent + MILLISECONDS * 4 / 5));
            let keep = pin!(self.keep(member, Arc::clone(&until)));
            let observe = pin!(self.observe(claimant.id().clone()));
            let work = pin!(guard(&self.time, &until, self.work(&claimant)));
            let alone = pin!(async { select(keep, observe).await });
            // The work last, and never after its time: a process that wakes up late does nothing more.
            if let Either::Left(_) = select(alone, work).await {}
            self.takeovers.fetch_add(claimant.takeovers(), Ordering::SeqCst);
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Renews until the lease is lost.
    async fn keep(&self, mut member: Entry<Member>, until: Arc<AtomicU64>) {
        let mut next = self.time.now() + MILLISECONDS / 3;
        loop {
            self.time.until(next).await;
            let sent = self.time.now();
            if sent >= until.load(Ordering::SeqCst) {
                return;
            }
            match self.dcm.renew_member(member.clone()).await {
                Ok(Some(renewed)) => {
                    member = renewed;
                    until.fetch_max(sent + MILLISECONDS * 4 / 5, Ordering::SeqCst);
                    next = sent + MILLISECONDS / 3;
                }
                Ok(None) => return,
                Err(_) => next = self.time.now() + MILLISECONDS / 12,
            }
        }
    }

    async fn observe(&self, own: Uid) {
        let mut seen: BTreeMap<Uid, (Revision, u64)> = BTreeMap::new();
        loop {
            let asked = self.time.now();
            if let Ok(found) = self.dcm.members().await {
                let answered = self.time.now();
                for member in found.into_iter().filter(|member| member.value.id != own) {
                    match seen.get(&member.value.id) {
                        Some((revision, since)) if *revision == member.revision => {
                            if asked > since + MILLISECONDS {
                                let _ = self.dcm.expel(&member).await;
                            }
                        }
                        _ => {
                            seen.insert(member.value.id.clone(), (member.revision, answered));
                        }
                    }
                }
            }
            self.time.until(asked + MILLISECONDS / 3).await;
        }
    }

    /// Carries out orders, each cluster once, and then looks again.
    async fn work(&self, claimant: &Claimant) {
        let in_hand = self.in_hand.lock().unwrap().take();
        if let Some((work, task)) = in_hand {
            let _ = self.dcm.attempt(&work, &task, claimant).await;
        }
        loop {
            let mut orders = self.dcm.waiting_orders(None, 100).await.unwrap_or_default();
            if claimant.id().as_str() > "8" {
                orders.reverse();
            }
            for order in orders {
                // What the store refuses after many races is tried again.
                let _ = self.carry_out(&order, claimant).await;
            }
            self.time.until(self.time.now() + 20).await;
        }
    }

    async fn carry_out(&self, order: &Key, claimant: &Claimant) -> Result<(), dcm_core::error::Error> {
        for _ in 0..4 {
            let Work::Cloud(work) = self.dcm.open_order(order).await? else { return Ok(()) };
            let mut tasks = self.dcm.tasks(&work).await?;
            if claimant.id().as_str() > "8" {
                tasks.reverse();
            }
            let (mut held, mut later, mut superseded) = (false, false, false);
            for task in tasks {
                *self.in_hand.lock().unwrap() = Some((Arc::clone(&work), task.clone()));
                let attempted = self.dcm.attempt(&work, &task, claimant).await?;
                *self.in_hand.lock().unwrap() = None;
                match attempted {
                    Attempt::Done | Attempt::Already => {}
                    Attempt::Held => held = true,
                    Attempt::Retry { .. } => later = true,
                    Attempt::Superseded => superseded = true,
                }
            }
            if superseded {
                continue;
            }
            if held || later {
                return Ok(());
            }
            match self.dcm.conclude(&work, claimant).await? {
                Conclusion::Superseded => {}
                Conclusion::Done => {
                    self.finished.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                Conclusion::Held | Conclusion::Later(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Lets work go on until a time, which is looked at before each step.
async fn guard<F: Future>(time: &Time, until: &AtomicU64, work: F) {
    let mut work = pin!(work);
    poll_fn(|context| {
        if time.now() >= until.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        work.as_mut().poll(context).map(drop)
    })
    .await;
}

/// A life that can be ended.
pub(crate) type Life = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which worker is which, while it lives.
pub(crate) fn nobody() -> Me {
    Arc::new(Mutex::new(None))
}
