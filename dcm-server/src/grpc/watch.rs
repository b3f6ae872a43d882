//! What feeds the answer to one watch.

use std::{future::pending, panic::AssertUnwindSafe, time::Duration};

use dcm_core::{
    error::Error,
    service::{News, Watch, WatchEvent},
};
use futures_util::{FutureExt as _, StreamExt as _, stream, stream::BoxStream};
use tokio::{
    sync::mpsc::{self, Sender},
    time::{Instant, sleep_until},
};
use tonic::Status;

use super::{Answer, App, Reply, call::Call, status::render};
use crate::{
    http::{Place, Problem, Shown},
    status::Kind,
};

/// When to try again where the server stops: at once, at another one.
const RETRY_AFTER: u64 = 1;

/// The answer to a watch.
pub(super) type Events<T> = BoxStream<'static, Result<T, Status>>;

/// What a watch is told in.
pub(super) trait Telling: Send + Sized + 'static {
    /// What is told.
    type Event;

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
        put: impl Fn(&V) -> T::Event + Send + Sync + 'static,
    ) -> Answer<Events<T>> {
        self.fed(|client| async move { Feed::<T, _> { client, put }.feed(watch).await })
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
                () = until(deadline) => client.fail(Problem::new(Kind::TimedOut, "the deadline of the call has passed")).await,
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
    receiver: mpsc::Receiver<Item<T>>,
    call: Call,
) -> impl futures_util::Stream<Item = Result<T, Status>> + Send + 'static {
    stream::unfold(Some((receiver, call)), async |state| {
        let (mut receiver, call) = state?;
        match receiver.recv().await {
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
    items: Sender<Item<T>>,
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
        let _ = self.items.send(Item::Event(event)).await;
    }

    /// The watch ends well.
    pub(super) async fn end(&self) {
        let _ = self.items.send(Item::End).await;
    }

    pub(super) async fn fail(&self, problem: Problem) {
        let status = render(problem, &self.call);
        // Its client hears it even where he takes no more events: the connection's bound holds for that, too.
        let _ = self.items.send(Item::Last(Err(status))).await;
    }
}

/// Reads a watch for its client, no faster than he does: what he has not taken is not read.
struct Feed<T, P> {
    client: Client<T>,
    put: P,
}

impl<T: Telling, P> Feed<T, P> {
    async fn feed<V: Shown>(&self, mut watch: Watch<V>)
    where
        P: Fn(&V) -> T::Event,
    {
        while let Some(told) = watch.next().await {
            let (item, pause) = self.item(told);
            let is_last = matches!(item, Item::Last(_));
            // As in `tell`.
            if self.client.items.send(item).await.is_err() || is_last {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn item<V: Shown>(&self, told: Result<WatchEvent<V>, Error>) -> (Item<T>, Duration)
    where
        P: Fn(&V) -> T::Event,
    {
        let WatchEvent { position, news } = match told {
            Ok(event) => event,
            Err(error) => return (Item::Last(Err(render(error.into(), &self.client.call))), Duration::ZERO),
        };
        let event = |event| Item::Event(T::new(position.to_string(), event));
        match news {
            News::Put(record) => (event((self.put)(&record)), record.pause()),
            News::Deleted(name) => (event(T::deleted(name)), Duration::ZERO),
            News::Synced => (event(T::synced()), Duration::ZERO),
            // Nobody can go on behind it.
            News::Ended => (Item::Last(Ok(T::new(String::new(), T::ended()))), Duration::ZERO),
        }
    }
}

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
