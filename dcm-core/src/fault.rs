//! What is wrong with an input: every bad field at once, each with where it is and what is allowed.

use std::fmt;

/// So many characters of a pointer's segment are kept.
const LONGEST_SEGMENT: usize = 64;

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer (RFC 6901) to the field, in the spelling of our answers.
    pub pointer: String,
    /// What is wrong and what is allowed. Never holds a secret.
    pub detail: String,
}

/// What is wrong with an input: all of it, or the first [`Faults::MOST`] and that there is more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many bad fields are noted at most; one more entry says that there are more.
    pub const MOST: usize = 256;

    /// Notes a bad field, unless there are too many already. Long segments of the pointer are cut.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(Fault { pointer: cut(pointer.into()), detail: detail.into() });
        } else if !self.is_full() {
            let detail = format!("has more faults than these {}", Self::MOST);
            self.0.push(Fault { pointer: String::new(), detail });
        }
    }

    /// Whether nothing more is noted: there are more bad fields than [`Faults::MOST`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() > Self::MOST
    }

    /// Notes a bad field where there is a reason, and gives the good value on.
    pub fn check<T, E: fmt::Display>(&mut self, pointer: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.add(pointer, e.to_string())).ok()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }

    /// `Ok` where nothing is wrong.
    ///
    /// # Errors
    /// Itself, where something is.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// One segment of a JSON pointer: escaped (RFC 6901, section 4), and cut where it is long.
#[must_use]
pub fn segment(token: &str) -> String {
    let mut segment = String::with_capacity(token.len().min(2 * LONGEST_SEGMENT));
    let is_long = token.chars().nth(LONGEST_SEGMENT).is_some();
    for c in token.chars().take(if is_long { LONGEST_SEGMENT - 1 } else { LONGEST_SEGMENT }) {
        match c {
            '~' => segment.push_str("~0"),
            '/' => segment.push_str("~1"),
            _ => segment.push(c),
        }
    }
    if is_long {
        segment.push('…');
    }
    segment
}

/// Cuts the long segments of a pointer that is escaped already.
fn cut(pointer: String) -> String {
    if pointer.split('/').all(|segment| segment.len() <= LONGEST_SEGMENT) {
        return pointer;
    }
    let mut shorter = String::new();
    for (i, segment) in pointer.split('/').enumerate() {
        if i > 0 {
            shorter.push('/');
        }
        // What is escaped counts as one character.
        let starts = segment.char_indices().filter(|(at, _)| *at == 0 || segment.as_bytes().get(at - 1) != Some(&b'~'));
        let mut last_starts = starts.skip(LONGEST_SEGMENT - 1).map(|(at, _)| at);
        match (last_starts.next(), last_starts.next()) {
            (Some(end), Some(_)) => {
                shorter.push_str(segment.get(..end).unwrap_or_default());
                shorter.push('…');
            }
            _ => shorter.push_str(segment),
        }
    }
    shorter
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}: {}", fault.pointer, fault.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_faults_are_kept_than_anybody_reads() {
        let mut faults = Faults::new();
        for i in 0..100_000 {
            assert_eq!(faults.is_full(), i > Faults::MOST);
            faults.add(format!("/{i}"), "is wrong");
        }
        assert_eq!(faults.as_slice().len(), Faults::MOST + 1);
        assert_eq!(faults.as_slice()[0].pointer, "/0");
        assert_eq!(faults.as_slice()[Faults::MOST].detail, "has more faults than these 256");
        assert!(faults.into_result().is_err());
    }

    #[test]
    fn long_segments_of_pointers_are_cut() {
        let mut faults = Faults::new();
        for token in ["x".repeat(64), "ä".repeat(65), "~/".repeat(32), "/".repeat(500_000), String::new()] {
            let escaped = token.replace('~', "~0").replace('/', "~1");
            faults.add(format!("/a/{escaped}/b"), "is wrong");
            let pointer = &faults.as_slice().last().unwrap().pointer;
            assert_eq!(*pointer, format!("/a/{}/b", segment(&token)));
            assert_eq!(*pointer, cut(pointer.clone()));
        }
        let pointers: Vec<&str> = faults.as_slice().iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers[0], format!("/a/{}/b", "x".repeat(64)));
        assert_eq!(pointers[1], format!("/a/{}…/b", "ä".repeat(63)));
        assert_eq!(pointers[2], format!("/a/{}/b", "~0~1".repeat(32)));
        assert_eq!(pointers[3], format!("/a/{}…/b", "~1".repeat(63)));
        assert_eq!(pointers[4], "/a//b");
    }
}
