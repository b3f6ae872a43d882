//! JSON merge patches (RFC 7396) of every record that can be replaced: read what is there, merge, replace it at that state.

use std::{
    array,
    future::Future,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{FromRequest, Request},
    response::IntoResponse as _,
};
use dcm_core::{error::ErrorKind, service::Draft, store::Revision};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    Answer, App,
    body::{self, JSON, Received, Validation},
    condition::Conditions,
    dto::{self, Input, Merged, Node},
    problem::Problem,
    reply::{Reply, Told, Warnings},
    room::Held,
};
use crate::{deadline, status::Kind};

/// The media type of RFC 7396.
pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";

/// What a patch may be, for `Accept-Patch` (RFC 5789, section 3.1).
pub(super) const ACCEPTED: &str = "application/merge-patch+json, application/json";

/// For so long a patch is merged anew because somebody else was faster.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest pause before a patch that has its turn is merged anew: the first time, and ever.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(64));

/// In so many lines patches wait for their turn.
const LINES: usize = 64;

/// For so long a patch waits for its turn before it is merged anew without: whoever has it may have to wait for others, as for a cluster
/// that is looked at, or for a store that is away.
const TURN: Duration = Duration::from_secs(1);

/// What is not a document of its own, but in the one that stands before it in the path.
const PARTS: [&str; 2] = ["/user-permissions/", "/labels/"];

/// A patch that was received. Has no debug form: it may hold secrets.
pub(super) struct Patch {
    patch: Node,
    validation: Validation,
    told: Told,
    /// Where it waits for its turn, if it loses against another one.
    line: Line,
    /// Its place in the memory of all bodies.
    _held: Held,
}

/// Where patches wait that lost against others.
///
/// The first attempt of each is made at once. Were all further ones, too, then of many patches of one document all but one would
/// do their work in vain, again and again; so those of this server go on one after the other, in the order in which they lost, as far as
/// that is soon enough. It only spares work: what decides is the document's revision.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Documents share them by chance.
    lines: [Line; LINES],
    chance: RandomState,
}

type Line = Arc<Mutex<()>>;

impl Default for Turns {
    fn default() -> Self {
        Self { lines: array::from_fn(|_| Line::default()), chance: RandomState::new() }
    }
}

impl Turns {
    /// The line for the document of the record at this path.
    fn line(&self, path: &str) -> Line {
        let document = PARTS.iter().fold(path, |path, part| path.split_once(part).map_or(path, |(before, _)| before));
        let [chance, ..] = self.chance.hash_one(document).to_be_bytes();
        self.lines.get(usize::from(chance) % LINES).map(Arc::clone).unwrap_or_default()
    }
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
        let (validation, told) = (body::validation(&request)?, body::told(&request));
        let line = app.turns.line(request.uri().path());
        if !matches!(body::media_type(request.headers()).as_str(), MERGE_PATCH | JSON) {
            return Err(body::unsupported(&ACCEPTED.replace(", ", " or ")));
        }
        let (bytes, held) = body::read(request, app).await?;
        Ok(Self { patch: Node::parse(&bytes, app.limits.json_depth)?, validation, told, line, _held: held })
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

/// From half of the longest up to it, by chance: who lost against one another must not meet again.
fn pause(longest: Duration) -> Duration {
    // A new state is keyed anew, so its hash of anything is by chance.
    let [chance, ..] = RandomState::new().hash_one(()).to_be_bytes();
    longest / 2 + longest / 512 * u32::from(chance)
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
        let until = Instant::now() + deadline::left().map_or(PATIENCE, |left| left.min(PATIENCE));
        let mut present = read().await?;
        let mut longest = PAUSES.0;
        let mut turn = None;
        loop {
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
            let now = read().await?.revision;
            if now == revision {
                return Err(failure);
            }
            conditions.hold(&now)?;
            // Those who wait could be many, and these large.
            drop((answer, unchanged));
            if failure.is_lost_race() {
                if turn.is_some() {
                    tokio::time::sleep(pause(longest)).await;
                    longest = (longest * 2).min(PAUSES.1);
                } else {
                    turn = tokio::time::timeout_at(until.min(Instant::now() + TURN), self.line.lock()).await.ok();
                }
            }
            if Instant::now() >= until {
                let detail = "somebody else changed it at the same time, again and again; try again";
                return Err(Problem::new(Kind::Core(ErrorKind::Conflict), detail));
            }
            present = read().await?;
        }
    }

    fn merge<T: Input>(&self, present: &Node) -> (Received<T>, bool) {
        let Merged { read, is_changed } = dto::merge::<T>(&self.patch, present);
        let (mut faults, mut warnings) = (read.faults, Warnings::default());
        self.validation.tell(read.remarks, &mut faults, &mut warnings);
        self.told.note(&warnings);
        (Received::without_body(Draft { input: read.input, faults }, warnings), is_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_one_document_waits_in_one_line() {
        let turns = Turns::default();
        let is_one = |one: &str, other: &str| Arc::ptr_eq(&turns.line(one), &turns.line(other));
        let cloud = "/v2/projects/p/logical-clouds/lc";
        assert!(is_one(cloud, &format!("{cloud}/user-permissions/a")));
        assert!(is_one("/v2/cluster-providers/p/clusters/c/labels/a", "/v2/cluster-providers/p/clusters/c/labels/b"));
        assert!((0..10).any(|number| !is_one(cloud, &format!("{cloud}/kv-pairs/{number}"))));
    }

    #[test]
    fn pauses_differ_and_are_bounded() {
        let pauses: std::collections::BTreeSet<_> = (0..100).map(|_| pause(PAUSES.1)).collect();
        assert!(pauses.len() > 20, "{pauses:?}");
        assert!(pauses.iter().all(|pause| (PAUSES.1 / 2..=PAUSES.1).contains(pause)), "{pauses:?}");
    }
}
