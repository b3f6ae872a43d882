//! What feeds the answer to one watch.

use std::{future::pending, iter, panic::AssertUnwindSafe, time::Duration};

use dcm_core::service::{News, Watch, WatchEvent};
use futures_util::{FutureExt as _, StreamExt as _, stream, stream::BoxStream};
use tokio::{
    sync::mpsc::{self, Sender},
    time::{Instant, sleep_until},
};
use tonic::Status;

use super::{Answer, App, Reply, call::Call, status::render};
use crate::{
    http::{Place, Problem, Shown, rest},
    status::Kind,
};

/// When to try again where the server stops: at once, at another one.
const RETRY_AFTER: u64 = 1;

/// How long it is tried to say that a deadline has passed.
const FAREWELL: Duration = Duration::from_secs(5);

/// What one record is told in, one after the other.
pub(super) type Parts<E> = Box<dyn Iterator<Item = E> + Send>;

/// The answer to a watch.
pub(super) type Events<T> = BoxStream<'static, Result<T, Status>>;

/// What a watch is told in.
pub(super) trait Telling: Send + Sized + 'static {
    /// What is told.
    type Event: Send;

    fn new(event_id: String, event: Self::Event) -> Self;
    fn deleted(name: String) -> Self::Event;
    fn synced() -> Self::Event;
    fn ended() -> Self::Event;
}

/// Implements [`Telling`] for an answer whose events are in this module.
macro_rules! telling {
    ($($response:ident, $events:ident;)*) => {$(
        impl $crate::grpc::watch::Telling for dcm_proto::v1::$response {
            type Event = dcm_proto::v1::$events::Event;

            fn new(event_id: String, event: Self::Event) -> Self {
                Self { event_id, event: Some(event) }
            }

            fn deleted(name: String) -> Self::Event {
                Self::Event::Deleted(name)
            }

            fn synced() -> Self::Event {
                Self::Event::Synced(dcm_proto::v1::WatchSynced {})
            }

            fn ended() -> Self::Event {
                Self::Event::Ended(dcm_proto::v1::WatchEnded {})
            }
        }
    )*};
}

telling! {
    WatchResponse, watch_response;
    WatchProjectsResponse, watch_projects_response;
    WatchClusterProvidersResponse, watch_cluster_providers_response;
    WatchClustersResponse, watch_clusters_response;
    WatchClusterKvPairsResponse, watch_cluster_kv_pairs_response;
    WatchControllersResponse, watch_controllers_response;
}

/// A watch that there is room for.
pub(super) struct Watching {
    place: Place,
    call: Call,
}

impl Watching {
    pub(super) fn new(app: &App, call: Call) -> Result<Self, Problem> {
        Ok(Self { place: app.watches.place()?, call })
    }

    /// The answer: all that the watch tells, each record by `put`.
    pub(super) fn answer<V: Shown, T: Telling>(
        self,
        watch: Watch<V>,
        put: impl Fn(&V) -> T::Event + Send + 'static,
    ) -> Answer<Events<T>> {
        self.answer_in_parts(watch, String::new(), move |record| Box::new(iter::once(put(record))))
    }

    /// The answer: all that the watch tells, which goes on after `from`. Each record is told in the parts that `put` makes of it; in none
    /// where it is nothing new to the client.
    pub(super) fn answer_in_parts<V: Shown, T: Telling>(
        self,
        watch: Watch<V>,
        from: String,
        put: impl FnMut(&V) -> Parts<T::Event> + Send + 'static,
    ) -> Answer<Events<T>> {
        self.fed(|client| async move { Feed { client, put, told: from }.feed(watch).await })
    }

    /// The answer: what `feed` tells its client.
    pub(super) fn fed<T, F>(self, feed: impl FnOnce(Client<T>) -> F) -> Answer<Events<T>>
    where
        T: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (items, receiver) = mpsc::channel(1);
        let Self { place, call } = self;
        let (tasks, stop) = (place.tasks.clone(), place.stop.clone());
        let client = Client { call: call.clone(), items };
        let feeding = feed(client.clone());
        tasks.spawn(async move {
            let _place = place;
            let deadline = client.call.deadline;
            tokio::select! {
                () = stop.cancelled() => {}
                () = client.items.closed() => {}
                () = until(deadline) => {
                    let late = client.fail(Problem::new(Kind::TimedOut, "the deadline of the call has passed"));
                    // One who takes nothing does not keep his place for it.
                    drop(tokio::time::timeout(FAREWELL, late).await);
                }
                fed = AssertUnwindSafe(feeding).catch_unwind() => if fed.is_err() {
                    client.fail(Problem::bug("a watch panicked")).await;
                },
            }
        });
        Ok(Reply::new(events(receiver, call).boxed()))
    }
}

