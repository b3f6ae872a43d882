//! Histories that no order explains, for people to read.

use std::{error::Error, fmt};

use super::{Answer, Call, Expected, Operation};

/// How many operations before the one that cannot be explained are shown at least.
const BEFORE: usize = 8;

/// What a verdict after a search begins with.
const NO_ORDER: &str = "no order of the operations explains";

/// A document whose operations no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which document.
    pub document: String,
    /// What is wrong.
    pub verdict: String,
    /// How many operations on the document were judged until it was wrong.
    pub judged: usize,
    /// The part of the history that shows it, in the order of the calls.
    pub window: Vec<Operation>,
    /// Whose answer cannot be explained.
    pub culprit: Operation,
}

/// Two operations that contradict each other.
pub(super) fn contradiction(document: &str, operations: &[Operation], reason: &str, at: [usize; 2]) -> Violation {
    let [first, second] = at;
    let culprit = operations[first.max(second)].clone();
    let about = |operation: &Operation| *operation == operations[first] || *operation == operations[second];
    let verdict = format!("{reason}; this needs no search");
    violation(document, verdict, (operations, first.max(second) + 1), culprit, about)
}

/// The operations up to a count, sorted by their return, the last of which no order explains.
pub(super) fn unexplained(document: &str, operations: &[Operation], count: usize) -> Violation {
    let culprit = operations[count - 1].clone();
    let named = revision(&culprit).map(str::to_owned);
    let about =
        |operation: &Operation| named.is_some() && revision(operation) == named.as_deref() && is_write(operation);
    let verdict = format!("{NO_ORDER} the answer that came at {}", time(culprit.returned));
    violation(document, verdict, (operations, count), culprit.clone(), about)
}

fn violation(
    document: &str,
    verdict: String,
    (operations, judged): (&[Operation], usize),
    culprit: Operation,
    about: impl Fn(&Operation) -> bool,
) -> Violation {
    let from = judged.saturating_sub(BEFORE + 1);
    let contradicts = !verdict.starts_with(NO_ORDER);
    let end = culprit.returned.unwrap_or(u64::MAX);
    let mut window: Vec<_> = operations
        .iter()
        .enumerate()
        .filter(|(at, operation)| {
            let overlaps =
                operation.called < end && operation.returned.is_none_or(|returned| returned > culprit.called);
            (overlaps && !contradicts) || (from..judged).contains(at) || about(operation)
        })
        .map(|(_, operation)| operation.clone())
        .collect();
    window.sort_by_key(|operation| operation.called);
    Violation { document: document.to_owned(), verdict, judged, window, culprit }
}

fn is_write(operation: &Operation) -> bool {
    matches!(operation.answer, Answer::Written(_) | Answer::Deleted)
}

/// The revision that an operation is about: the one that it answers, or the one that it expects.
fn revision(operation: &Operation) -> Option<&str> {
    let expected = match &operation.call {
        Call::Write { expected: Expected::At(revision), .. } | Call::Delete { expected: Expected::At(revision) } => {
            Some(revision.as_str())
        }
        _ => None,
    };
    match &operation.answer {
        Answer::Found(revision, _) | Answer::Written(revision) => Some(revision),
        _ => expected,
    }
}

fn time(time: Option<u64>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

impl Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, verdict, judged, window, culprit } = self;
        writeln!(f, "the history of {document} is not linearizable: {verdict}")?;
        writeln!(f, "{judged} operations were judged; around it were, in the order of their calls:")?;
        writeln!(f, "    {:>6} {:>8} {:>8}  {:<44} answer", "client", "called", "returned", "operation")?;
        for operation in window {
            let mark = if operation == culprit { "-->" } else { "   " };
            let Operation { client, called, returned, call, answer } = operation;
            writeln!(f, "{mark} {client:>6} {called:>8} {:>8}  {:<44} {answer}", time(*returned), call.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Write { value, expected } => write!(f, "write {value}, expecting {expected}"),
            Self::Delete { expected } => write!(f, "delete, expecting {expected}"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::At(revision) => f.write_str(revision),
            Self::Present => f.write_str("any"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(revision, Some(value)) => write!(f, "{value} at {revision}"),
            Self::Found(revision, None) => write!(f, "at {revision}"),
            Self::Missing => f.write_str("there is none"),
            Self::Written(revision) => write!(f, "written as {revision}"),
            Self::Deleted => f.write_str("deleted"),
            Self::Conflict => f.write_str("conflict"),
            Self::NotDone => f.write_str("not done"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
