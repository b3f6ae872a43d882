//! Revisions: numbers of one counter for the whole store, written as decimal text, or random.

use dcm_core::store::{Precondition, Revision};

/// Which number a document must have for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// There is no document.
    Absent,
    /// The document has this number.
    At(u64),
    /// The caller's revision is none that this store ever gave out, so nothing matches.
    Foreign,
}

impl Expected {
    pub(crate) fn at(revision: &Revision) -> Self {
        let text = revision.as_str();
        // Only the text that was given out counts: "7" and "07" are two revisions.
        match text.parse() {
            Ok(number) if text == write(number).as_str() => Self::At(number),
            _ => Self::Foreign,
        }
    }

    pub(crate) fn is_met_by(self, current: Option<u64>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::At(number) => current == Some(number),
            Self::Foreign => false,
        }
    }
}

impl From<&Precondition> for Expected {
    fn from(precondition: &Precondition) -> Self {
        match precondition {
            Precondition::Absent => Self::Absent,
            Precondition::AtRevision(revision) => Self::at(revision),
        }
    }
}

/// A revision that no other document has, or ever will have.
#[cfg(feature = "mongodb")]
pub(crate) fn random() -> Revision {
    let mut bytes = [0_u8; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // Revisions that come twice are worse than none.
        tracing::error!("the system gave no random bytes");
        std::process::abort();
    }
    Revision::new(data_encoding::HEXLOWER.encode(&bytes))
}

pub(crate) fn write(number: u64) -> Revision {
    Revision::new(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_that_was_given_out_is_a_revision() {
        assert_eq!(Expected::at(&write(7)), Expected::At(7));
        for text in ["", "07", "+7", "seven", "7 ", "18446744073709551616"] {
            let revision = Revision::new(text);
            assert_eq!(Expected::at(&revision), Expected::Foreign, "{text:?}");
        }
    }

    #[test]
    fn nothing_meets_a_foreign_revision() {
        assert!(!Expected::Foreign.is_met_by(None));
        assert!(!Expected::Foreign.is_met_by(Some(7)));
        assert!(Expected::Absent.is_met_by(None));
        assert!(!Expected::Absent.is_met_by(Some(7)));
        assert!(Expected::At(7).is_met_by(Some(7)));
        assert!(!Expected::At(7).is_met_by(Some(8)));
    }
}
