//! Answers that are there as a whole: what they hold is known, and their place in memory.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tonic::{Code, Status};

use super::App;
use crate::{
    http::{Held, Problem},
    status::Kind,
};

/// Smaller answers are not counted: a connection has a few of them at most.
const SMALL: usize = 16 * 1024;

/// The messages of an answer, its trailers, and its place in memory.
pub(super) struct Whole {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    _held: Option<Held>,
}

impl Whole {
    /// Reads all of an answer, and finds room for it. Only one to a read can be refused: what a write did is done.
    pub(super) async fn of(body: tonic::body::Body, app: &App, is_read: bool) -> Result<Self, Problem> {
        let broken = |error| Problem::bug(format!("an answer broke off: {error}"));
        let (mut body, mut first, mut more, mut trailers) = (body, None, None::<BytesMut>, None);
        while let Some(frame) = body.frame().await {
            match frame.map_err(broken)?.into_data() {
                Ok(data) if first.is_none() => first = Some(data),
                Ok(data) => more
                    .get_or_insert_with(|| BytesMut::from(first.as_deref().unwrap_or_default()))
                    .extend_from_slice(&data),
                Err(other) => trailers = other.into_trailers().ok(),
            }
        }
        let data = more.map(BytesMut::freeze).or(first).filter(|data| !data.is_empty());
        let size = data.as_ref().map_or(0, Bytes::len);
        let mut held = None;
        if size > SMALL {
            let mut place = app.answers.clone().none();
            if place.grow(size).await.is_err() && is_read {
                let detail = "too many large answers wait for their clients; ask for less at once, or again later";
                return Err(Problem::new(Kind::Overloaded, detail));
            }
            held = Some(place);
        }
        Ok(Self { data, trailers, _held: held })
    }

    pub(super) fn size(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }

    /// How it ends.
    pub(super) fn code(&self) -> Code {
        let status = self.trailers.as_ref().and_then(Status::from_header_map);
        status.map_or(Code::Ok, |status| status.code())
    }
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    /// Only a bound: gRPC knows no `Content-Length`.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(self.size() as u64 + 1);
        hint
    }
}
