//! Server-sent events, as a client reads them.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Dcm, Reply};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Event {
    /// The name of the record that a put shows.
    pub(crate) fn record_name(&self) -> &str {
        self.data["record"]["metadata"]["name"].as_str().unwrap_or_else(|| panic!("no record: {self:?}"))
    }
}

/// A watch that goes on.
#[derive(Debug)]
pub(crate) struct Events {
    response: reqwest::Response,
    text: String,
}

impl Dcm {
    /// Begins a watch, after an event where one is named.
    pub(crate) async fn watch(&self, path: &str, last: Option<&Event>) -> Events {
        let mut request = self.request(Method::GET, &format!("{path}?watch=true"));
        if let Some(last) = last {
            request = request.header("last-event-id", &last.id);
        }
        Events::of(request.send().await.unwrap()).await
    }

    /// What a watch that cannot be answers.
    pub(crate) async fn refused_watch(&self, path: &str, last: Option<&Event>) -> Reply {
        let mut request = self.request(Method::GET, &format!("{path}?watch=true"));
        if let Some(last) = last {
            request = request.header("last-event-id", &last.id);
        }
        self.send(request).await
    }
}

impl Events {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        if response.status() != 200 {
            panic!("{}: {}", response.status(), response.text().await.unwrap());
        }
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-store"), ("x-accel-buffering", "no")]
        {
            assert_eq!(response.headers()[name], value);
        }
        Self { response, text: String::new() }
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event in time")
    }

    /// Asserts that the next event is of this name, and gives it.
    #[track_caller]
    pub(crate) fn expect(&mut self, name: &str) -> impl Future<Output = Event> {
        let caller = std::panic::Location::caller();
        async move {
            let event = self.next().await.unwrap_or_else(|| panic!("the end, not {name}, at {caller}"));
            assert_eq!(event.name, name, "{event:?} at {caller}");
            event
        }
    }

    /// All events up to the mark that all was told.
    pub(crate) async fn until_synced(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("more events");
            let last = event.name == "synced";
            events.push(event);
            if last {
                return events;
            }
        }
    }

    /// What comes before a record of this name.
    pub(crate) async fn until_put(&mut self, name: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("more events");
            if event.name == "put" && event.record_name() == name {
                return events;
            }
            events.push(event);
        }
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = self.response.chunk().await.expect("a clean end")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }
}

/// `None` for what is no event.
fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = id.to_owned(),
            Some(("event", name)) => event.name = name.to_owned(),
            Some(("data", data)) => event.data = serde_json::from_str(data).expect("JSON"),
            Some(("" | "retry", _)) => {}
            _ => panic!("a line that is none of ours: {line:?}"),
        }
    }
    (!event.name.is_empty()).then_some(event)
}
