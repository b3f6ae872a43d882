//! Watches: lists that go on as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

mod event;
mod places;
mod producer;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::Response,
};
use dcm_core::{
    model::LabelSelector,
    service::{Watch, WatchPosition},
    store::Revision,
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderName, HeaderValue, Uri, header, request::Parts};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    Answer, App,
    accept::Accept,
    page::{Listing, Selects},
    problem::Problem,
    query::Query,
};
use crate::status::Kind;
pub(crate) use places::{Place, Watches};
use producer::Producer;

/// What the media type's header field and `Accept` name.
const EVENT_STREAM: &str = "text/event-stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells proxies that they must not keep events back: nginx and those that follow it.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What an event shows: the same as the list, or the answer, that is watched.
pub(crate) trait Shown: Send + 'static {
    /// The state of the stored document, where a read has it as its `ETag`.
    fn revision(&self) -> Option<&Revision>;

    /// What a read answers.
    fn shown(&self) -> impl Serialize;

    /// How long nothing is told after it, so that an answer that is dear to derive is not derived all the time.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}

impl<V: Shown + Sync> Shown for Arc<V> {
    fn revision(&self) -> Option<&Revision> {
        V::revision(self)
    }

    fn shown(&self) -> impl Serialize {
        V::shown(self)
    }

    fn pause(&self) -> Duration {
        V::pause(self)
    }
}

/// Waits for as long as [`Shown::pause`] says. Where that is no time, it does not: the timer's shortest sleep is a millisecond.
pub(crate) async fn rest(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// What a GET of a list asks for.
pub(super) enum Asked<L = Listing> {
    /// What is there, page by page.
    Page(L),
    /// What is there, and what changes.
    Watch(Watching),
}

impl<L: Selects + FromRequestParts<App, Rejection = Problem>> FromRequestParts<App> for Asked<L> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Watching::of(parts, app, L::selector)? {
            Some(watching) => Ok(Self::Watch(watching)),
            None => L::from_request_parts(parts, app).await.map(Self::Page),
        }
    }
}

impl OptionalFromRequestParts<App> for Watching {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        Self::of(parts, app, Listing::selector)
    }
}

/// A watch that was asked for, and that there is room for.
pub(super) struct Watching {
    from: Option<WatchPosition>,
    selector: LabelSelector,
    producer: Producer,
}

impl Watching {
    /// Reads a request; `None` where it asks for no watch.
    fn of(
        parts: &Parts,
        app: &App,
        selector: fn(&Query) -> Result<LabelSelector, Problem>,
    ) -> Result<Option<Self>, Problem> {
        if !is_asked_for(&parts.uri) {
            return Ok(None);
        }
        let query = Query::parse(parts.uri.query())?;
        if !query.flag("watch")? {
            return Ok(None);
        }
        for name in ["limit", "after"] {
            if query.one(name)?.is_some() {
                return Err(Problem::parameter(
                    name,
                    "cannot go with watch: a watch tells the whole list, and its changes",
                ));
            }
        }
        let selector = selector(&query)?;
        let accept = Accept::of(&parts.headers)?;
        let specificity = |range: &str| match range {
            EVENT_STREAM => 3,
            "text/*" => 2,
            "*/*" => 1,
            _ => 0,
        };
        if !accept.is_empty() && accept.weight(specificity) == 0 {
            return Err(Problem::new(Kind::NotAcceptable, format!("a watch can be had as {EVENT_STREAM}")));
        }
        let producer = Producer {
            place: app.watches.place()?,
            uri: parts.uri.clone(),
            request_id: parts.extensions.get().cloned().unwrap_or_default(),
        };
        Ok(Some(Self { from: position(parts, &query)?, selector, producer }))
    }

    /// Where the client left off.
    pub(super) const fn from(&self) -> Option<&WatchPosition> {
        self.from.as_ref()
    }

    /// What is watched of a list.
    pub(super) const fn selector(&self) -> &LabelSelector {
        &self.selector
    }

    /// The answer: all that the watch tells.
    pub(super) fn answer<V: Shown>(self, watch: Watch<V>) -> Answer {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
        self.producer.start(watch, sender);
        let frames = stream::poll_fn(move |context| receiver.poll_recv(context));
        let mut response = Response::new(Body::from_stream(frames.map(Ok::<_, Infallible>)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        Ok(response)
    }
}

/// Whether an answer is one.
pub(super) fn is_one(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| media_type == EVENT_STREAM)
}

/// Whether a request may ask for a watch: cheap, for what is done before its query is read.
pub(super) fn is_asked_for(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("watch"))
}

/// The header field is what a browser's `EventSource` sends when it goes on; the parameter is for the first request, for which
/// it cannot set any.
fn position(parts: &Parts, query: &Query) -> Result<Option<WatchPosition>, Problem> {
    if let Some(value) = parts.headers.get(LAST_EVENT_ID) {
        // What is no text is no position of ours, and refused as such.
        let text = value.to_str().unwrap_or("?");
        return Ok(Some(text).filter(|text| !text.is_empty()).map(WatchPosition::new));
    }
    for name in ["lastEventId", "last-event-id"] {
        if let Some(text) = query.one(name)?.filter(|text| !text.is_empty()) {
            return Ok(Some(WatchPosition::new(text)));
        }
    }
    Ok(None)
}
