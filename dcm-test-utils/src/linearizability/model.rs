//! A document as an object that is used by one client at a time, and the search for an order.

use std::collections::HashMap;

use todc_utils::{Action, History, Specification, WGLChecker};

use super::{Answer, Call, Expected, Operation};

/// The state of a document, by the write that made it; `None` where there is none.
type State = Option<usize>;

/// An operation with its answer, with states in place of revisions and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The document was in this state.
    Saw(State),
    /// It went over to this state, where that was allowed.
    Went(State, Allowed),
    /// It may have gone over to this state, where that was allowed.
    MayHaveGone(State, Allowed),
    /// It was not allowed.
    Refused(Allowed),
    /// Nothing can be said.
    Nothing,
}

/// In which states an operation is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    In(State),
    InAny,
    /// In a state that never was.
    Never,
}

impl Allowed {
    fn includes(self, state: State) -> bool {
        match self {
            Self::In(allowed) => allowed == state,
            Self::InAny => state.is_some(),
            Self::Never => false,
        }
    }
}

/// Two operations that cannot both be right, in whatever order.
#[derive(Debug)]
pub(super) struct Contradiction {
    pub(super) reason: &'static str,
    pub(super) first: usize,
    pub(super) second: usize,
}

/// The contract of a document.
struct Document;

impl Specification for Document {
    type State = State;
    type Operation = Step;

    fn init() -> State {
        None
    }

    fn apply(step: &Step, state: &State) -> (bool, State) {
        match *step {
            Step::Saw(seen) => (seen == *state, *state),
            Step::Went(new, allowed) if allowed.includes(*state) => (true, new),
            Step::Went(..) => (false, *state),
            // One that never took effect comes last of all, where nobody sees its effect.
            Step::MayHaveGone(new, allowed) => (true, if allowed.includes(*state) { new } else { *state }),
            Step::Refused(allowed) => (!allowed.includes(*state), *state),
            Step::Nothing => (true, *state),
        }
    }
}

/// Puts states in place of revisions and values.
pub(super) fn resolve(operations: &[Operation]) -> Result<Vec<Step>, Contradiction> {
    let states = States::collect(operations)?;
    operations.iter().enumerate().map(|(at, operation)| states.step(at, operation)).collect()
}

/// Which write made which value, and which revision names which write's state.
#[derive(Debug, Default)]
struct States<'a> {
    by_value: HashMap<u64, usize>,
    /// With the operation that was told so first.
    by_revision: HashMap<&'a str, (usize, usize)>,
    revisions: HashMap<usize, (&'a str, usize)>,
}

impl<'a> States<'a> {
    fn collect(operations: &'a [Operation]) -> Result<Self, Contradiction> {
        let mut states = Self::default();
        for (at, operation) in operations.iter().enumerate() {
            if let Call::Write { value, .. } = operation.call
                && let Some(first) = states.by_value.insert(value, at)
            {
                return Err(Contradiction { reason: "two writes have the same value", first, second: at });
            }
        }
        for (at, operation) in operations.iter().enumerate() {
            match &operation.answer {
                Answer::Written(revision) => states.name(revision, at, at)?,
                Answer::Found(revision, Some(value)) => match states.by_value.get(value) {
                    Some(write) => states.name(revision, *write, at)?,
                    None => {
                        return Err(Contradiction {
                            reason: "a value was read that nobody wrote",
                            first: at,
                            second: at,
                        });
                    }
                },
                _ => {}
            }
        }
        Ok(states)
    }

    /// A revision names one state, and a state has one revision.
    fn name(&mut self, revision: &'a str, write: usize, told: usize) -> Result<(), Contradiction> {
        let (named, first) = *self.by_revision.entry(revision).or_insert((write, told));
        if named != write {
            return Err(Contradiction { reason: "a revision names two states", first, second: told });
        }
        let (known, first) = *self.revisions.entry(write).or_insert((revision, told));
        if known != revision {
            return Err(Contradiction { reason: "a state has two revisions", first, second: told });
        }
        Ok(())
    }

    fn state(&self, revision: &str) -> State {
        self.by_revision.get(revision).map(|(write, _)| *write)
    }

    fn allowed(&self, expected: &Expected) -> Allowed {
        match expected {
            Expected::Absent => Allowed::In(None),
            Expected::Present => Allowed::InAny,
            Expected::At(revision) => self.state(revision).map_or(Allowed::Never, |state| Allowed::In(Some(state))),
        }
    }

    fn step(&self, at: usize, operation: &Operation) -> Result<Step, Contradiction> {
        let (new, allowed) = match &operation.call {
            Call::Read => (None, Allowed::Never),
            Call::Write { expected, .. } => (Some(at), self.allowed(expected)),
            Call::Delete { expected } => (None, self.allowed(expected)),
        };
        let step = match (&operation.call, &operation.answer) {
            (Call::Read, Answer::Found(revision, _)) => match self.state(revision) {
                Some(state) => Step::Saw(Some(state)),
                None => {
                    return Err(Contradiction {
                        reason: "a revision was read that no write has",
                        first: at,
                        second: at,
                    });
                }
            },
            (_, Answer::Missing) => Step::Saw(None),
            (Call::Read, Answer::Unknown | Answer::NotDone) | (_, Answer::NotDone) => Step::Nothing,
            (Call::Write { .. }, Answer::Written(_)) | (Call::Delete { .. }, Answer::Deleted) => {
                Step::Went(new, allowed)
            }
            (Call::Write { .. } | Call::Delete { .. }, Answer::Conflict) => Step::Refused(allowed),
            (Call::Write { .. } | Call::Delete { .. }, Answer::Unknown) => Step::MayHaveGone(new, allowed),
            _ => return Err(Contradiction { reason: "the answer is not one to this call", first: at, second: at }),
        };
        Ok(step)
    }
}

/// Whether there is an order for the first `count` operations, which are sorted by their return.
///
/// What was called by then and returned later is an operation whose outcome is not known yet.
pub(super) fn is_linearizable(operations: &[Operation], steps: &[Step], count: usize) -> bool {
    let end = operations[..count].iter().filter_map(|operation| operation.returned).max().unwrap_or(0);
    let mut actions = Vec::with_capacity(2 * operations.len());
    for (at, (operation, step)) in operations.iter().zip(steps).enumerate() {
        let step = match (at < count, *step) {
            (true, Step::Nothing) => continue,
            (true, step) => step,
            (false, Step::Went(new, allowed) | Step::MayHaveGone(new, allowed)) => Step::MayHaveGone(new, allowed),
            (false, _) => continue,
        };
        if operation.called > end {
            continue;
        }
        // Each operation is a process of its own: a client whose operation is still pending goes on with others.
        let returned = operation.returned.filter(|returned| *returned <= end).unwrap_or(u64::MAX);
        actions.push((operation.called, (at, Action::Call(step))));
        actions.push((returned, (at, Action::Response(step))));
    }
    if actions.is_empty() {
        return true;
    }
    actions.sort_by_key(|(time, _)| *time);
    WGLChecker::<Document>::is_linearizable(History::from_actions(
        actions.into_iter().map(|(_, action)| action).collect(),
    ))
}
