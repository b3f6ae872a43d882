//! The query of a request's URI.

use http::Uri;
use percent_encoding::percent_decode_str;

use super::{dto::plain, problem::Problem, reply::Warnings};

/// Parameters that have a second spelling, ours, beside the one that is described.
const ALSO: [(&str, &str); 2] = [("labelSelector", "label-selector"), ("lastEventId", "last-event-id")];

/// So many unknown parameters are named.
const NAMED: usize = 8;

/// The parameters of a query. Those that nobody asks for are ignored, and the edge warns of them.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| Problem::parameter(&printable(name), "is not UTF-8"))?;
            let value = decode(value).ok_or_else(|| Problem::parameter(&name, "is not UTF-8"))?;
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// Whether an order is to be carried out against what usually stands in its way.
    pub(super) fn is_forced(uri: &Uri) -> Result<bool, Problem> {
        Self::parse(uri.query())?.flag("force")
    }

    /// A parameter that may stand there once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut found = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() {
            return Err(Problem::parameter(name, "stands there more than once"));
        }
        Ok(first)
    }

    /// Whether a parameter stands there, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// A parameter that may stand there several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is one of several words.
    pub(super) fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Problem::parameter(name, format!("must be one of {}", allowed.join(", "))))
            }
        }
    }

    /// A parameter that is true or false, in any of the words that Kubernetes takes for them.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false" | "False" | "FALSE" | "f" | "F" | "0") => Ok(false),
            Some("true" | "True" | "TRUE" | "t" | "T" | "1" | "") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "must be true or false")),
        }
    }
}

/// What to tell of parameters that an operation does not know, by those that it does: they are ignored, and may be
/// misspelt ones.
pub(super) fn unknown(query: &str, known: &[String]) -> Warnings {
    let mut warnings = Warnings::default();
    let Ok(query) = Query::parse(Some(query)) else { return warnings };
    if query.0.iter().any(|(name, value)| name == "fieldValidation" && value == "Ignore") {
        return warnings;
    }
    let is_known = |name: &str| {
        let described = ALSO.iter().find(|(_, also)| *also == name).map_or(name, |(described, _)| *described);
        known.iter().any(|known| known == described)
    };
    let unknown = query.0.iter().map(|(name, _)| name.as_str()).filter(|name| !is_known(name));
    for name in unknown.take(NAMED) {
        let meant = known.iter().find(|known| plain(known) == plain(name));
        let meant = meant.map_or_else(String::new, |known| format!("; did you mean {known:?}?"));
        warnings.add(format!("unknown query parameter {:?}{meant}", printable(name)));
    }
    warnings
}

/// Refuses to carry out what was meant to be tried only: clients of Kubernetes ask so for it.
pub(super) fn refuse_dry_run(uri: &Uri) -> Result<(), Problem> {
    let Some(query) = uri.query() else { return Ok(()) };
    match Query::parse(Some(query))?.0.iter().find(|(name, _)| plain(name) == "dryrun") {
        Some((name, _)) => {
            let detail = "is not served, so nothing was done: GET …/manifests and …/diff of a logical cloud show what an apply would do";
            Err(Problem::parameter(&printable(name), detail))
        }
        None => Ok(()),
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

fn printable(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_forms_encode() {
        let query = Query::parse(Some("after=a%2Bb+c&&limit=5&force")).ok().unwrap();
        assert_eq!(query.one("after").ok().flatten(), Some("a+b c"));
        assert_eq!(query.one("force").ok().flatten(), Some(""));
        assert_eq!(query.one("watch").ok(), Some(None));
    }

    #[test]
    fn flags_are_written_as_in_kubernetes() {
        let flag = |query: &str| Query::parse(Some(query)).ok().unwrap().flag("watch").ok();
        for (text, expected) in [("1", true), ("t", true), ("TRUE", true), ("0", false), ("F", false), ("False", false)]
        {
            assert_eq!(flag(&format!("watch={text}")), Some(expected), "{text}");
        }
        assert_eq!((flag("watch"), flag("x=1")), (Some(true), Some(false)));
        for bad in ["yes", "2", "tRUE", "on"] {
            assert_eq!(flag(&format!("watch={bad}")), None, "{bad}");
        }
    }

    #[test]
    fn a_parameter_that_stands_there_twice_is_refused() {
        let query = Query::parse(Some("limit=1&limit=2")).ok().unwrap();
        assert!(query.one("limit").is_err());
        assert!(Query::parse(Some("a=%ff")).is_err());
    }
}