/// One thing on its way to the client.
enum Item<T> {
    Event(T),
    /// Nothing follows.
    Last(Result<T, Status>),
    /// Nothing at all.
    End,
}

/// The client's end: where it ends too early, the server stops.
fn events<T: Send + 'static>(
    receiver: mpsc::Receiver<Box<Item<T>>>,
    call: Call,
) -> impl futures_util::Stream<Item = Result<T, Status>> + Send + 'static {
    stream::unfold(Some((receiver, call)), async |state| {
        let (mut receiver, call) = state?;
        match receiver.recv().await.map(|item| *item) {
            Some(Item::Event(event)) => Some((Ok(event), Some((receiver, call)))),
            Some(Item::Last(last)) => Some((last, None)),
            Some(Item::End) => None,
            None => {
                let detail = "the server stops: go on after the last event, at another server or when it is back";
                let problem = Problem::new(Kind::Overloaded, detail).retry_after(RETRY_AFTER);
                Some((Err(render(problem, &call)), None))
            }
        }
    })
}

/// Whom a watch is told to.
pub(super) struct Client<T> {
    call: Call,
    /// In boxes: a channel has room for thirty-two from its beginning.
    items: Sender<Box<Item<T>>>,
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self { call: self.call.clone(), items: self.items.clone() }
    }
}

impl<T> Client<T> {
    /// Waits however long it takes: a client that takes nothing of what he was sent is cut by his connection.
    pub(super) async fn tell(&self, event: T) {
        // One who has gone ends the whole watch.
        let _ = self.items.send(Box::new(Item::Event(event))).await;
    }

    /// The watch ends well.
    pub(super) async fn end(&self) {
        let _ = self.items.send(Box::new(Item::End)).await;
    }

    pub(super) async fn fail(&self, problem: Problem) {
        let status = render(problem, &self.call);
        // Its client hears it even where he takes no more events: the connection's bound holds for that, too.
        let _ = self.items.send(Box::new(Item::Last(Err(status)))).await;
    }
}

/// Reads a watch for its client, no faster than he does: what he has not taken is not read.
struct Feed<T, P> {
    client: Client<T>,
    put: P,
    /// The last event's id; a watch that goes on there misses nothing of what was told in part only.
    told: String,
}

impl<T: Telling, P> Feed<T, P> {
    async fn feed<V: Shown>(&mut self, mut watch: Watch<V>)
    where
        P: FnMut(&V) -> Parts<T::Event>,
    {
        while let Some(told) = watch.next().await {
            let WatchEvent { position, news } = match told {
                Ok(event) => event,
                Err(error) => return self.client.fail(error.into()).await,
            };
            let mut pause = Duration::ZERO;
            let parts: Parts<T::Event> = match news {
                News::Put(record) => {
                    pause = record.pause();
                    (self.put)(&record)
                }
                News::Deleted(name) => Box::new(iter::once(T::deleted(name))),
                News::Synced => Box::new(iter::once(T::synced())),
                // Nobody can go on behind it.
                News::Ended => {
                    let last = T::new(String::new(), T::ended());
                    return drop(self.client.items.send(Box::new(Item::Last(Ok(last)))).await);
                }
            };
            let mut parts = parts.peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    self.told = position.to_string();
                }
                let event = Item::Event(T::new(self.told.clone(), part));
                if self.client.items.send(Box::new(event)).await.is_err() {
                    return;
                }
            }
            rest(pause).await;
        }
    }
}

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::http::Shared;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_gives_its_place_back_where_the_client_takes_nothing() {
        let app = Shared::for_tests().await;
        let within = Duration::from_secs(1);
        let deadline = Some(Instant::now() + within);
        let call = Call { id: "1".to_owned(), uri: Uri::from_static("/"), deadline };
        let watching = Watching::new(&app, call.clone()).unwrap();
        let talks = async |client: Client<u64>| {
            for number in 0.. {
                client.tell(number).await;
            }
        };
        let untaken = watching.fed(talks).unwrap();
        tokio::time::sleep(within / 2).await;
        assert!(Watching::new(&app, call.clone()).is_err(), "there is one place");
        tokio::time::sleep(within + FAREWELL).await;
        assert!(Watching::new(&app, call).is_ok(), "the place is still held");
        drop(untaken);
    }
}
