//! The stream of a watch's answer.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::answer::Body;
use super::view::View;
use crate::api::watch::{Notice, Watch};
use crate::shared::Shared;

/// How long a watch lasts where the client does not say it.
const LASTS: Duration = Duration::from_secs(45 * 60);
/// How often a client that wants bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);

struct Stream {
    shared: Weak<Shared>,
    changes: Receiver<u64>,
    watch: Watch,
    notices: VecDeque<Notice>,
    view: View,
    ends: Instant,
    next_bookmark: Instant,
    over: bool,
}

/// Sends what there is, and then what changes, until the time is up or the client goes.
pub(super) fn stream(
    shared: &Arc<Shared>,
    changes: Receiver<u64>,
    watch: Watch,
    notices: Vec<Notice>,
    view: View,
    limit: Option<u64>,
) -> Response<Body> {
    let now = Instant::now();
    let state = Stream {
        shared: Arc::downgrade(shared),
        changes,
        watch,
        notices: notices.into(),
        view,
        ends: now + limit.map_or(LASTS, Duration::from_secs).min(Duration::from_secs(86_400)),
        next_bookmark: now + BOOKMARKS,
        over: false,
    };
    let frames = stream::unfold(state, |mut state| async move {
        let line = state.next().await?;
        Some((Ok::<_, io::Error>(Frame::data(line)), state))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Stream {
    /// The lines that can be sent now, or the next ones; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.notices.is_empty() {
                return Some(self.lines());
            }
            if self.over {
                return None;
            }
            let bookmark = self.next_bookmark;
            let wants_bookmarks = self.watch.bookmarks;
            tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    let shared = self.shared.upgrade()?;
                    self.notices = shared.read(|state| self.watch.catch_up(state)).into();
                }
                () = tokio::time::sleep_until(self.ends) => {
                    if wants_bookmarks {
                        self.notices.push_back(Notice::Bookmark(self.watch.revision, false));
                    }
                    self.over = true;
                }
                () = tokio::time::sleep_until(bookmark), if wants_bookmarks => {
                    self.notices.push_back(Notice::Bookmark(self.watch.revision, false));
                    self.next_bookmark = Instant::now() + BOOKMARKS;
                }
            }
        }
    }

    /// Everything that waits, one JSON document a line.
    fn lines(&mut self) -> Bytes {
        let mut lines = Vec::new();
        for notice in self.notices.drain(..) {
            let line = match notice {
                Notice::Object(kind, object) => {
                    let object = self.view.object(&object);
                    serde_json::to_writer(&mut lines, &Line { kind, object: &object }).err().map(|_| json!({}))
                }
                Notice::Bookmark(revision, initial_end) => Some(json!({
                    "type": "BOOKMARK",
                    "object": self.watch.bookmark(revision, initial_end),
                })),
                Notice::Expired(refusal) => {
                    self.over = true;
                    Some(json!({"type": "ERROR", "object": refusal.body()}))
                }
            };
            if let Some(line) = line {
                lines.extend(line.to_string().into_bytes());
            }
            lines.push(b'\n');
        }
        lines.into()
    }
}

#[derive(serde::Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    object: &'a serde_json::Value,
}
