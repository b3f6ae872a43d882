//! Watches by change streams.
//!
//! A position is the store's id and a resume token of the server. The stream is not filtered by the server: a token of a
//! stream with one `$match` need not be found again by a stream with another, and a position has to serve any prefix.

use std::{sync::Arc, time::Duration};

use dcm_core::store::{Change, Changes, Error, Event, Key, Position};
use futures_util::StreamExt;
use mongodb::{
    bson::{self, Bson, Document},
    change_stream::{
        ChangeStream,
        event::{ChangeStreamEvent, OperationType, ResumeToken},
    },
    error::{Error as MongoError, ErrorKind},
    options::FullDocumentType,
};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, error::TrySendError},
};

use super::{Inner, failure, record, unavailable};

/// How long the server holds a request back that has nothing to tell. A request holds a connection meanwhile.
const AWAIT: Duration = Duration::from_millis(500);

/// How many events a watch reads ahead, until they have so many bytes together, and how many it reads before others may use
/// its connection. What the driver reads at once is up to the server.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 256 * 1024;
const TURN: usize = 1024;

/// What comes between the store's id and the token.
const MARK: &str = "-s-";

/// Codes with which a server refuses a resume token: its history is gone, or it cannot be read or found.
const REFUSED_TOKENS: [i32; 7] = [286, 280, 260, 9, 50_811, 40_647, 40_649];

type Stream = ChangeStream<ChangeStreamEvent<Document>>;

/// Opens a stream of the changes after a position, or from now on.
pub(super) async fn open(inner: Arc<Inner>, prefix: Option<Key>, from: Option<Position>) -> Result<Changes, Error> {
    let token = from.map(|position| token(&inner.id, &position).ok_or(Error::Expired)).transpose()?;
    let stream = start(&inner, token).await?;
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let room = Arc::new(Semaphore::new(AHEAD_BYTES));
    // A task of its own: a driver's future that is dropped half way closes its connection.
    tokio::spawn(Reader { inner, prefix, stream, sender, room }.run());
    let events = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    // Whoever gets an event makes room for others.
    Ok(events.map(|(event, _room)| event).boxed())
}

/// The place where a stream that is opened now begins.
pub(super) async fn position(inner: &Inner) -> Result<Position, Error> {
    let mut stream = start(inner, None).await?;
    if stream.resume_token().is_none() {
        // Something was written just now: its own token serves as well.
        stream.next_if_any().await.map_err(failed)?;
    }
    let token = stream.resume_token();
    let token =
        token.ok_or_else(|| unavailable("the server gives no resume tokens: it must be MongoDB 4.2 or newer"))?;
    text(&inner.id, &token)
}

async fn start(inner: &Inner, after: Option<ResumeToken>) -> Result<Stream, Error> {
    let watch = inner.documents.watch().full_document(FullDocumentType::UpdateLookup).max_await_time(AWAIT);
    watch.resume_after(after).await.map_err(failed)
}

/// Reads a stream for one watch.
struct Reader {
    inner: Arc<Inner>,
    prefix: Option<Key>,
    stream: Stream,
    sender: mpsc::Sender<Ahead>,
    /// For how many bytes more there is room.
    room: Arc<Semaphore>,
}

/// What was read ahead, and the room that it takes.
type Ahead = (Result<Event, Error>, Option<OwnedSemaphorePermit>);

impl Reader {
    async fn run(mut self) {
        while !self.sender.is_closed() {
            if let Err(error) = self.turn().await {
                // Fails where nobody watches any more.
                let _ = self.sender.send((Err(error), None)).await;
                return;
            }
        }
    }

    /// Tells what there is, in a place among the connections that watches may hold.
    async fn turn(&mut self) -> Result<(), Error> {
        let places = Arc::clone(&self.inner);
        let place = tokio::select! {
            place = places.watching.acquire() => place.map_err(|closed| Error::Unavailable(Box::new(closed)))?,
            () = self.sender.closed() => return Ok(()),
        };
        for _ in 0..TURN {
            // The driver goes on by itself after a short failure; a server that is silent is given up.
            let next = tokio::time::timeout(self.inner.config.deadline, self.stream.next_if_any());
            let Some(event) = next.await.map_err(|_| unavailable("MongoDB did not answer in time"))?.map_err(failed)?
            else {
                return if self.stream.is_alive() { Ok(()) } else { Err(Error::Expired) };
            };
            let Some(event) = self.event(event)? else { continue };
            let (room, bytes) = (Arc::clone(&self.room), size(&event));
            let full = match room.try_acquire_many_owned(bytes) {
                Ok(room) => match self.sender.try_send((Ok(event), Some(room))) {
                    Ok(()) => continue,
                    Err(TrySendError::Closed(_)) => return Ok(()),
                    Err(TrySendError::Full(full)) => full,
                },
                Err(_) => (Ok(event), None),
            };
            // Who reads slowly must not keep a connection from others.
            drop(place);
            self.wait(full, bytes).await;
            return Ok(());
        }
        Ok(())
    }

    /// Waits until there is room. Does nothing where nobody watches any more.
    async fn wait(&mut self, (event, room): Ahead, bytes: u32) {
        let room = match room {
            Some(room) => Some(room),
            None => tokio::select! {
                room = Arc::clone(&self.room).acquire_many_owned(bytes) => room.ok(),
                () = self.sender.closed() => return,
            },
        };
        let _ = self.sender.send((event, room)).await;
    }

    /// What an event of the server tells this watch, if anything.
    fn event(&self, event: ChangeStreamEvent<Document>) -> Result<Option<Event>, Error> {
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
        if self.prefix.as_ref().is_some_and(|prefix| !key.is_below(prefix)) {
            return Ok(None);
        }
        let change = match (&event.operation_type, &event.full_document) {
            (OperationType::Delete, _) => Change::Deleted(key),
            // Whoever goes on behind this one is told of it again, and a scan says what is wrong with it.
            (_, Some(document)) => Change::Put(record::read(document).map_err(|_| Error::Expired)?),
            // Updated by hand and deleted before it was looked up; the deletion follows.
            (_, None) => return Ok(None),
        };
        Ok(Some(Event { position: text(&self.inner.id, &event.id)?, change }))
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

/// What a failure of a stream means for its watch.
fn failed(error: MongoError) -> Error {
    match &*error.kind {
        ErrorKind::Command(command) if REFUSED_TOKENS.contains(&command.code) => Error::Expired,
        _ => failure::of_read(error),
    }
}

fn text(id: &str, token: &ResumeToken) -> Result<Position, Error> {
    let wrong = || unavailable("the server gave a resume token that is no document");
    let Ok(Bson::Document(token)) = bson::serialize_to_bson(token) else { return Err(wrong()) };
    let bytes = token.to_vec().map_err(|_| wrong())?;
    Ok(Position::new(format!("{id}{MARK}{}", data_encoding::HEXLOWER.encode(&bytes))))
}

fn token(id: &str, position: &Position) -> Option<ResumeToken> {
    let hex = position.as_str().strip_prefix(id)?.strip_prefix(MARK)?;
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
    let token = Document::from_reader(&bytes[..]).ok()?;
    bson::deserialize_from_bson(Bson::Document(token)).ok()
}
