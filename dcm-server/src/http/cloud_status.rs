use std::time::Duration;

use axum::{extract::State, response::IntoResponse as _};
use dcm_core::{service::CloudStatus, store::Revision};
use serde::Serialize;

use super::{
    Answer, App,
    dto::StatusAnswer,
    path::Cloud,
    reply::Reply,
    watch::{Shown, Watching},
};

pub(super) async fn read(State(app): State<App>, Cloud(id): Cloud, watching: Option<Watching>) -> Answer {
    if let Some(watching) = watching {
        let watch = app.dcm.watch_status(&id, watching.from()).await?;
        return watching.answer(watch);
    }
    let status = app.dcm.status(&id).await?;
    Ok(Reply::ok(&StatusAnswer::new(&status)).into_response())
}

impl Shown for CloudStatus {
    /// Derived from many documents.
    fn revision(&self) -> Option<&Revision> {
        None
    }

    fn shown(&self) -> impl Serialize {
        StatusAnswer::new(self)
    }

    /// While thousands of clusters are worked on it changes all the time, and is derived from all of them each time.
    fn pause(&self) -> Duration {
        let clusters = u32::try_from(self.clusters.len()).unwrap_or(u32::MAX);
        (Duration::from_micros(100) * clusters).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }
}
