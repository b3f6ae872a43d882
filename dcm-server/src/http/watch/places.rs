use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{http::problem::Problem, status::Kind};

/// When to try again where there are too many watches: they last.
const RETRY_AFTER: u64 = 10;

/// All watches of a server.
#[derive(Debug)]
pub(crate) struct Watches {
    most: usize,
    free: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Stands for one watch.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    /// Tells when the server stops.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Watches {
    pub(crate) fn at_most(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most));
        Self { most, free, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    /// A place for one more.
    pub(crate) fn place(&self) -> Result<Place, Problem> {
        match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => Ok(Place { _permit: permit, stop: self.stop.clone(), tasks: self.tasks.clone() }),
            Err(_) => {
                let detail = format!("{} watches are being served already, which is the most", self.most);
                Err(Problem::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER))
            }
        }
    }

    /// Ends all of them.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }

    /// Waits until all of them have ended.
    pub(crate) async fn ended(&self) {
        self.tasks.wait().await;
    }
}
