//! Answers on their way to a client who may take nothing of them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    Error,
    body::{Body, HttpBody},
};
use bytes::Bytes;
use http::Response;
use hyper::body::{Frame, SizeHint};

use super::activity::{Activity, Taken};

/// Smaller answers are handed over whole: what a connection holds of them is little.
const SMALL: u64 = 16 * 1024;

/// Larger ones in pieces of so many bytes, which shows whether their client takes them.
const PIECE: usize = 32 * 1024;

/// A body that notes on its connection when the last piece was taken.
struct Answer {
    body: Body,
    /// What is left of the frame that was handed over last.
    rest: Bytes,
    taken: Taken,
}

/// Watches over an answer that is not small.
pub(super) fn watched(
    response: Response<Body>,
    is_watch: fn(&Response<Body>) -> bool,
    activity: &Activity,
) -> Response<Body> {
    if response.body().size_hint().upper().is_some_and(|size| size <= SMALL) {
        return response;
    }
    let taken = activity.answer(is_watch(&response));
    response.map(|body| Body::new(Answer { body, rest: Bytes::new(), taken }))
}

impl Answer {
    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        self.taken.handed_over();
        Frame::data(piece)
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // Whoever asks for more has taken what he got; he waits for us now.
        self.taken.asked();
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
            match frame.into_data() {
                // Of frames with nothing in them HTTP/2 clients take a hundred, and end the connection.
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.rest = data;
                    return Poll::Ready(Some(Ok(self.piece())));
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
