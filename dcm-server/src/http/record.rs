//! Records that are made, listed, watched, read, replaced, patched and deleted in one way. A resource says what its records are,
//! and which use cases do it.

use axum::{
    extract::{FromRequestParts, State},
    response::IntoResponse as _,
};
use dcm_core::{
    error::Error,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::{Entry, Revision},
};
use http::StatusCode;
use serde::Serialize;

use super::{
    Answer, App,
    body::Received,
    condition::Conditions,
    dto::Input,
    patch::{Patch, Present},
    problem::Problem,
    reply::Reply,
    watch::{Asked, Shown},
};

/// What is stored and shown as it is.
pub(super) trait Kept: Send + Sync + 'static {
    fn name(&self) -> &str;

    fn answer(&self) -> impl Serialize;

    /// What whoever writes it should know of it.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<T: Kept> Shown for Entry<T> {
    fn revision(&self) -> Option<&Revision> {
        Some(&self.revision)
    }

    fn shown(&self) -> impl Serialize {
        self.value.answer()
    }
}

/// A resource. What each use case does and fails with, the core says.
pub(super) trait Record: 'static {
    type Stored: Kept;
    type Input: Input + Send;
    /// The names in the path of the list.
    type Of: FromRequestParts<App, Rejection = Problem> + Send + Sync;
    /// The names in the path of one record.
    type One: FromRequestParts<App, Rejection = Problem> + Send + Sync;

    /// What a replacement is answered with.
    const REPLACED: StatusCode = StatusCode::OK;

    fn create(dcm: &Dcm, of: &Self::Of, draft: Draft<Self::Input>) -> impl Done<Entry<Self::Stored>>;

    fn page(dcm: &Dcm, of: &Self::Of, page: &Page) -> impl Done<Listed<Entry<Self::Stored>>>;

    fn watch(dcm: &Dcm, of: &Self::Of, from: Option<&WatchPosition>) -> impl Done<Watch<Entry<Self::Stored>>>;

    fn find(dcm: &Dcm, one: &Self::One) -> impl Done<Entry<Self::Stored>>;

    fn replace(
        dcm: &Dcm,
        one: &Self::One,
        draft: Draft<Self::Input>,
        expected: Expected<'_>,
    ) -> impl Done<Entry<Self::Stored>>;

    fn delete(dcm: &Dcm, one: &Self::One, expected: Expected<'_>) -> impl Done<()>;
}

/// What a use case comes to.
pub(super) trait Done<T>: Future<Output = Result<T, Error>> + Send {}

impl<T, F: Future<Output = Result<T, Error>> + Send> Done<T> for F {}

pub(super) async fn create<R: Record>(State(app): State<App>, of: R::Of, body: Received<R::Input>) -> Answer {
    let Received { draft, mut warnings, .. } = body;
    let made = R::create(&app.dcm, &of, draft).await?;
    warnings.extend(made.value.warnings());
    let reply = Reply::created(&made.value.answer()).revision(&made.revision).made(made.value.name());
    Ok(reply.warnings(&warnings).into_response())
}

pub(super) async fn list<R: Record>(State(app): State<App>, of: R::Of, asked: Asked) -> Answer {
    match asked {
        Asked::Watch(watching) => {
            let watch = R::watch(&app.dcm, &of, watching.from()).await?;
            watching.answer(watch)
        }
        Asked::Page(listing) => {
            let found = R::page(&app.dcm, &of, &listing.page).await?;
            let answers: Vec<_> = found.entries.iter().map(|entry| entry.value.answer()).collect();
            Ok(listing.answer(&answers, found.next.as_deref()))
        }
    }
}

pub(super) async fn read<R: Record>(State(app): State<App>, one: R::One, conditions: Conditions) -> Answer {
    let found = R::find(&app.dcm, &one).await?;
    conditions.of(&found.revision, || Reply::ok(&found.value.answer()).revision(&found.revision).into_response())
}

pub(super) async fn update<R: Record>(
    State(app): State<App>,
    one: R::One,
    conditions: Conditions,
    body: Received<R::Input>,
) -> Answer {
    let expected = conditions.expected(async || Ok(R::find(&app.dcm, &one).await?.revision)).await?;
    replace::<R>(&app, &one, body, expected.as_ref()).await
}

pub(super) async fn patch<R: Record>(
    State(app): State<App>,
    one: R::One,
    conditions: Conditions,
    patch: Patch,
) -> Answer {
    let read = async || {
        let found = R::find(&app.dcm, &one).await?;
        Present::new(&found.value.answer(), &found.revision)
    };
    let write = async |body, present| replace::<R>(&app, &one, body, Some(&present)).await;
    patch.carry_out(&conditions, R::REPLACED, read, write).await
}

async fn replace<R: Record>(app: &App, one: &R::One, body: Received<R::Input>, expected: Expected<'_>) -> Answer {
    let Received { draft, mut warnings, .. } = body;
    let made = R::replace(&app.dcm, one, draft, expected).await?;
    warnings.extend(made.value.warnings());
    let reply = Reply::new(R::REPLACED, &made.value.answer()).revision(&made.revision);
    Ok(reply.warnings(&warnings).into_response())
}

pub(super) async fn delete<R: Record>(State(app): State<App>, one: R::One, conditions: Conditions) -> Answer {
    let expected = conditions.expected(async || Ok(R::find(&app.dcm, &one).await?.revision)).await?;
    R::delete(&app.dcm, &one, expected.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
