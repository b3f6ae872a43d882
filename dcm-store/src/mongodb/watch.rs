//! Watches by change streams.
//!
//! All watches of a process read from one stream's last changes (`tail`). One that goes on from a place before these, or that is
//! so slow that they were let go, has a stream of its own until it has come as far (`catching_up`). The streams are not filtered
//! by the server, so that each has the same changes, and a position serves any prefix.

mod catching_up;
mod place;
mod tail;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dcm_core::store::{Changes, Error, Event, Key, Position};
use futures_util::{StreamExt, stream};
use mongodb::{
    bson::{Document, doc},
    change_stream::{
        ChangeStream,
        event::{ChangeStreamEvent, OperationType},
    },
    error::{Error as MongoError, ErrorKind},
    options::{ChangeStreamOptions, FullDocumentType, ReadConcern},
};
use tokio::sync::{SemaphorePermit, mpsc};

use super::{Inner, failure, record, unavailable};
use crate::changes::Recorded;
use catching_up::{Read, catch_up};
use place::Place;
pub(super) use place::{number, timestamp};
pub(super) use tail::Tails;
use tail::{Follower, Tail};

/// How long the server holds a request back that has nothing to tell. A request holds a connection meanwhile.
const AWAIT: Duration = Duration::from_millis(500);

/// How many events are read before others may use the connection. What the driver reads at once is up to the server.
const TURN: usize = 1024;

/// Codes with which a server refuses a resume token: its history is gone, or it cannot be read or found.
const REFUSED_TOKENS: [i32; 7] = [286, 280, 260, 9, 50_811, 40_647, 40_649];

type Stream = ChangeStream<ChangeStreamEvent<Document>>;

/// Opens a stream of the changes after a position, or from now on.
pub(super) async fn open(inner: Arc<Inner>, prefix: Option<Key>, from: Option<Position>) -> Result<Changes, Error> {
    let place = |position| Place::parse(&inner.id, &position).filter(Place::is_whole).ok_or(Error::Expired);
    let from = from.map(place).transpose()?;
    let (tail, begun) = inner.tails.join(&inner).await?;
    let at = match from.or(begun) {
        Some(at) => at,
        None => inner.tails.here(&inner).await?,
    };
    let source = match tail.after(prefix.as_ref(), &at) {
        Some(follower) => Source::Tail(follower),
        None => {
            let stream = start(&inner, &at).await?;
            let (inner, prefix) = (Arc::clone(&inner), prefix.clone());
            Source::Own(catch_up(inner, prefix, at.clone(), Arc::clone(&tail), Some(stream)))
        }
    };
    let watch = Watch { inner, prefix, at, tail, source: Some(source) };
    Ok(stream::unfold(watch, Watch::next).boxed())
}

/// The place where a stream that is opened now begins.
pub(super) async fn position(inner: &Arc<Inner>) -> Result<Position, Error> {
    let place = match inner.tails.join(inner).await? {
        (_, Some(begun)) => begun,
        (_, None) => inner.tails.here(inner).await?,
    };
    Ok(place.position(&inner.id))
}

/// A stream of what comes after now, and where that is.
async fn begin(inner: &Inner) -> Result<(Place, Stream), Error> {
    let now = inner.now().await?;
    let behind = ChangeStreamOptions::builder().start_at_operation_time(timestamp(now.saturating_add(1)));
    let mut stream = listen(inner, behind.build()).await?;
    let place = match stream.resume_token() {
        Some(token) => Place::after(now).with(&token),
        // Something was written just now: the place behind it serves as well.
        None => next(inner, &mut stream).await?.as_ref().and_then(Place::of),
    };
    let place =
        place.ok_or_else(|| unavailable("the server gives no resume tokens: it must be MongoDB 4.2 or newer"))?;
    // So that scans see all that lies before.
    inner.written.fetch_max(place.time, Ordering::SeqCst);
    Ok((place, stream))
}

/// A stream of what comes after a place.
async fn start(inner: &Inner, at: &Place) -> Result<Stream, Error> {
    let token = at.token().ok_or(Error::Expired)?;
    listen(inner, ChangeStreamOptions::builder().resume_after(token).build()).await
}

async fn listen(inner: &Inner, mut options: ChangeStreamOptions) -> Result<Stream, Error> {
    options.full_document = Some(FullDocumentType::UpdateLookup);
    options.max_await_time = Some(AWAIT);
    let _place = inner.opening().await?;
    in_time(inner, inner.documents.watch().with_options(options).into_future()).await
}

/// What the server answers within the time of a call.
async fn in_time<T>(inner: &Inner, call: impl Future<Output = Result<T, MongoError>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(inner.config.deadline, call).await;
    answer.map_err(|_| unavailable("MongoDB did not answer in time"))?.map_err(failed)
}

