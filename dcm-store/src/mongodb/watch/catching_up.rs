//! A stream of one watch's own, from a place that lies before all that the tail has, until it has come as far.

use std::sync::Arc;

use dcm_core::store::{Change, Error, Event, Key};
use mongodb::change_stream::event::ResumeToken;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore, SemaphorePermit,
    mpsc::{self, error::TrySendError},
};

use super::{Inner, Place, Stream, TURN, next, recorded, start, tail::Tail};

/// How many events a watch reads ahead, until they have so many bytes together.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 256 * 1024;

/// What was read.
pub(super) enum Read {
    /// A change, and the room that it takes until it is told.
    Event(Event, Option<OwnedSemaphorePermit>),
    /// The tail has all that comes after this place.
    CaughtUp(Place),
    /// There will be nothing more.
    Failed(Error),
}

/// Reads on by itself; ends when nobody receives any more.
pub(super) fn catch_up(
    inner: Arc<Inner>,
    prefix: Option<Key>,
    at: Place,
    tail: Arc<Tail>,
    stream: Option<Stream>,
) -> mpsc::Receiver<Read> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let room = Arc::new(Semaphore::new(AHEAD_BYTES));
    // A task of its own: a driver's future that is dropped half way closes its connection.
    tokio::spawn(Reader { inner, prefix, at, tail, sender, room }.run(stream));
    receiver
}

struct Reader {
    inner: Arc<Inner>,
    prefix: Option<Key>,
    /// Everything up to here was read.
    at: Place,
    tail: Arc<Tail>,
    sender: mpsc::Sender<Read>,
    /// For how many bytes more there is room.
    room: Arc<Semaphore>,
}

impl Reader {
    async fn run(mut self, stream: Option<Stream>) {
        let end = match self.read(stream).await {
            Ok(Some(place)) => Read::CaughtUp(place),
            Ok(None) => return,
            Err(error) => Read::Failed(error),
        };
        // Fails where nobody watches any more.
        let _ = self.sender.send(end).await;
    }

    /// Until the tail has the rest, or nobody watches.
    async fn read(&mut self, stream: Option<Stream>) -> Result<Option<Place>, Error> {
        let mut stream = match stream {
            Some(stream) => stream,
            None => start(&self.inner, &self.at).await?,
        };
        while !self.sender.is_closed() {
            if let Some(place) = self.turn(&mut stream).await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Reads what there is, in a place among the connections that watches may hold.
    async fn turn(&mut self, stream: &mut Stream) -> Result<Option<Place>, Error> {
        let inner = Arc::clone(&self.inner);
        // The tail waits for none of these.
        let Some(one_of_us) = self.place(&inner.catching_up).await? else { return Ok(None) };
        let Some(place) = self.place(&inner.watching).await? else { return Ok(None) };
        for _ in 0..TURN {
            let Some(event) = next(&self.inner, stream).await? else { return Ok(self.rest(stream.resume_token())) };
            let Some(change) = recorded(&self.inner, &event)? else { continue };
            // Of a change that is told: the tail has no others.
            self.at = Place::of(&event).unwrap_or_else(|| self.at.clone());
            if self.prefix.as_ref().is_none_or(|prefix| change.key.is_below(prefix))
                && let Some(waiting) = self.send(change.into_event(&self.inner.id))
            {
                // Who reads slowly must not keep a connection from others.
                drop((place, one_of_us));
                self.wait(waiting).await;
                return Ok(self.caught_up());
            }
            if let Some(place) = self.caught_up() {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The server has nothing to tell now. Its token says up to which time that is known, where it is one of MongoDB's own servers.
    fn rest(&self, token: Option<ResumeToken>) -> Option<Place> {
        let place = Place::before(&token?)?;
        (place.time > self.at.time && self.tail.has_all_after(&place)).then_some(place)
    }

    /// A place among the connections; `None` where nobody watches any more.
    async fn place<'a>(&self, places: &'a Semaphore) -> Result<Option<SemaphorePermit<'a>>, Error> {
        tokio::select! {
            place = places.acquire() => place.map(Some).map_err(|closed| Error::Unavailable(Box::new(closed))),
            () = self.sender.closed() => Ok(None),
        }
    }

    /// Where the tail has the rest.
    fn caught_up(&self) -> Option<Place> {
        self.tail.has_all_after(&self.at).then(|| self.at.clone())
    }

    /// Hands an event over where there is room; gives it back where there is none.
    fn send(&self, event: Event) -> Option<Read> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(size(&event)) else {
            return Some(Read::Event(event, None));
        };
        match self.sender.try_send(Read::Event(event, Some(room))) {
            Ok(()) | Err(TrySendError::Closed(_)) => None,
            Err(TrySendError::Full(full)) => Some(full),
        }
    }

    /// Waits until there is room. Does nothing where nobody watches any more.
    async fn wait(&self, read: Read) {
        let read = match read {
            Read::Event(event, None) => tokio::select! {
                room = Arc::clone(&self.room).acquire_many_owned(size(&event)) => Read::Event(event, room.ok()),
                () = self.sender.closed() => return,
            },
            read => read,
        };
        let _ = self.sender.send(read).await;
    }
}

/// What an event takes of the room: all of it, where it is larger.
fn size(event: &Event) -> u32 {
    let bytes = match &event.change {
        Change::Put(document) => document.body.as_bytes().len(),
        Change::Deleted(_) => 0,
    };
    u32::try_from(bytes.min(AHEAD_BYTES)).unwrap_or(u32::MAX)
}
