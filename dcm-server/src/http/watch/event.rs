//! Events as they are written.

use dcm_core::{
    service::{News, WatchEvent},
    store::Revision,
};
use serde::Serialize;

use super::Shown;

/// How long a client should wait before it connects again, in milliseconds.
pub(super) const OPENING: &[u8] = b"retry: 2000\n\n";

/// Says that the stream is alive, and nothing else.
pub(super) const KEEP_ALIVE: &[u8] = b": alive\n\n";

/// A record.
#[derive(Serialize)]
struct Put<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    record: T,
}

#[derive(Serialize)]
struct Deleted<'a> {
    name: &'a str,
}

/// An event that has nothing to say but its name. `EventSource` passes over those without data.
#[derive(Serialize)]
struct Nothing {}

/// Writes what a watch tells.
pub(super) fn write<V: Shown>(frame: &mut Vec<u8>, event: &WatchEvent<V>) -> serde_json::Result<()> {
    let id = Some(event.position.as_str());
    match &event.news {
        News::Put(record) => {
            let etag = record.revision().map(|revision: &Revision| format!("\"{revision}\""));
            write_one(frame, id, "put", &Put { etag, record: record.shown() })
        }
        News::Deleted(name) => write_one(frame, id, "deleted", &Deleted { name }),
        News::Synced => write_one(frame, id, "synced", &Nothing {}),
        // Nobody can go on behind it.
        News::Ended => write_one(frame, None, "ended", &Nothing {}),
    }
}

/// Writes a last event that holds a problem's document.
pub(super) fn write_problem(frame: &mut Vec<u8>, document: &[u8]) {
    // Not "error": for that name browsers have a use of their own.
    frame.extend_from_slice(b"event: problem\ndata: ");
    frame.extend_from_slice(document);
    frame.extend_from_slice(b"\n\n");
}

/// JSON as it is written here has no line breaks, so it is one line of data.
fn write_one(frame: &mut Vec<u8>, id: Option<&str>, name: &str, data: &impl Serialize) -> serde_json::Result<()> {
    let begin = frame.len();
    if let Some(id) = id {
        frame.extend_from_slice(b"id: ");
        frame.extend_from_slice(id.as_bytes());
        frame.push(b'\n');
    }
    frame.extend_from_slice(b"event: ");
    frame.extend_from_slice(name.as_bytes());
    frame.extend_from_slice(b"\ndata: ");
    let written = serde_json::to_writer(&mut *frame, data);
    if written.is_err() {
        frame.truncate(begin);
    } else {
        frame.extend_from_slice(b"\n\n");
    }
    written
}
