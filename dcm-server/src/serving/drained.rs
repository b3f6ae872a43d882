//! Requests' bodies that are read to their end, by us or for nothing: where a body is left on its connection, its sender hears nothing
//! of the answer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{Request, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{runtime::Handle, sync::oneshot};

/// So much of a body that nobody reads is taken off the connection.
const MOST: usize = 8 * 1024 * 1024;

/// For so long.
const LONGEST: Duration = Duration::from_secs(5);

/// A body of which the rest is read, within bounds, when it is dropped.
struct Drained {
    /// `None` at its end.
    body: Option<Incoming>,
    /// Who waits to be asked for his body, and is not asked, sends none.
    waits_to_be_asked: bool,
    /// Dropped when nothing more is read.
    reading: Option<oneshot::Sender<()>>,
}

/// Ends when nothing more of a body is read.
pub(super) type Read = oneshot::Receiver<()>;

/// The request with a body that is not left on its connection.
pub(super) fn drained(request: Request<Incoming>) -> (Request<Body>, Read) {
    let (reading, read) = oneshot::channel();
    if request.body().is_end_stream() {
        return (request.map(|_| Body::empty()), read);
    }
    // Over HTTP/2 nobody is asked (RFC 9113, section 8.1): its senders send when they have waited.
    let waits_to_be_asked = request.version() < Version::HTTP_2 && request.headers().contains_key(header::EXPECT);
    let body = |body| Body::new(Drained { body: Some(body), waits_to_be_asked, reading: Some(reading) });
    (request.map(body), read)
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Whoever is asked for it sends it.
        self.waits_to_be_asked = false;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        if self.waits_to_be_asked {
            return;
        }
        let reading = self.reading.take();
        // At the end of the process there may be no runtime any more.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(async move {
                drop(tokio::time::timeout(LONGEST, drain(body)).await);
                drop(reading);
            }));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
