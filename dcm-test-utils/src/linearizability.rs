//! Whether what many clients saw of a document at the same time can be explained by one after the other.
//!
//! Clients record what they call and what they are answered in a [`History`]. For each document [`History::check`] looks
//! for an order of the operations in which each takes effect at one moment between its call and its return and
//! all answers are right. Linearizability is local, so that documents are looked at one by one. The search is that of Wing
//! and Gong with Lowe's memory of what was tried, of the crate `todc-utils`; what an answer means is in `model`.
//!
//! ```
//! use dcm_test_utils::linearizability::{Answer, Call, Expected, History};
//!
//! let history = History::default();
//! let write = history.call(1, "a/b", Call::Write { value: 7, expected: Expected::Absent });
//! write.returned(Answer::Written("r1".into()));
//! history.call(2, "a/b", Call::Read).returned(Answer::Missing);
//! let violation = history.check().err().map(|violation| violation.to_string());
//! assert!(violation.is_some_and(|text| text.contains("no order of the operations explains")));
//! ```
//!
//! An operation whose outcome nobody knows (its caller went away, or the answer was lost) may have taken effect at any time
//! after its call, or never. The search tells those apart by trying, so that its time grows with their number,
//! and with the number of operations on one document that overlap: some hundred operations on each of many documents are
//! judged at once, many thousands on one document are not.

mod model;
mod report;
mod run;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

pub use report::Violation;
pub use run::{Figures, LinearizabilityRun};

/// What a client asks of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Its state.
    Read,
    /// To become this value, which no other write of the history has.
    Write {
        /// The value.
        value: u64,
        /// In which states it may happen.
        expected: Expected,
    },
    /// To be gone.
    Delete {
        /// In which states it may happen.
        expected: Expected,
    },
}

/// In which states of a document a write or a deletion may happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Where there is none.
    Absent,
    /// Where it is at this revision.
    At(String),
    /// Where it is, at any revision.
    Present,
}

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a read: this revision, and this value, where the answer told it.
    Found(String, Option<u64>),
    /// There is no such document. To a write or a deletion: and therefore nothing was done.
    Missing,
    /// To a write: done; this is the new revision.
    Written(String),
    /// To a deletion: done.
    Deleted,
    /// The document is not in the expected state, and nothing was done.
    Conflict,
    /// Nothing was done, and nothing was told about the document.
    NotDone,
    /// Nobody knows: done at any time since the call, or yet to be done, or never.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose it is.
    pub client: usize,
    /// When it was called, on the history's clock.
    pub called: u64,
    /// When its answer was there. An answer that nobody got has none.
    pub returned: Option<u64>,
    /// What was asked.
    pub call: Call,
    /// What was answered.
    pub answer: Answer,
}

/// What clients did, document by document. Shared by all of them.
#[derive(Debug, Default)]
pub struct History {
    clock: AtomicU64,
    operations: Mutex<BTreeMap<String, Vec<Operation>>>,
}

impl History {
    /// Records that a client calls now. The answer is unknown until it is given, also where it never is.
    pub fn call(&self, client: usize, document: &str, call: Call) -> Pending<'_> {
        let operation = Operation { client, called: self.now(), returned: None, call, answer: Answer::Unknown };
        Pending { history: self, document: document.to_owned(), operation: Some(operation) }
    }

    /// Every call and every return has a time of its own, in their order.
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// How many operations were recorded, on how many documents.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        (all.values().map(Vec::len).sum(), all.len())
    }

    /// How many recorded operations have such an answer.
    #[must_use]
    pub fn count(&self, such: impl Fn(&Answer) -> bool) -> usize {
        let all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().filter(|operation| such(&operation.answer)).count()
    }

    /// Judges what was recorded; call it when the clients are done.
    ///
    /// # Errors
    /// The first document whose operations no order explains, with the part of its history that shows it.
    pub fn check(&self) -> Result<(), Box<Violation>> {
        let all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().try_for_each(|(document, operations)| check(document, operations))
    }

    fn record(&self, document: String, operation: Operation) {
        let mut all = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(document).or_default().push(operation);
    }
}

/// An operation that was called and has no answer yet. Dropped, its answer stays unknown.
#[derive(Debug)]
#[must_use = "an operation whose answer is not recorded counts as one whose outcome is unknown"]
pub struct Pending<'a> {
    history: &'a History,
    document: String,
    operation: Option<Operation>,
}

impl Pending<'_> {
    /// Records the answer, which is there now.
    pub fn returned(mut self, answer: Answer) {
        let returned = (answer != Answer::Unknown).then(|| self.history.now());
        self.operation = self.operation.take().map(|operation| Operation { returned, answer, ..operation });
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            self.history.record(std::mem::take(&mut self.document), operation);
        }
    }
}

/// Judges the operations on one document, which is absent before the first.
///
/// # Errors
/// [`Violation`] where no order explains them, or a revision names two states.
pub fn check(document: &str, operations: &[Operation]) -> Result<(), Box<Violation>> {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|operation| (operation.returned.unwrap_or(u64::MAX), operation.called));
    let steps = match model::resolve(&operations) {
        Ok(steps) => steps,
        Err(model::Contradiction { reason, first, second }) => {
            return Err(Box::new(report::contradiction(document, &operations, reason, [first, second])));
        }
    };
    if model::is_linearizable(&operations, &steps, operations.len()) {
        return Ok(());
    }
    // Later operations cannot mend what no order explains, so the shortest beginning can be halved for.
    let (mut explained, mut unexplained) = (0, operations.len());
    while unexplained - explained > 1 {
        let middle = explained.midpoint(unexplained);
        if model::is_linearizable(&operations, &steps, middle) {
            explained = middle;
        } else {
            unexplained = middle;
        }
    }
    Err(Box::new(report::unexplained(document, &operations, unexplained)))
}

#[cfg(test)]
mod tests;
