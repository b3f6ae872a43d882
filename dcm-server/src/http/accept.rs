//! Which forms of an answer a client takes (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

use super::{problem::Problem, quality};

/// The media ranges of `Accept`.
pub(super) struct Accept<'a>(Vec<&'a str>);

impl<'a> Accept<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Result<Self, Problem> {
        let mut ranges = Vec::new();
        for value in headers.get_all(header::ACCEPT) {
            let text = value.to_str().map_err(|_| Problem::header("Accept", "must be a list of media types"))?;
            ranges.extend(text.split(',').map(str::trim).filter(|range| !range.is_empty()));
        }
        Ok(Self(ranges))
    }

    /// Whether the client does not care.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much the client likes a form, in thousandths. `specificity` says how closely a media range in lower case names
    /// the form; 0 where it does not.
    pub(super) fn weight(&self, specificity: impl Fn(&str) -> u8) -> u16 {
        let of = |range: &&str| {
            let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
            (specificity(&media_type.trim().to_ascii_lowercase()), quality::weight(parameters))
        };
        let best = self.0.iter().map(of).filter(|(specificity, _)| *specificity > 0).max_by_key(|(s, _)| *s);
        best.map_or(0, |(_, weight)| weight)
    }
}
