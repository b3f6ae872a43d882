//! What feeds the answer to one watch.

use std::time::Duration;

use axum::body::Bytes;
use dcm_core::{
    error::Error,
    service::{News, Watch, WatchEvent},
};
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Method, Uri};
use tokio::sync::mpsc::Sender;

use super::{Place, Shown, event};
use crate::http::{problem::Problem, request_id::RequestId};

/// How often a client hears that the stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// So many bytes of events are sent together, where there are so many at once.
const FRAME: usize = 16 * 1024;

/// Reads a watch for its client, no faster than he does: what he has not taken is not read.
pub(super) struct Producer {
    pub(super) place: Place,
    pub(super) uri: Uri,
    pub(super) request_id: RequestId,
}

impl Producer {
    pub(super) fn start<V: Shown>(self, watch: Watch<V>, client: Sender<Bytes>) {
        let tasks = self.place.tasks.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = self.place.stop.cancelled() => {}
                () = client.closed() => {}
                () = self.feed(watch, &client) => {}
            }
        });
    }

    async fn feed<V: Shown>(&self, mut watch: Watch<V>, client: &Sender<Bytes>) {
        let mut next = Frame { bytes: event::OPENING.to_vec(), pause: Duration::ZERO, last: false };
        loop {
            let Frame { bytes, pause, last } = next;
            // However long it takes: a client that takes nothing of what he was sent is cut by his connection.
            if client.send(bytes.into()).await.is_err() {
                return;
            }
            if last {
                return;
            }
            super::rest(pause).await;
            next = match tokio::time::timeout(KEEP_ALIVE, watch.next()).await {
                Ok(Some(item)) => self.frame(item, &mut watch),
                Ok(None) => return,
                Err(_) => Frame { bytes: event::KEEP_ALIVE.to_vec(), pause: Duration::ZERO, last },
            };
        }
    }

    /// Writes what the watch tells now.
    fn frame<V: Shown>(&self, first: Item<V>, watch: &mut Watch<V>) -> Frame {
        let mut frame = Frame { bytes: Vec::with_capacity(1024), pause: Duration::ZERO, last: false };
        let mut item = first;
        loop {
            self.write(&mut frame, item);
            if frame.last || !frame.pause.is_zero() || frame.bytes.len() >= FRAME {
                return frame;
            }
            // Dropping what waits for the next item loses nothing.
            match watch.next().now_or_never() {
                Some(Some(next)) => item = next,
                _ => return frame,
            }
        }
    }

    fn write<V: Shown>(&self, frame: &mut Frame, item: Item<V>) {
        let written = item.map_err(Problem::from).and_then(|event| {
            match &event.news {
                News::Put(record) => frame.pause = record.pause(),
                News::Ended => frame.last = true,
                News::Deleted(_) | News::Synced => {}
            }
            event::write(&mut frame.bytes, &event)
                .map_err(|error| Problem::bug(format!("an event has no JSON form: {error}")))
        });
        if let Err(problem) = written {
            frame.last = true;
            let document = problem.document(&Method::GET, &self.uri, self.request_id.as_str());
            event::write_problem(&mut frame.bytes, &document);
        }
    }
}

/// What is sent together.
struct Frame {
    bytes: Vec<u8>,
    /// How long nothing more is told after it.
    pause: Duration,
    /// Whether nothing follows.
    last: bool,
}

type Item<V> = Result<WatchEvent<V>, Error>;

#[cfg(test)]
mod tests {
    use dcm_core::{
        service::WatchPosition,
        store::{self, Revision},
    };
    use futures_util::stream;
    use serde::Serialize;
    use tokio::sync::mpsc;

    use super::*;
    use crate::http::watch::Watches;

    impl Shown for u8 {
        fn revision(&self) -> Option<&Revision> {
            None
        }

        fn shown(&self) -> impl Serialize {
            self
        }

        fn pause(&self) -> Duration {
            Duration::from_secs(u64::from(*self))
        }
    }

    fn put(number: u8) -> Item<u8> {
        Ok(WatchEvent { position: WatchPosition::new("p"), news: News::Put(number) })
    }

    /// What a client reads that takes everything at once.
    fn start(watches: &Watches, watch: Watch<u8>) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(1);
        let producer = Producer {
            place: watches.place().unwrap_or_else(|_| panic!("a place")),
            uri: Uri::from_static("/x?watch"),
            request_id: RequestId::default(),
        };
        producer.start(watch, sender);
        receiver
    }

    async fn rest(mut client: mpsc::Receiver<Bytes>) -> String {
        let mut all = Vec::new();
        while let Some(bytes) = client.recv().await {
            all.extend_from_slice(&bytes);
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_shows_that_it_is_alive_until_the_server_stops() {
        let watches = Watches::at_most(1);
        let mut client = start(&watches, stream::pending().boxed());
        assert_eq!(client.recv().await.unwrap(), event::OPENING);
        let begun = tokio::time::Instant::now();
        for _ in 0..3 {
            assert_eq!(client.recv().await.unwrap(), event::KEEP_ALIVE);
        }
        assert_eq!(begun.elapsed().as_secs(), 3 * KEEP_ALIVE.as_secs());
        watches.stop();
        watches.ended().await;
        assert_eq!(rest(client).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_his_time_is_waited_for_and_one_that_is_cut_frees_his_place() {
        let watches = Watches::at_most(1);
        let mut client = start(&watches, stream::iter([put(0), put(1), put(0)]).boxed());
        assert_eq!(client.recv().await.unwrap(), event::OPENING);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(client.recv().await.is_some());
        assert!(watches.place().is_err());
        drop(client);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(watches.place().is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_the_last_event_and_tells_nothing_of_the_store() {
        let secret = store::Error::Unavailable("s3cret".into());
        let watch = stream::iter([put(0), Err(Error::Store(secret)), put(0)]).boxed();
        let text = rest(start(&Watches::at_most(1), watch)).await;
        let (before, problem) = text.split_once("event: problem\ndata: ").unwrap();
        assert_eq!(before, "retry: 2000\n\nid: p\nevent: put\ndata: {\"record\":0}\n\n");
        let problem: serde_json::Value = serde_json::from_str(problem.strip_suffix("\n\n").unwrap()).unwrap();
        assert_eq!((&problem["status"], &problem["instance"]), (&503.into(), &"/x".into()));
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_what_is_dear_to_derive_there_is_a_pause() {
        let mut client = start(&Watches::at_most(1), stream::iter([put(7), put(0), put(0)]).boxed());
        client.recv().await.unwrap();
        client.recv().await.unwrap();
        let begun = tokio::time::Instant::now();
        let together = client.recv().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 7);
        assert_eq!(together, "id: p\nevent: put\ndata: {\"record\":0}\n\n".repeat(2));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_sign_of_life_there_is_no_pause() {
        let later = stream::once(async {
            tokio::time::sleep(KEEP_ALIVE + Duration::from_secs(1)).await;
            put(0)
        });
        let mut client = start(&Watches::at_most(1), stream::iter([put(7)]).chain(later).boxed());
        client.recv().await.unwrap();
        client.recv().await.unwrap();
        let begun = tokio::time::Instant::now();
        assert_eq!(client.recv().await.unwrap(), event::KEEP_ALIVE);
        assert_eq!(client.recv().await.unwrap(), "id: p\nevent: put\ndata: {\"record\":0}\n\n");
        assert_eq!(begun.elapsed().as_secs(), 7 + KEEP_ALIVE.as_secs() + 1);
    }
}
