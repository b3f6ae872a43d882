//! Clients that read and write a few documents of a store at once, as hard as they can.

#![allow(clippy::expect_used, reason = "a client that breaks ends its test")]

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dcm_core::store::{Body, Error, Precondition, Revision, Store};
use fastrand::Rng;
use futures_util::future::join_all;

use super::{Answer, Call, Expected, History, Violation};
use crate::store::{key, number, numbered};

/// How many operations each document sees. Longer histories of one document take long to judge.
const EACH: usize = 100;

/// What clients do to a store, and how hard.
#[derive(Clone, Copy, Debug)]
pub struct LinearizabilityRun {
    /// How many clients there are.
    pub clients: usize,
    /// How many operations they carry out together, about 100 on each document.
    pub operations: usize,
    /// How many documents are used at a time.
    pub hot: usize,
    /// Of a hundred operations, how many are given up while they are in flight.
    pub given_up: u32,
    /// The same seed has each client choose in the same way. What they meet differs from run to run.
    pub seed: u64,
}

/// What a run came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// How many operations were carried out.
    pub operations: usize,
    /// On how many documents.
    pub documents: usize,
    /// How many of them were conflicts.
    pub conflicts: usize,
    /// How many have an outcome that nobody knows.
    pub unknown: usize,
    /// How long the clients took.
    pub running: Duration,
    /// How long the judgement took.
    pub judging: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operations, documents, conflicts, unknown, running, judging } = self;
        write!(
            f,
            "{operations} operations on {documents} documents in {running:.1?}, {conflicts} conflicts, {unknown} outcomes \
             unknown; judged in {judging:.1?}: linearizable"
        )
    }
}

impl Default for LinearizabilityRun {
    fn default() -> Self {
        Self { clients: 16, operations: 1_000, hot: 4, given_up: 2, seed: 1 }
    }
}

impl LinearizabilityRun {
    /// Lets the clients loose on the documents below `hot/` of a store that has none there, and judges what they saw.
    ///
    /// # Errors
    /// [`Violation`] where no order explains it.
    pub async fn on(self, store: Arc<dyn Store>) -> Result<Figures, Box<Violation>> {
        self.across(&[store]).await
    }

    /// [`on`](Self::on) several handles of one store, among which the clients are shared out.
    ///
    /// # Errors
    /// [`Violation`] where no order explains it.
    pub async fn across(self, handles: &[Arc<dyn Store>]) -> Result<Figures, Box<Violation>> {
        let history = Arc::new(History::default());
        let started = Instant::now();
        let done = Arc::new(AtomicUsize::new(0));
        let clients = (0..self.clients).zip(handles.iter().cycle()).map(|(name, store)| {
            let (store, history) = (Arc::clone(store), Arc::clone(&history));
            let rng = Rng::with_seed(self.seed.wrapping_mul(1_000).wrapping_add(name as u64));
            let client = Client { name, store, history, rng, run: self, known: HashMap::new() };
            tokio::spawn(client.work(Arc::clone(&done)))
        });
        for client in join_all(clients).await {
            client.expect("a client");
        }
        let running = started.elapsed();
        let started = Instant::now();
        let judged = tokio::task::spawn_blocking(move || history.check().map(|()| history)).await;
        let history = judged.expect("a verdict")?;
        let (operations, documents) = history.size();
        Ok(Figures {
            operations,
            documents,
            conflicts: history.count(|answer| *answer == Answer::Conflict),
            unknown: history.count(|answer| *answer == Answer::Unknown),
            running,
            judging: started.elapsed(),
        })
    }
}

#[derive(Debug)]
struct Client {
    name: usize,
    store: Arc<dyn Store>,
    history: Arc<History>,
    rng: Rng,
    run: LinearizabilityRun,
    /// What it saw last of documents.
    known: HashMap<String, Option<Revision>>,
}

impl Client {
    async fn work(mut self, done: Arc<AtomicUsize>) {
        loop {
            let count = done.fetch_add(1, Ordering::SeqCst);
            if count >= self.run.operations {
                return;
            }
            // The documents in use change together, so that each sees about as many operations as another.
            let group = count / (EACH * self.run.hot);
            let document = format!("hot/{group}-{}", self.rng.usize(..self.run.hot));
            let call = self.choose(&document, count as u64);
            self.carry_out(&document, call).await;
        }
    }

    /// Mostly what may succeed after what was seen last.
    fn choose(&mut self, document: &str, value: u64) -> Call {
        let seen = self.known.get(document).cloned().flatten();
        let expected = match &seen {
            Some(revision) if self.rng.u8(..20) > 0 => Expected::At(revision.to_string()),
            _ => Expected::Absent,
        };
        match (self.rng.u8(..100), seen) {
            (..40, _) => Call::Read,
            (40..55, Some(revision)) => Call::Delete { expected: Expected::At(revision.to_string()) },
            _ => Call::Write { value, expected },
        }
    }

    async fn carry_out(&mut self, document: &str, call: Call) {
        let history = Arc::clone(&self.history);
        let pending = history.call(self.name, document, call.clone());
        // A store that never waits would serve one client after the other, and nothing would overlap.
        some_turns(self.rng.usize(..3)).await;
        let operation = operate(&*self.store, document, &call);
        let answer = if self.rng.u32(..100) < self.run.given_up {
            let turns = self.rng.usize(..4);
            tokio::select! {
                biased;
                answer = operation => answer,
                () = some_turns(turns) => return self.forget(document),
            }
        } else {
            operation.await
        };
        match &answer {
            Answer::Found(revision, _) | Answer::Written(revision) => {
                self.known.insert(document.to_owned(), Some(Revision::new(revision.as_str())));
            }
            Answer::Missing | Answer::Deleted => {
                self.known.insert(document.to_owned(), None);
            }
            _ => self.forget(document),
        }
        pending.returned(answer);
    }

    fn forget(&mut self, document: &str) {
        // An old revision now and then shows that it serves no more.
        if self.rng.u8(..4) > 0 {
            self.known.remove(document);
        }
    }
}

async fn some_turns(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Asks a store, and says what its answer means.
async fn operate(store: &dyn Store, document: &str, call: &Call) -> Answer {
    let key = key(document);
    match call {
        Call::Read => match store.get(&key).await {
            Ok(None) => Answer::Missing,
            Ok(Some(found)) => Answer::Found(found.revision.to_string(), Some(number(&found.body))),
            Err(error) => failed(error),
        },
        Call::Write { value, expected } => {
            let body: Body = numbered(*value);
            let precondition = match expected {
                Expected::At(revision) => Precondition::AtRevision(Revision::new(revision.as_str())),
                Expected::Absent | Expected::Present => Precondition::Absent,
            };
            let written = store.put(&key, body, precondition).await;
            written.map_or_else(failed, |revision| Answer::Written(revision.to_string()))
        }
        Call::Delete { expected } => {
            let revision = match expected {
                Expected::At(revision) => revision.as_str(),
                // A store has no such deletion, and the clients ask for none.
                Expected::Absent | Expected::Present => return Answer::NotDone,
            };
            let deleted = store.delete(&key, &Revision::new(revision)).await;
            deleted.map_or_else(failed, |()| Answer::Deleted)
        }
    }
}

/// Only an unknown outcome may have changed something: so says the contract of the errors.
fn failed(error: Error) -> Answer {
    match error {
        Error::Conflict { .. } => Answer::Conflict,
        Error::OutcomeUnknown { .. } => Answer::Unknown,
        _ => Answer::NotDone,
    }
}
