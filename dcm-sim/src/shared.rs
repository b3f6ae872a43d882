//! What the parts of one cluster share: its state behind one lock, its CA, its faults, its log of requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::sync::watch;

use crate::auth::{self, MASTERS, User};
use crate::cluster::ClusterOptions;
use crate::controller;
use crate::error::Error;
use crate::faults::Faults;
use crate::pki::Ca;
use crate::requests::RequestLog;
use crate::state::State;

pub(crate) struct Shared {
    pub(crate) options: ClusterOptions,
    pub(crate) ca: Ca,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    state: Mutex<State>,
    revision: watch::Sender<u64>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(options: ClusterOptions) -> Result<Self, Error> {
        let mut state = State::new();
        auth::bootstrap::fill(&mut state, options.identity.as_deref());
        Ok(Self {
            ca: Ca::generate(&options.name)?,
            faults: Faults::new(options.latency),
            requests: RequestLog::new(options.remembered_requests),
            revision: watch::Sender::new(state.revision()),
            state: Mutex::new(state),
            options,
        })
    }

    /// Looks at the state. The lock is never held across an await.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, wakes the watches, and starts what controllers have to do about it.
    pub(crate) fn write<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> T {
        let (answer, tasks, revision) = {
            let mut state = self.lock();
            let answer = change(&mut state);
            (answer, std::mem::take(&mut state.tasks), state.revision())
        };
        self.revision.send_if_modified(|known| {
            let newer = revision > *known;
            *known = revision.max(*known);
            newer
        });
        for task in tasks {
            controller::start(self, task);
        }
        answer
    }

    /// Tells when the revision changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Whom a bearer token stands for.
    pub(crate) fn token_user(&self, token: &str) -> Option<User> {
        let admin = self.options.admin_token.as_ref();
        if admin.is_some_and(|admin| admin.expose() == token) {
            return Some(User::authenticated("admin", [MASTERS.to_owned()]));
        }
        self.read(|state| auth::account_of(state, token))
    }

    /// The longest life of a certificate or token.
    pub(crate) fn longest_certificate(&self) -> Option<SignedDuration> {
        self.options.max_certificate_lifetime.and_then(|longest| SignedDuration::try_from(longest).ok())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst one half-made change; a simulator goes on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
