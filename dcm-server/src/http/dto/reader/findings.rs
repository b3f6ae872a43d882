use std::{
    cell::{Cell, RefCell},
    fmt::Display,
};

use dcm_core::fault::Faults;

use super::Node;

/// A field that says something else than the one that it repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    pub(crate) pointer: String,
    /// The pointer of the one that counts.
    pub(crate) counts: String,
}

/// Fields that are no fault and that their sender is told of.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// Pointers of fields that nobody knows.
    pub(crate) unknown: Vec<String>,
    /// Fields that say something else than the ones that they repeat.
    pub(crate) differing: Vec<Differing>,
    /// Pointers of fields that a patch would change and that cannot be changed.
    pub(crate) kept: Vec<String>,
}

/// What was found on the way through one body.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    faults: RefCell<Faults>,
    unknown: RefCell<Vec<String>>,
    kept: RefCell<Vec<String>>,
    differing: RefCell<Vec<Differing>>,
    changed: Cell<bool>,
}

impl Findings {
    /// Writes the fault down, unless there are enough of them.
    pub(super) fn fault(&self, pointer: impl Display, detail: impl Display) {
        let mut faults = self.faults.borrow_mut();
        if !faults.is_full() {
            faults.add(pointer.to_string(), detail.to_string());
        }
    }

    pub(super) fn wrong(&self, pointer: impl Display, expected: &str, found: &Node) {
        self.fault(pointer, format_args!("must be {expected}, not {}", found.kind()));
    }

    /// Notes a field that nobody knows.
    pub(super) fn unknown(&self, pointer: impl Display) {
        note(&mut self.unknown.borrow_mut(), pointer);
    }

    /// Notes a field that a patch would change and that cannot be changed.
    pub(super) fn kept(&self, pointer: impl Display) {
        note(&mut self.kept.borrow_mut(), pointer);
    }

    /// Notes a field that says something else than the one that it repeats.
    pub(super) fn differs(&self, pointer: String, counts: String) {
        let mut differing = self.differing.borrow_mut();
        if differing.len() <= Faults::MOST {
            differing.push(Differing { pointer, counts });
        }
    }

    /// Notes that a patch makes a difference.
    pub(super) fn changed(&self) {
        self.changed.set(true);
    }

    /// Whether a patch makes a difference.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed.get()
    }

    /// What is wrong, and what is to be told besides.
    pub(crate) fn into_parts(self) -> (Faults, Remarks) {
        let (unknown, differing, kept) =
            (self.unknown.into_inner(), self.differing.into_inner(), self.kept.into_inner());
        (self.faults.into_inner(), Remarks { unknown, differing, kept })
    }
}

/// One more than there may be faults tells that there are more.
fn note(pointers: &mut Vec<String>, pointer: impl Display) {
    if pointers.len() <= Faults::MOST {
        pointers.push(pointer.to_string());
    }
}
