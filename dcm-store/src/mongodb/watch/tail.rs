//! One stream for all watches of a process, for as long as there are any.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use dcm_core::store::{Error, Event, Key, Position};
use tokio::sync::Mutex;

use super::{Inner, Place, Stream, TURN, begin, next, place, recorded, start};
use crate::changes::{Cursor, End, Journal, Recorded, Ring};

/// A place so many seconds ago is near enough for a tail to begin there: it has less to read than each watch has by itself.
const NEAR: u64 = 60;

/// Has the tail that there is, while somebody watches.
#[derive(Default)]
pub(in crate::mongodb) struct Tails(Mutex<Weak<Tail>>);

impl Tails {
    /// The tail that there is, or a new one, and the place where a watch goes on: the one that it says, or now. Who is the first to
    /// watch finds his own place in the tail, if that is not long ago.
    pub(super) async fn join(&self, inner: &Arc<Inner>, from: Option<Place>) -> Result<(Arc<Tail>, Place), Error> {
        let mut current = self.0.lock().await;
        if let Some(tail) = current.upgrade().filter(|tail| tail.journal.check().is_ok()) {
            drop(current);
            return match from {
                Some(at) => Ok((tail, at)),
                None => Ok((tail, Place::after(inner.now(0).await?))),
            };
        }
        let (now, mut stream) = begin(inner).await?;
        let at = from.unwrap_or_else(|| now.clone());
        let is_near = place::seconds(now.time).saturating_sub(place::seconds(at.time)) <= NEAR;
        if is_near && at != now {
            stream = start(inner, &at).await?;
        }
        let start = if is_near { at.clone() } else { now };
        let journal = Journal::new(0, inner.config.history);
        let tail = Arc::new(Tail { journal, start, number: AtomicU64::new(0), id: inner.id.clone() });
        *current = Arc::downgrade(&tail);
        tokio::spawn(run(Arc::clone(inner), Arc::downgrade(&tail), stream));
        Ok((tail, at))
    }
}

/// The last changes that one stream told.
pub(super) struct Tail {
    journal: Journal,
    /// Where the stream began.
    start: Place,
    /// How many changes it told.
    number: AtomicU64,
    id: String,
}

/// One watch's way through the last changes.
pub(super) struct Follower {
    tail: Arc<Tail>,
    cursor: Cursor,
    /// What comes up to here is not told again: the tail may not have come so far yet.
    told: Option<Place>,
}

impl Tail {
    /// Reads on after a place, unless something that came after it is gone here.
    pub(super) fn after(self: &Arc<Self>, prefix: Option<&Key>, at: &Place) -> Option<Follower> {
        let mut told = Some(at.clone());
        let number = self.journal.look(|ring| {
            if !at.is_behind(&self.gone(ring)) {
                return None;
            }
            let place = |change: &Recorded| change.position.as_ref().and_then(|at| Place::parse(&self.id, at));
            let time = |change: &Recorded| place(change).map_or(0, |place| place.time);
            let before = ring.last_where(|change| time(change) < at.time);
            let mut same_time = ring.after(before).take_while(|change| time(change) == at.time);
            let Some(this) = same_time.find(|change| place(change).as_ref() == Some(at)) else { return Some(before) };
            told = None;
            Some(this.number)
        })?;
        Some(Follower { tail: Arc::clone(self), cursor: self.journal.cursor(prefix, number), told })
    }

    /// Whether nothing is gone here that came after a place.
    pub(super) fn has_all_after(&self, at: &Place) -> bool {
        self.journal.look(|ring| at.is_behind(&self.gone(ring)))
    }

    /// Everything that came after this time is here.
    pub(super) fn reaches_back_to(&self) -> u64 {
        self.journal.look(|ring| self.gone(ring).time)
    }

    /// The last change of all that are gone; where the stream began, if none is.
    fn gone(&self, ring: &Ring) -> Place {
        ring.gone().and_then(|position| Place::parse(&self.id, position)).unwrap_or_else(|| self.start.clone())
    }
}

impl Follower {
    /// The next change; `None` where the tail has let it go.
    pub(super) async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            let event = match self.cursor.next().await? {
                Ok(event) => event,
                Err(Error::Expired) if self.tail.journal.check().is_ok() => return None,
                Err(error) => return Some(Err(error)),
            };
            if !self.is_told(&event.position) {
                return Some(Ok(event));
            }
        }
    }

    fn is_told(&mut self, position: &Position) -> bool {
        let Some(told) = &self.told else { return false };
        let Some(place) = Place::parse(&self.tail.id, position) else { return false };
        if place.time > told.time {
            self.told = None;
            return false;
        }
        // Of the changes of one time, those after this one are new.
        if place == *told {
            self.told = None;
        }
        true
    }

    /// Behind the last change that was looked at, whether it was below the prefix or not.
    pub(super) fn at(&self) -> Option<Place> {
        self.cursor.passed().and_then(|position| Place::parse(&self.tail.id, position))
    }
}

/// Reads the stream for as long as somebody watches.
async fn run(inner: Arc<Inner>, tail: Weak<Tail>, mut stream: Stream) {
    while let Some(tail) = tail.upgrade() {
        if let Err(error) = turn(&inner, &tail, &mut stream).await {
            return tail.journal.end(match &error {
                Error::Expired => End::Expired,
                Error::Unavailable(reason) => End::Unavailable(reason.to_string().into()),
                other => End::Unavailable(other.to_string().into()),
            });
        }
    }
}

/// Tells what there is, in a place among the connections that watches may hold.
async fn turn(inner: &Inner, tail: &Tail, stream: &mut Stream) -> Result<(), Error> {
    let _place = inner.watching.acquire().await.map_err(|closed| Error::Unavailable(Box::new(closed)))?;
    for _ in 0..TURN {
        let Some(event) = next(inner, stream).await? else { return Ok(()) };
        if let Some(change) = recorded(inner, &event)? {
            let number = tail.number.fetch_add(1, Ordering::Relaxed) + 1;
            tail.journal.append([Recorded { number, ..change }]);
        }
    }
    Ok(())
}