/// The next event; `None` where there is none now.
async fn next(inner: &Inner, stream: &mut Stream) -> Result<Option<ChangeStreamEvent<Document>>, Error> {
    // The driver goes on by itself after a short failure; a server that is silent is given up.
    let event = in_time(inner, stream.next_if_any()).await?;
    if event.is_none() && !stream.is_alive() { Err(Error::Expired) } else { Ok(event) }
}

/// The change that an event of the server tells, if it tells one.
fn recorded(inner: &Inner, event: &ChangeStreamEvent<Document>) -> Result<Option<Recorded>, Error> {
    match event.operation_type {
        OperationType::Insert | OperationType::Replace | OperationType::Update | OperationType::Delete => {}
        OperationType::Drop | OperationType::Rename | OperationType::DropDatabase | OperationType::Invalidate => {
            return Err(Error::Expired);
        }
        _ => return Ok(None),
    }
    let id = event.document_key.as_ref().and_then(|key| key.get_str("_id").ok());
    // A document that somebody else put there lies below no prefix.
    let Some(Ok(key)) = id.map(str::parse::<Key>) else { return Ok(None) };
    let document = match (&event.operation_type, &event.full_document) {
        (OperationType::Delete, _) => None,
        // Whoever goes on behind this one is told of it again, and a scan says what is wrong with it.
        (_, Some(document)) => Some(record::read(document).map_err(|_| Error::Expired)?),
        // Updated by hand and deleted before it was looked up; the deletion follows.
        (_, None) => return Ok(None),
    };
    let place = Place::of(event).ok_or_else(|| unavailable("the server tells of a change without its time"))?;
    // Who reads because of a change finds it, whichever server answers.
    inner.written.fetch_max(place.time, Ordering::SeqCst);
    let (revision, body) = document.map(|document| (document.revision, document.body)).unzip();
    Ok(Some(Recorded { number: 0, key, revision, position: Some(place.position(&inner.id)), body }))
}

/// What a failure of a stream means for its watch.
fn failed(error: MongoError) -> Error {
    match &*error.kind {
        ErrorKind::Command(command) if REFUSED_TOKENS.contains(&command.code) => Error::Expired,
        _ => failure::of_read(error),
    }
}

impl Inner {
    /// A place among the connections on which watches are opened.
    async fn opening(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.openings.acquire().await.map_err(|closed| Error::Unavailable(Box::new(closed)))
    }

    /// The server's time: everything that was acknowledged before the call happened by then.
    async fn now(&self) -> Result<u64, Error> {
        let _place = self.opening().await?;
        let mut session = self.client.start_session().causal_consistency(true).await.map_err(failure::of_read)?;
        session.advance_operation_time(timestamp(self.written.load(Ordering::SeqCst)));
        // A read of what a majority has answers with the time of that.
        let find = self.documents.find_one(doc! { "_id": "" }).read_concern(ReadConcern::majority());
        let find = find.projection(doc! { "_id": 1 }).session(&mut session);
        in_time(self, find.into_future()).await?;
        let time = session.operation_time().map(number);
        time.ok_or_else(|| unavailable("the server does not tell its time: it must be MongoDB 4.2 or newer"))
    }
}

/// One watch.
struct Watch {
    inner: Arc<Inner>,
    prefix: Option<Key>,
    /// Everything up to here was told.
    at: Place,
    tail: Arc<Tail>,
    /// `None` when it is over.
    source: Option<Source>,
}

/// Where its changes come from.
enum Source {
    Tail(Follower),
    Own(mpsc::Receiver<Read>),
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Event, Error>, Self)> {
        loop {
            match self.source.as_mut()? {
                Source::Tail(follower) => match follower.next().await {
                    Some(Ok(event)) => return Some((Ok(event), self)),
                    Some(Err(error)) => return Some(self.end(error)),
                    None => {
                        self.at = follower.at().unwrap_or(self.at);
                        self.catch_up();
                    }
                },
                Source::Own(changes) => match changes.recv().await {
                    // Its room is free as soon as it is told.
                    Some(Read::Event(event, _)) => return Some((Ok(event), self)),
                    Some(Read::Failed(error)) => return Some(self.end(error)),
                    Some(Read::CaughtUp(place)) => {
                        self.at = place;
                        match self.tail.after(self.prefix.as_ref(), &self.at) {
                            Some(follower) => self.source = Some(Source::Tail(follower)),
                            None => self.catch_up(),
                        }
                    }
                    None => return Some(self.end(unavailable("the watch was closed"))),
                },
            }
        }
    }

    /// From here on by a stream of its own, until the tail has what comes after that.
    fn catch_up(&mut self) {
        let (inner, prefix) = (Arc::clone(&self.inner), self.prefix.clone());
        let changes = catch_up(inner, prefix, self.at.clone(), Arc::clone(&self.tail), None);
        self.source = Some(Source::Own(changes));
    }

    fn end(mut self, error: Error) -> (Result<Event, Error>, Self) {
        self.source = None;
        (Err(error), self)
    }
}
