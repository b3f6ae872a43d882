//! Whether anything goes on on a connection.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// What HTTP/2 answers to pings and settings has fewer bytes: an answer of ours has more.
const SMALLEST_ANSWER: usize = 64;

/// What goes on on a connection: the requests that are served, and the answers that are written. What its
/// client sends is not looked at: he may send for ever without a request.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    last: Instant,
    /// The answers that are on their way.
    answers: BTreeMap<u64, OnItsWay>,
    /// The number of the next of them.
    next: u64,
    /// When something of one of them was taken.
    taken: Instant,
    http2: bool,
    leaving: bool,
}

/// An answer that is on its way.
#[derive(Clone, Copy, Debug)]
struct OnItsWay {
    /// Since when it waits for its client, where it does.
    waits_since: Option<Instant>,
    /// Whether it goes on for as long as its client wants.
    is_watch: bool,
}

/// How often a connection that is to end is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Stands for a request for as long as it is served.
#[derive(Debug)]
pub(super) struct Request(Activity);

/// Stands for an answer for as long as it is on its way.
#[derive(Debug)]
pub(super) struct Taken {
    activity: Activity,
    number: u64,
}

impl Activity {
    pub(super) fn new() -> Self {
        let (answers, now) = (BTreeMap::new(), Instant::now());
        let state = State { running: 0, last: now, answers, next: 0, taken: now, http2: false, leaving: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something goes on now.
    pub(super) fn note(&self) {
        self.state().last = Instant::now();
    }

    /// A request is served until what is returned is dropped.
    pub(super) fn request(&self, version: Version) -> Request {
        let mut state = self.state();
        state.http2 = version == Version::HTTP_2;
        state.running = state.running.saturating_add(1);
        Request(self.clone())
    }

    /// An answer is on its way until what is returned is dropped.
    pub(super) fn answer(&self, is_watch: bool) -> Taken {
        let mut state = self.state();
        let number = state.next;
        state.next = number.wrapping_add(1);
        state.answers.insert(number, OnItsWay { waits_since: None, is_watch });
        Taken { activity: self.clone(), number }
    }

    /// Whether the connection is to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.state().leaving
    }

    /// Waits until it can be ended without a request that is lost. An HTTP/2 client can be told to send no more; another one
    /// hears it with his next answer, or has sent nothing for so long.
    pub(super) async fn farewell(&self, within: Duration) {
        {
            let mut state = self.state();
            (state.leaving, state.last) = (true, Instant::now());
        }
        while !self.state().can_leave(within) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until a client has taken nothing of an answer for so long. Of a watch he may take nothing for as long as he takes something of
    /// others: a channel of gRPC carries the watches of many, and one of them who is slow must not end all. What waits of a watch is
    /// one record, or one state of a logical cloud's status.
    pub(super) async fn stalled(&self, within: Duration) {
        loop {
            let now = Instant::now();
            let first = self.state().waits_since().unwrap_or(now);
            match first.checked_add(within) {
                Some(end) if end <= now => return,
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until all that is left are watches of which a client has taken nothing for so long.
    pub(super) async fn watches_not_taken(&self, within: Duration) {
        while !self.state().has_watches_not_taken(within) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until nothing has gone on for so long.
    pub(super) async fn idle(&self, within: Duration) {
        loop {
            let now = Instant::now();
            let end = {
                let state = self.state();
                let last = if state.is_busy() { now } else { state.last };
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

impl State {
    fn is_busy(&self) -> bool {
        self.running > 0 || !self.answers.is_empty()
    }

    fn waits_since(&self) -> Option<Instant> {
        let since = |one: &OnItsWay| {
            let since = one.waits_since?;
            Some(if one.is_watch { since.max(self.taken) } else { since })
        };
        self.answers.values().filter_map(since).min()
    }

    fn has_watches_not_taken(&self, within: Duration) -> bool {
        let not_taken = |one: &OnItsWay| one.is_watch && one.waits_since.is_some_and(|since| since.elapsed() >= within);
        self.running == 0 && !self.answers.is_empty() && self.answers.values().all(not_taken)
    }

    fn can_leave(&self, within: Duration) -> bool {
        self.http2 || (!self.is_busy() && self.last.elapsed() >= within)
    }
}

impl Taken {
    fn note(&self, waits_since: Option<Instant>) {
        let mut state = self.activity.state();
        let Some(noted) = state.answers.get_mut(&self.number) else { return };
        let waited = std::mem::replace(&mut noted.waits_since, waits_since);
        if waited.is_some() && waits_since.is_none() {
            state.taken = Instant::now();
        }
    }

    /// A piece is the client's to take.
    pub(super) fn handed_over(&self) {
        self.note(Some(Instant::now()));
    }

    /// The client's side has room for the next one.
    pub(super) fn asked(&self) {
        self.note(None);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.answers.remove(&self.number);
        state.last = Instant::now();
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        state.last = Instant::now();
    }
}

/// A stream that notes when an answer goes out.
#[derive(Debug)]
pub(super) struct Noted<S> {
    stream: S,
    activity: Activity,
}

impl<S> Noted<S> {
    pub(super) const fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(SMALLEST_ANSWER..)) = written {
            self.activity.note();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
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
        let (one, two) = (activity.request(Version::HTTP_11), activity.request(Version::HTTP_11));
        drop(one);
        assert!(tokio::time::timeout(WITHIN * 3, activity.idle(WITHIN)).await.is_err());
        let served = Instant::now();
        drop(two);
        activity.idle(WITHIN).await;
        assert!(served.elapsed() >= WITHIN && served.elapsed() < WITHIN * 100, "{:?}", served.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_stalls_where_its_client_does_not_take_it_and_not_where_he_waits_for_us() {
        let activity = Activity::new();
        let (slow, quiet) = (activity.answer(false), activity.answer(false));
        slow.handed_over();
        quiet.handed_over();
        quiet.asked();
        tokio::time::sleep(WITHIN / 2).await;
        slow.asked();
        slow.handed_over();
        let taken = Instant::now();
        activity.stalled(WITHIN).await;
        assert!(taken.elapsed() >= WITHIN && taken.elapsed() < WITHIN * 2, "{:?}", taken.elapsed());
        drop(slow);
        assert!(tokio::time::timeout(WITHIN * 9, activity.stalled(WITHIN)).await.is_err());
        // And whoever waits for us is not idle.
        assert!(tokio::time::timeout(WITHIN * 9, activity.idle(WITHIN)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_not_taken_stalls_only_where_nothing_else_is_taken_either() {
        let activity = Activity::new();
        let (slow, quick) = (activity.answer(true), activity.answer(true));
        slow.handed_over();
        for _ in 0..9 {
            quick.handed_over();
            assert!(tokio::time::timeout(WITHIN / 2, activity.stalled(WITHIN)).await.is_err());
            quick.asked();
        }
        let taken = Instant::now();
        activity.stalled(WITHIN).await;
        assert!(taken.elapsed() >= WITHIN && taken.elapsed() < WITHIN * 2, "{:?}", taken.elapsed());
        // An answer that is no watch holds room that others need.
        slow.asked();
        let _answer = {
            let answer = activity.answer(false);
            answer.handed_over();
            answer
        };
        for _ in 0..2 {
            quick.handed_over();
            tokio::time::sleep(WITHIN / 2).await;
            quick.asked();
        }
        assert!(tokio::time::timeout(WITHIN / 2, activity.stalled(WITHIN)).await.is_ok());
    }
}
