use std::time::Duration;

use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::time::sleep;
use tonic::Streaming;

use dcm_proto::v1::StatusUpdate;

use crate::{Error, Kind, Retry};

/// A watch that broke off is taken up again no sooner, even by a client that otherwise tries nothing twice.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// What a watch tells, for as long as it is held. It ends after the event that says that what is watched is gone, and after an error that
/// no other attempt would mend.
///
/// # Guarantees
/// Where the connection or the server breaks off, it goes on after the last event: nothing is lost, nothing is told twice. A status that
/// the server tells in parts is told whole, with all of its clusters.
///
/// # Caveats
/// While the server is away nothing is told, not even that.
pub type Watch<T> = BoxStream<'static, Result<Event<T>, Error>>;

/// One thing that a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<T> {
    /// The server tells this. Its `event_id` is where a later watch may go on.
    Told(T),
    /// The server does not know any more what came after the last event: all that is there follows, as at the beginning of a watch, and what
    /// is not in it is gone.
    Restarted,
}

/// What asks for a watch.
pub(crate) trait Asks: Clone + Send + 'static {
    fn last_event_id(&mut self) -> &mut String;
}

/// What a watch is told in.
pub(crate) trait Tells: Send + 'static {
    fn event_id(&self) -> &str;

    /// Whether nothing follows.
    fn is_end(&self) -> bool;

    /// The status in it, which may be a part of one.
    fn update(&mut self) -> Option<&mut StatusUpdate> {
        None
    }
}

/// Makes a call that begins the watch, or takes it up again.
type Open<M, T> = Box<dyn Fn(M) -> BoxFuture<'static, Result<Streaming<T>, Error>> + Send>;

/// Watches until nothing follows.
pub(crate) fn watch<M: Asks, T: Tells>(asked: M, retry: Retry, open: Open<M, T>) -> Watch<T> {
    let watcher = Watcher { asked, retry, open, events: None, part: None, failed: 0, was_open: false, is_over: false };
    stream::unfold(watcher, async |mut watcher| watcher.next().await.map(|event| (event, watcher))).boxed()
}

struct Watcher<M, T> {
    /// What to ask for next time.
    asked: M,
    retry: Retry,
    open: Open<M, T>,
    events: Option<Streaming<T>>,
    /// What was told of a state whose next part is still to come.
    part: Option<T>,
    /// So many attempts in a row told nothing.
    failed: u32,
    was_open: bool,
    is_over: bool,
}

impl<M: Asks, T: Tells> Watcher<M, T> {
    async fn next(&mut self) -> Option<Result<Event<T>, Error>> {
        while !self.is_over {
            match self.attempt().await {
                Ok(Some(told)) => {
                    if let Some(event) = self.tell(told) {
                        return Some(Ok(event));
                    }
                }
                // It ended without saying that nothing follows: something on the way did that.
                Ok(None) => self.again(None).await,
                Err(error) => {
                    self.events = None;
                    let is_too_old = error.kind() == Some(Kind::Expired);
                    if is_too_old && !self.asked.last_event_id().is_empty() {
                        self.asked.last_event_id().clear();
                        return Some(Ok(Event::Restarted));
                    }
                    let may_pass = error.is_passing() || (is_too_old && self.was_open);
                    if !may_pass || (!self.was_open && self.failed + 1 >= self.retry.attempts) {
                        self.is_over = true;
                        return Some(Err(error));
                    }
                    self.again(Some(error)).await;
                }
            }
        }
        None
    }

    /// The next that the server tells; `None` where the call ended well.
    async fn attempt(&mut self) -> Result<Option<T>, Error> {
        if self.events.is_none() {
            // The whole state is told again.
            self.part = None;
            self.events = Some((self.open)(self.asked.clone()).await?);
            self.was_open = true;
        }
        match &mut self.events {
            Some(events) => events.message().await.map_err(Error::of),
            None => Ok(None),
        }
    }

    /// What there is to tell of it; `None` where another part has to come first.
    fn tell(&mut self, told: T) -> Option<Event<T>> {
        let mut told = joined(self.part.take(), told);
        if told.update().is_some_and(|update| update.more) {
            self.part = Some(told);
            return None;
        }
        self.failed = 0;
        self.is_over = told.is_end();
        told.event_id().clone_into(self.asked.last_event_id());
        Some(Event::Told(told))
    }

    /// Waits before the next attempt.
    async fn again(&mut self, error: Option<Error>) {
        self.events = None;
        self.failed = self.failed.saturating_add(1);
        let pause = error.map_or(Duration::ZERO, |error| self.retry.pause(self.failed, &error));
        sleep(pause.max(LEAST_PAUSE)).await;
    }
}

/// What was told, with the clusters of the parts before it.
fn joined<T: Tells>(before: Option<T>, mut told: T) -> T {
    let before = before.and_then(|mut before| before.update()?.status.take());
    if let (Some(before), Some(status)) = (before, told.update().and_then(|update| update.status.as_mut())) {
        let last = std::mem::replace(&mut status.clusters, before.clusters);
        status.clusters.extend(last);
    }
    told
}
