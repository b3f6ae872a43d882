//! One stream for all watches of a process, for as long as there are any.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dcm_core::store::{Change, Error, Event, Key, Position};
use tokio::{sync::Mutex, time::Instant};

use super::{Inner, Place, Stream, TURN, begin, next, recorded};
use crate::changes::{Cursor, End, Journal, Recorded, Ring};

/// A tail that nobody watches stays for so long after it began: who has just asked for a position is about to watch from there.
const LINGER: Duration = Duration::from_secs(5);

/// Has the tail that there is, while somebody watches.
#[derive(Default)]
pub(in crate::mongodb) struct Tails {
    current: Mutex<Weak<Tail>>,
    /// How often it was found out where the stream is now, and what came of it last, with its number.
    looks: AtomicU64,
    last: Mutex<Option<(u64, Place)>>,
}

impl Tails {
    /// Where a stream that is opened now begins. Callers who come together share one look.
    pub(super) async fn here(&self, inner: &Inner) -> Result<Place, Error> {
        let before = self.looks.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        // Begun after the call, so it is as good as one's own.
        if let Some((_, place)) = last.as_ref().filter(|(look, _)| *look > before) {
            return Ok(place.clone());
        }
        let look = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
        let (place, _) = begin(inner).await?;
        *last = Some((look, place.clone()));
        Ok(place)
    }

    /// The tail that there is, or a new one, and where that began. It always begins now: a place that a client says must not
    /// decide what all others wait for.
    pub(super) async fn join(&self, inner: &Arc<Inner>) -> Result<(Arc<Tail>, Option<Place>), Error> {
        let mut current = self.current.lock().await;
        if let Some(tail) = current.upgrade().filter(|tail| tail.journal.check().is_ok()) {
            return Ok((tail, None));
        }
        let (start, stream) = begin(inner).await?;
        let journal = Journal::new(0, inner.config.history);
        let tail = Arc::new(Tail { journal, start: start.clone(), id: inner.id.clone() });
        *current = Arc::downgrade(&tail);
        tokio::spawn(run(Arc::clone(inner), Arc::clone(&tail), stream));
        Ok((tail, Some(start)))
    }
}

/// The last changes that one stream told.
pub(super) struct Tail {
    journal: Journal,
    /// Where the stream began.
    start: Place,
    id: String,
}

/// One watch's way through the last changes.
pub(super) struct Follower {
    tail: Arc<Tail>,
    prefix: Option<Key>,
    cursor: Cursor,
    /// What comes up to here is not told again: the tail may not have come so far yet.
    told: Option<Place>,
}

impl Tail {
    /// Reads on after a place, unless something that came after it is gone here.
    pub(super) fn after(self: &Arc<Self>, prefix: Option<&Key>, at: &Place) -> Option<Follower> {
        let mut told = None;
        let number = self.journal.look(|ring| {
            let gone = self.gone(ring);
            if *at == gone {
                return Some(ring.floor());
            }
            if !at.is_behind(&gone) {
                return None;
            }
            let place = |change: &Recorded| change.position.as_ref().and_then(|at| Place::parse(&self.id, at));
            let time = |change: &Recorded| place(change).map_or(0, |place| place.time);
            let before = ring.last_where(|change| time(change) < at.time);
            let mut same_time = ring.after(before).take_while(|change| time(change) == at.time);
            let this = same_time.find(|change| place(change).as_ref() == Some(at));
            if this.is_none() {
                told = Some(at.clone());
            }
            Some(this.map_or(before, |this| this.number))
        })?;
        // Up to the place every change is looked at: of several at one time, the one that it names may lie below another prefix.
        let cursor = self.journal.cursor(prefix.filter(|_| told.is_none()), number);
        Some(Follower { tail: Arc::clone(self), prefix: prefix.cloned(), cursor, told })
    }

    /// Appends a change, whose number is the next one. Only the stream's reader does.
    fn append(&self, change: Recorded) {
        let number = self.journal.look(Ring::last) + 1;
        self.journal.append([Recorded { number, ..change }]);
    }

    /// Whether nothing is gone here that came after a place.
    pub(super) fn has_all_after(&self, at: &Place) -> bool {
        self.journal.look(|ring| at.is_behind(&self.gone(ring)))
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
                Err(Error::Expired) => match self.tail.journal.check() {
                    Err(Error::Expired) => return Some(Err(Error::Expired)),
                    _ => return None,
                },
                Err(error) => return Some(Err(error)),
            };
            if !self.is_told(&event.position) && self.is_below(&event.change) {
                return Some(Ok(event));
            }
        }
    }

    fn is_below(&self, change: &Change) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| change.key().is_below(prefix))
    }

    fn is_told(&mut self, position: &Position) -> bool {
        let Some(told) = &self.told else { return false };
        let Some(place) = Place::parse(&self.tail.id, position) else { return false };
        let is_told = place.time <= told.time;
        // Of the changes of one time, those after this one are new.
        if !is_told || place == *told {
            self.told = None;
            self.cursor.below(self.prefix.as_ref());
        }
        is_told
    }

    /// Behind the last change that was looked at, whether it was below the prefix or not, once that is past what was told before.
    pub(super) fn at(&self) -> Option<Place> {
        let passed = self.cursor.passed().filter(|_| self.told.is_none())?;
        Place::parse(&self.tail.id, passed)
    }
}

/// Reads the stream for as long as somebody watches.
async fn run(inner: Arc<Inner>, tail: Arc<Tail>, mut stream: Stream) {
    let (begun, watched) = (Instant::now(), Arc::downgrade(&tail));
    let mut lingering = Some(tail);
    while let Some(tail) = watched.upgrade() {
        if let Err(error) = turn(&inner, &tail, &mut stream).await {
            return tail.journal.end(match &error {
                Error::Expired => End::Expired,
                Error::Unavailable(reason) => End::Unavailable(reason.to_string().into()),
                other => End::Unavailable(other.to_string().into()),
            });
        }
        lingering = lingering.filter(|_| begun.elapsed() < LINGER);
    }
}

