//! Answers in memory that wait for their clients: a request that was served is counted no more, and its answer may still be there for
//! long.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Error,
    body::{Body, HttpBody},
    response::Response,
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::{
    problem::Problem,
    room::{Held, Room},
};
use crate::status::Kind;

/// Smaller answers are not counted: a connection has one, or a few, of them.
const SMALL: u64 = 16 * 1024;

/// An answer with its place in memory.
struct Placed {
    body: Body,
    _held: Held,
}

/// Gives an answer its place. Only one to a read can be refused: what a write did is done.
pub(super) async fn place(response: Response, room: &Room, is_read: bool) -> Result<Response, Problem> {
    let Some(size) = response.body().size_hint().exact().filter(|size| *size > SMALL) else { return Ok(response) };
    let mut held = room.clone().none();
    let placed = held.grow(usize::try_from(size).unwrap_or(usize::MAX)).await;
    if placed.is_err() && is_read {
        let detail = "too many large answers wait for their clients; ask for less at once, or again later";
        return Err(Problem::new(Kind::Overloaded, detail));
    }
    Ok(response.map(|body| Body::new(Placed { body, _held: held })))
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_answers_wait_for_room_and_give_it_back() {
        let room = Room::new(64 * 1024);
        let answer = |bytes: usize| Response::new(Body::from(vec![b'x'; bytes]));
        let first = place(answer(40 * 1024), &room, true).await.unwrap_or_else(|_| panic!("room for one"));
        assert_eq!(first.body().size_hint().exact(), Some(40 * 1024));
        assert!(place(answer(40 * 1024), &room, true).await.is_err());
        // What was written is told, and small answers always go.
        assert!(place(answer(40 * 1024), &room, false).await.is_ok());
        assert!(place(answer(1024), &room, true).await.is_ok());
        drop(first);
        assert!(place(answer(40 * 1024), &room, true).await.is_ok());
    }
}
