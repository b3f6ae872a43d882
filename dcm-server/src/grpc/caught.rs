use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::HttpBody;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;
use tonic::{Status, body::Body};

/// A stream that ends with a status where what makes it panics: its connection has other calls, which go on.
pub(super) struct Caught {
    body: Option<Body>,
    request_id: String,
}

impl Caught {
    /// `request_id` is for the log.
    pub(super) const fn new(body: Body, request_id: String) -> Self {
        Self { body: Some(body), request_id }
    }
}

impl HttpBody for Caught {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(context))) {
            Ok(polled) => polled,
            // What it says may quote what its client sent.
            Err(_panic) => {
                self.body = None;
                tracing::error!(request_id = %self.request_id, "a stream panicked");
                let status = Status::internal("the stream broke off; the failure is in the server's log");
                Poll::Ready(Some(Ok(end_with(&status))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// The end of a stream.
pub(super) fn end_with(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    // One that cannot be written leaves an end without a status, which clients take for a failure, too.
    let _ = status.add_header(&mut trailers);
    Frame::trailers(trailers)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_stream_that_panics_ends_with_a_status_that_does_not_quote_it() {
        let frames = futures_util::stream::iter(0..2).map(|number| {
            assert_eq!(number, 0, "s3cret");
            Ok::<_, Status>(Frame::data(Bytes::from_static(b"x")))
        });
        let mut body = Caught::new(Body::new(StreamBody::new(frames)), String::new());
        assert!(body.frame().await.unwrap().unwrap().is_data());
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
        assert!(body.frame().await.is_none());
    }
}