/// Tells what there is, in a place among the connections that watches may hold.
async fn turn(inner: &Inner, tail: &Tail, stream: &mut Stream) -> Result<(), Error> {
    let _place = inner.watching.acquire().await.map_err(|closed| Error::Unavailable(Box::new(closed)))?;
    for _ in 0..TURN {
        let Some(event) = next(inner, stream).await? else { return Ok(()) };
        if let Some(change) = recorded(inner, &event)? {
            tail.append(change);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dcm_core::store::Body;
    use futures_util::FutureExt as _;
    use mongodb::{
        bson::{Bson, deserialize_from_bson, doc},
        change_stream::event::ResumeToken,
    };

    use super::*;

    /// Behind everything of a time, or behind one of its changes.
    fn place(time: u64, change: Option<&str>) -> Place {
        match change {
            None => Place::after(time),
            Some(token) => {
                let token: ResumeToken = deserialize_from_bson(Bson::Document(doc! { "_data": token })).unwrap();
                let mut place = Place::after(time).with(&token).unwrap();
                place.is_change = true;
                place
            }
        }
    }

    fn tail(history: usize) -> Arc<Tail> {
        Arc::new(Tail { journal: Journal::new(0, history), start: place(1, None), id: "id".to_owned() })
    }

    /// Changes with their times; each is a document of its own, and its name its token.
    fn append(tail: &Tail, changes: &[(u64, &str)]) {
        for (time, key) in changes {
            let token = key.replace('/', "");
            let position = Some(place(*time, Some(&token)).position(&tail.id));
            let change = Recorded::numbered(0, key.parse().unwrap(), Some(Body::from_json(*b"{}")));
            tail.append(Recorded { position, ..change });
        }
    }

    /// What a watch of `a` is told now.
    fn told(follower: &mut Follower) -> Vec<String> {
        let next = |follower: &mut Follower| follower.next().now_or_never().flatten();
        let keys = std::iter::from_fn(|| next(follower).map(|event| event.unwrap().change.key().to_string()));
        keys.collect()
    }

    const CHANGES: [(u64, &str); 6] = [(2, "a/1"), (3, "b/1"), (3, "a/2"), (3, "a/3"), (4, "b/2"), (5, "a/4")];

    #[test]
    fn what_comes_after_a_place_is_told_also_of_several_changes_at_one_time() {
        let tail = tail(100);
        append(&tail, &CHANGES);
        let a: Key = "a".parse().unwrap();
        for (at, expected) in [
            (place(1, None), vec!["a/1", "a/2", "a/3", "a/4"]),
            (place(2, Some("a1")), vec!["a/2", "a/3", "a/4"]),
            (place(3, Some("b1")), vec!["a/2", "a/3", "a/4"]),
            (place(3, Some("a2")), vec!["a/3", "a/4"]),
            (place(3, None), vec!["a/4"]),
            (place(9, None), vec![]),
        ] {
            let mut follower = tail.after(Some(&a), &at).unwrap();
            assert_eq!(told(&mut follower), expected, "{at:?}");
        }
        assert!(tail.after(Some(&a), &place(1, Some("x"))).is_none(), "before the tail began");
    }

    #[test]
    fn a_place_that_the_tail_has_not_come_to_yet_is_waited_for() {
        let a: Key = "a".parse().unwrap();
        for (at, expected) in [
            (place(3, Some("b1")), vec!["a/2", "a/3", "a/4"]),
            (place(3, Some("a2")), vec!["a/3", "a/4"]),
            (place(3, None), vec!["a/4"]),
        ] {
            let tail = tail(100);
            append(&tail, &CHANGES[..1]);
            let mut follower = tail.after(Some(&a), &at).unwrap();
            assert_eq!(told(&mut follower), Vec::<String>::new());
            assert_eq!(follower.at(), None, "what it looked at lies before the place");
            append(&tail, &CHANGES[1..]);
            assert_eq!(told(&mut follower), expected, "{at:?}");
            assert_eq!(follower.at(), Some(place(5, Some("a4"))));
        }
    }

    #[test]
    fn behind_the_last_change_that_is_gone_nothing_is_missing_and_before_it_something_is() {
        let tail = tail(3);
        append(&tail, &CHANGES);
        let a: Key = "a".parse().unwrap();
        // The last three are left.
        let mut follower = tail.after(Some(&a), &place(3, Some("a2"))).unwrap();
        assert_eq!(told(&mut follower), ["a/3", "a/4"]);
        assert!(tail.after(Some(&a), &place(3, Some("b1"))).is_none());
        assert!(tail.after(Some(&a), &place(2, Some("a1"))).is_none());
        // Who is overtaken is told so, and knows where he stands.
        append(&tail, &[(6, "a/5"), (6, "a/6"), (7, "a/7"), (8, "a/8")]);
        assert!(follower.next().now_or_never().unwrap().is_none());
        assert_eq!(follower.at(), Some(place(5, Some("a4"))));
    }

    #[test]
    fn a_tail_that_ended_says_why_once_all_is_told() {
        let tail = tail(100);
        append(&tail, &CHANGES[..1]);
        let mut follower = tail.after(None, &place(1, None)).unwrap();
        tail.journal.end(End::Expired);
        assert!(follower.next().now_or_never().unwrap().unwrap().is_ok());
        assert!(matches!(follower.next().now_or_never().unwrap(), Some(Err(Error::Expired))));
        assert!(follower.next().now_or_never().unwrap().is_none());
    }
}
