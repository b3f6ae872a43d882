//! JSON merge patches (RFC 7396) of every record that can be replaced: read what is there, merge, replace it at that state.

use std::future::Future;

use axum::{
    extract::{FromRequest, Request},
    response::IntoResponse as _,
};
use dcm_core::{error::ErrorKind, service::Draft, store::Revision};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::{
    Answer, App,
    body::{self, JSON, Received, Validation},
    condition::Conditions,
    dto::{self, Input, Merged, Node},
    problem::Problem,
    reply::{Reply, Warnings},
    room::Held,
};
use crate::status::Kind;

/// The media type of RFC 7396.
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// What a patch may be, for `Accept-Patch` (RFC 5789, section 3.1).
pub(super) const ACCEPTED: &str = "application/merge-patch+json, application/json";

/// How often a patch is merged anew because somebody else was faster.
const ATTEMPTS: usize = 16;

/// A patch that was received. Has no debug form: it may hold secrets.
pub(super) struct Patch {
    patch: Node,
    validation: Validation,
    /// Its place in the memory of all bodies.
    _held: Held,
}

/// A record as it is: the answer that PUT would give now.
pub(super) struct Present {
    answer: Value,
    /// What is answered where nothing changes, if it is not the same.
    unchanged: Option<Value>,
    revision: Revision,
}

impl FromRequest<App> for Patch {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let validation = body::validation(&request)?;
        if !matches!(body::media_type(request.headers()).as_str(), MERGE_PATCH | JSON) {
            return Err(body::unsupported(&ACCEPTED.replace(", ", " or ")));
        }
        let (bytes, held) = body::read(request, app).await?;
        Ok(Self { patch: Node::parse(&bytes, app.limits.json_depth)?, validation, _held: held })
    }
}

impl Present {
    pub(super) fn new(answer: &impl Serialize, revision: &Revision) -> Result<Self, Problem> {
        Ok(Self { answer: json(answer)?, unchanged: None, revision: revision.clone() })
    }

    /// Where a patch may repeat more than an answer to PUT shows: that answer, for a patch that changes nothing.
    pub(super) fn unchanged(mut self, answer: &impl Serialize) -> Result<Self, Problem> {
        self.unchanged = Some(json(answer)?);
        Ok(self)
    }
}

fn json(answer: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(answer).map_err(|error| Problem::bug(format!("an answer has no JSON form: {error}")))
}

impl Patch {
    /// Carries the patch out. `read` gives what is there; `write` replaces it, as PUT does, if it is still at that
    /// state, and is asked again with a new merge where it is not. `status` is that of an answer to PUT.
    ///
    /// A patch that makes no difference writes nothing.
    pub(super) async fn carry_out<T, R, W>(
        &self,
        conditions: &Conditions,
        status: StatusCode,
        read: impl Fn() -> R + Send + Sync,
        write: impl Fn(Received<T>, Revision) -> W + Send + Sync,
    ) -> Answer
    where
        T: Input + Send,
        R: Future<Output = Result<Present, Problem>> + Send,
        W: Future<Output = Answer> + Send,
    {
        let mut present = read().await?;
        for _ in 0..ATTEMPTS {
            conditions.hold(&present.revision)?;
            let Present { answer, unchanged, revision } = present;
            let target = Node::from(answer.clone());
            let (received, is_changed) = self.merge(&target);
            drop(target);
            if !is_changed && received.draft.faults.is_empty() {
                let reply = Reply::new(status, unchanged.as_ref().unwrap_or(&answer))
                    .revision(&revision)
                    .warnings(&received.warnings);
                return Ok(reply.into_response());
            }
            let failure = match write(received, revision.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // Whatever it failed with: it failed for a state that may be past.
            present = read().await?;
            if present.revision == revision {
                return Err(failure);
            }
        }
        let detail = "somebody else changed it at the same time, again and again; try again";
        Err(Problem::new(Kind::Core(ErrorKind::Conflict), detail))
    }

    fn merge<T: Input>(&self, present: &Node) -> (Received<T>, bool) {
        let Merged { read, is_changed } = dto::merge::<T>(&self.patch, present);
        let (mut faults, mut warnings) = (read.faults, Warnings::default());
        self.validation.tell(read.remarks, &mut faults, &mut warnings);
        (Received::without_body(Draft { input: read.input, faults }, warnings), is_changed)
    }
}
