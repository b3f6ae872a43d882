//! Whether anything goes on on a connection.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

/// What HTTP/2 answers to pings and settings has fewer bytes: an answer of ours has more.
const SMALLEST_ANSWER: usize = 64;

/// What goes on on a connection: the requests that are served, and the answers that are written. What its
/// client sends is not looked at: he may send for ever without a request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    last: Instant,
    /// Whether what ended last was an answer that went on for long.
    streamed: bool,
}

/// Stands for a request for as long as it is served.
#[derive(Debug)]
pub(super) struct Request(Activity);

/// Stands for an answer that goes on after its request was served, for as long as it does.
#[derive(Debug)]
pub(in crate::http) struct Streaming(Activity);

/// How long the end of such an answer may take.
const LAST_PIECE: Duration = Duration::from_secs(1);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { running: 0, last: Instant::now(), streamed: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something goes on now.
    pub(super) fn note(&self) {
        self.state().last = Instant::now();
    }

    /// A request is served until what is returned is dropped.
    pub(super) fn request(&self) -> Request {
        self.begin();
        Request(self.clone())
    }

    /// An answer goes on until what is returned is dropped.
    pub(in crate::http) fn stream(&self) -> Streaming {
        self.begin();
        Streaming(self.clone())
    }

    fn begin(&self) {
        let mut state = self.state();
        state.running = state.running.saturating_add(1);
        state.streamed = false;
    }

    fn end(&self, streamed: bool) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
        state.last = Instant::now();
        state.streamed = streamed;
    }

    /// Waits until the end of an answer that went on for long was not taken in time. For a server that stops.
    pub(super) async fn end_not_taken(&self) {
        loop {
            let since = {
                let state = self.state();
                (state.streamed && state.running == 0).then_some(state.last)
            };
            match since {
                Some(since) if since.elapsed() >= LAST_PIECE => return,
                _ => tokio::time::sleep(LAST_PIECE / 10).await,
            }
        }
    }

    /// Waits until nothing has gone on for so long.
    pub(super) async fn idle(&self, within: Duration) {
        loop {
            let now = Instant::now();
            let end = {
                let state = self.state();
                let last = if state.running > 0 { now } else { state.last };
                last.checked_add(within)
            };
            match end {
                Some(end) if end <= now => return,
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.end(true);
    }
}

/// A stream that notes when an answer goes out.
#[derive(Debug)]
pub(super) struct Noted {
    stream: TcpStream,
    activity: Activity,
}

impl Noted {
    pub(super) const fn new(stream: TcpStream, activity: Activity) -> Self {
        Self { stream, activity }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(SMALLEST_ANSWER..)) = written {
            self.activity.note();
        }
        written
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_connection_is_idle_only_when_its_last_request_has_been_served_for_a_while() {
        let activity = Activity::new();
        let (one, two) = (activity.request(), activity.request());
        drop(one);
        assert!(tokio::time::timeout(WITHIN * 3, activity.idle(WITHIN)).await.is_err());
        let served = Instant::now();
        drop(two);
        activity.idle(WITHIN).await;
        assert!(served.elapsed() >= WITHIN && served.elapsed() < WITHIN * 100, "{:?}", served.elapsed());
    }
}
