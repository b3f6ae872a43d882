//! Label and field selectors.

use serde_json::Value;

use crate::json;
use crate::status::Refusal;

/// Which objects a list, a watch or a collection delete is about.
#[derive(Debug, Default, Clone)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(Vec<String>, bool, String)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

/// The fields that some kind of a real server can be selected by.
const FIELDS: [&str; 13] = [
    "metadata.name",
    "metadata.namespace",
    "status.phase",
    "spec.nodeName",
    "spec.signerName",
    "type",
    "reason",
    "status.successful",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "source",
];

impl Selector {
    /// Reads the two query parameters; empty ones select everything.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self, Refusal> {
        Ok(Self {
            labels: split(labels)
                .map(|term| {
                    requirement(term.trim())
                        .ok_or_else(|| Refusal::bad_request(format!("unable to parse requirement: {term:?}")))
                })
                .collect::<Result<_, _>>()?,
            fields: split(fields).map(field).collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(object))
            && self.fields.iter().all(|(path, equal, wanted)| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                (json::text(object, &path) == wanted) == *equal
            })
    }
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        let label = |key: &str| json::at(object, &["metadata", "labels", key]).and_then(Value::as_str);
        let number = |key: &str| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|label| values.iter().any(|value| value == label)),
            Self::NotIn(key, values) => label(key).is_none_or(|label| values.iter().all(|value| value != label)),
            Self::Exists(key) => label(key).is_some(),
            Self::Missing(key) => label(key).is_none(),
            Self::Greater(key, bound) => number(key).is_some_and(|label| label > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|label| label < *bound),
        }
    }
}

/// The terms between commas, except commas inside parentheses.
fn split(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    selector
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .filter(|term| !term.trim().is_empty())
}

fn requirement(term: &str) -> Option<Requirement> {
    let one = |text: &str| vec![text.trim().to_owned()];
    if let Some(key) = term.strip_prefix('!') {
        return Some(Requirement::Missing(key_of(key)?));
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Some(Requirement::NotIn(key_of(key)?, one(value)));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Some(Requirement::In(key_of(key)?, one(value)));
    }
    if let Some((key, value)) = term.split_once('>') {
        return Some(Requirement::Greater(key_of(key)?, value.trim().parse().ok()?));
    }
    if let Some((key, value)) = term.split_once('<') {
        return Some(Requirement::Less(key_of(key)?, value.trim().parse().ok()?));
    }
    let Some((head, values)) = term.split_once('(') else {
        return Some(Requirement::Exists(key_of(term)?));
    };
    let values = values.trim_end().strip_suffix(')')?.split(',').map(|value| value.trim().to_owned()).collect();
    let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
    match operator {
        "in" => Some(Requirement::In(key_of(key)?, values)),
        "notin" => Some(Requirement::NotIn(key_of(key)?, values)),
        _ => None,
    }
}

fn key_of(text: &str) -> Option<String> {
    let key = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!key.is_empty() && key.chars().all(allowed)).then(|| key.to_owned())
}

fn field(term: &str) -> Result<(Vec<String>, bool, String), Refusal> {
    let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
        (path, false, value)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, true, value)
    } else {
        return Err(Refusal::bad_request(format!("invalid field selector: {term:?}")));
    };
    let path = path.trim();
    if !FIELDS.contains(&path) {
        return Err(Refusal::bad_request(format!("field label not supported: {path}")));
    }
    let path = path.split('.').map(str::to_owned).collect();
    Ok((path, equal, value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(labels: &str, fields: &str) -> bool {
        let object = json!({"metadata": {"name": "one", "labels": {"tier": "web", "n": "5", "a.io/b": ""}}});
        Selector::parse(labels, fields).unwrap().matches(&object)
    }

    #[test]
    fn every_form_of_label_requirement_is_understood() {
        for yes in [
            "",
            "tier",
            "tier=web",
            "tier==web,n",
            "tier!=db",
            "tier in (db, web)",
            "tier notin (db,cache),n=5",
            "!absent",
            "absent!=x",
            "n>4",
            "n<6",
            "a.io/b=",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["absent", "tier=db", "tier!=web", "tier in (db)", "tier notin (web)", "!tier", "n>5"] {
            assert!(!selects(no, ""), "{no}");
        }
    }

    #[test]
    fn a_broken_selector_is_refused() {
        for broken in ["tier in web", "tier within (a)", "a b", "=x", "tier in (a"] {
            assert!(Selector::parse(broken, "").is_err(), "{broken}");
        }
        assert!(Selector::parse("", "spec.colour=red").is_err());
    }

    #[test]
    fn objects_are_selected_by_name() {
        assert!(selects("", "metadata.name=one"));
        assert!(!selects("", "metadata.name!=one"));
    }
}
