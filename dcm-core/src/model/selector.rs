//! Label selectors, as Kubernetes has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use crate::name::{is_label_key, is_label_name};

/// What is asked of labels. Without any requirement it selects everything.
///
/// ```
/// # use std::collections::BTreeMap;
/// use dcm_core::model::LabelSelector;
/// let selector: LabelSelector = "tier in (gold, silver), !retired".parse()?;
/// let labels = |value: &str| BTreeMap::from([("tier".to_owned(), value.to_owned())]);
/// assert!(selector.selects(&labels("gold")) && !selector.selects(&labels("iron")));
/// assert!(!selector.selects(&BTreeMap::new()));
///
/// let error = "tier in gold".parse::<LabelSelector>().unwrap_err();
/// assert_eq!(error.to_string(), "is wrong at character 9, \"gold\": expected '(' and the values");
/// # Ok::<(), dcm_core::model::InvalidSelector>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    IsAbsent,
    In(BTreeSet<String>),
    /// Or absent.
    NotIn(BTreeSet<String>),
}

impl LabelSelector {
    /// How long the text may be, in bytes. Encoded for a URI it may be three times that, and servers take 8 KiB.
    pub const LONGEST: usize = 2048;

    /// How many requirements there may be.
    pub const MOST: usize = 64;

    /// Selects everything.
    #[must_use]
    pub const fn everything() -> Self {
        Self(Vec::new())
    }

    /// Selects what has a label with exactly this key, whatever its value.
    #[must_use]
    pub fn has(key: impl Into<String>) -> Self {
        Self(vec![Requirement { key: key.into(), condition: Condition::Exists }])
    }

    /// Whether these labels are as required.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|Requirement { key, condition }| {
            let value = labels.get(key);
            match condition {
                Condition::Exists => value.is_some(),
                Condition::IsAbsent => value.is_none(),
                Condition::In(values) => value.is_some_and(|value| values.contains(value)),
                Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

impl FromStr for LabelSelector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        if text.len() > Self::LONGEST {
            return Err(InvalidSelector::Long);
        }
        let mut words = Words { rest: text, at: 1 };
        let mut requirements = Vec::new();
        if words.peek().text.is_empty() {
            return Ok(Self(requirements));
        }
        loop {
            if requirements.len() == Self::MOST {
                return Err(InvalidSelector::Many);
            }
            requirements.push(requirement(&mut words)?);
            match words.next() {
                Word { text: "", .. } => return Ok(Self(requirements)),
                Word { text: ",", .. } => {}
                other => return Err(other.instead_of("',' or the end")),
            }
        }
    }
}

/// Reads one requirement, and leaves what follows.
fn requirement(words: &mut Words<'_>) -> Result<Requirement, InvalidSelector> {
    let first = words.next();
    if first.text == "!" {
        return Ok(Requirement { key: key_of(words.next())?, condition: Condition::IsAbsent });
    }
    let key = key_of(first)?;
    let condition = match words.peek().text {
        "" | "," => Condition::Exists,
        "=" | "==" => {
            words.next();
            Condition::In(BTreeSet::from([value(words)?]))
        }
        "!=" => {
            words.next();
            Condition::NotIn(BTreeSet::from([value(words)?]))
        }
        "in" => {
            words.next();
            Condition::In(values(words)?)
        }
        "notin" => {
            words.next();
            Condition::NotIn(values(words)?)
        }
        _ => return Err(words.next().instead_of("'=', '!=', 'in', 'notin', ',' or the end")),
    };
    Ok(Requirement { key, condition })
}

fn key_of(word: Word<'_>) -> Result<String, InvalidSelector> {
    if is_label_key(word.text) {
        return Ok(word.text.to_owned());
    }
    Err(word.instead_of(
        "the key of a label: up to 63 letters, digits, '-', '_' or '.', with a DNS name and '/' before it where wanted",
    ))
}

/// The value after an operator; an empty one may be left out.
fn value(words: &mut Words<'_>) -> Result<String, InvalidSelector> {
    if matches!(words.peek().text, "" | "," | ")") {
        return Ok(String::new());
    }
    let word = words.next();
    if is_label_name(word.text) {
        return Ok(word.text.to_owned());
    }
    Err(word.instead_of(
        "the value of a label: up to 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit",
    ))
}

/// The values in parentheses: one at least.
fn values(words: &mut Words<'_>) -> Result<BTreeSet<String>, InvalidSelector> {
    let open = words.next();
    if open.text != "(" {
        return Err(open.instead_of("'(' and the values"));
    }
    if words.peek().text == ")" {
        return Err(words.next().instead_of("a value"));
    }
    let mut values = BTreeSet::new();
    loop {
        values.insert(value(words)?);
        match words.next() {
            Word { text: ")", .. } => return Ok(values),
            Word { text: ",", .. } => {}
            other => return Err(other.instead_of("',' or ')'")),
        }
    }
}

/// A word or an operator; nothing at the end.
#[derive(Clone, Copy)]
struct Word<'a> {
    /// Which character of the selector it begins with, counted from 1.
    at: usize,
    text: &'a str,
}

impl Word<'_> {
    fn instead_of(self, expected: &'static str) -> InvalidSelector {
        let mut found: String = self.text.chars().take(InvalidSelector::SHOWN).collect();
        if found.len() < self.text.len() {
            found.push('…');
        }
        InvalidSelector::Unexpected { at: self.at, found, expected }
    }
}

/// What is left of a selector.
struct Words<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    /// The next word, without going on.
    fn peek(&mut self) -> Word<'a> {
        let blank = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.skip(blank);
        let rest = self.rest;
        let operator = ["==", "!=", "=", "!", ",", "(", ")"].into_iter().find(|operator| rest.starts_with(operator));
        let length = match operator {
            Some(operator) => operator.len(),
            None => rest.find([' ', '\t', '\r', '\n', '=', '!', ',', '(', ')']).unwrap_or(rest.len()),
        };
        Word { at: self.at, text: rest.get(..length).unwrap_or_default() }
    }

    fn next(&mut self) -> Word<'a> {
        let word = self.peek();
        self.skip(word.text.len());
        word
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.at += skipped.chars().count();
        self.rest = rest;
    }
}

/// Why a text is no label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSelector {
    /// It is too long.
    Long,
    /// It has too many requirements.
    Many,
    /// Something else stands where something is expected.
    Unexpected {
        /// At which character, counted from 1.
        at: usize,
        /// What stands there, cut where it is long; nothing at the end.
        found: String,
        /// What could.
        expected: &'static str,
    },
}

impl InvalidSelector {
    /// How much is shown of what should not be there.
    const SHOWN: usize = 64;
}

impl fmt::Display for InvalidSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "may have at most {} bytes", LabelSelector::LONGEST),
            Self::Many => write!(f, "may have at most {} requirements", LabelSelector::MOST),
            Self::Unexpected { found, expected, .. } if found.is_empty() => {
                write!(f, "is not complete: at the end is expected {expected}")
            }
            Self::Unexpected { at, found, expected } => {
                write!(f, "is wrong at character {at}, {found:?}: expected {expected}")
            }
        }
    }
}

impl std::error::Error for InvalidSelector {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn parse(text: &str) -> LabelSelector {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn selects_as_kubernetes_does() {
        let it = labels(&[("a", "b"), ("x.io/tier", "gold"), ("empty", ""), ("in", "notin")]);
        for (selector, selects) in [
            ("", true),
            ("  ", true),
            ("a=b", true),
            ("a==b", true),
            ("a = b", true),
            ("a=c", false),
            ("a!=b", false),
            ("a!=c", true),
            ("none!=c", true),
            ("none=c", false),
            ("none=", false),
            ("empty=", true),
            ("empty=,a", true),
            ("empty!=", false),
            ("a", true),
            ("none", false),
            ("!a", false),
            ("! none", true),
            ("a in (b)", true),
            ("a in (c, b)", true),
            ("a\tin(c,d)", false),
            ("none in (c)", false),
            ("empty in (c,)", true),
            ("empty in (,)", true),
            ("a notin (b,c)", false),
            ("a notin (c)", true),
            ("none notin (c)", true),
            ("x.io/tier=gold,a=b", true),
            ("x.io/tier=gold,a=c", false),
            ("x.io/tier in (gold,silver),a!=c,!none", true),
            ("a=b,a=c", false),
            ("in", true),
            ("in in (notin)", true),
            ("notin", false),
            ("A=b", false),
            ("a=B", false),
        ] {
            assert_eq!(parse(selector).selects(&it), selects, "{selector:?}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (selector, wrong) in [
            (",", "character 1, \",\": expected the key"),
            ("a,", "at the end is expected the key"),
            ("a=b,,c", "character 5, \",\": expected the key"),
            ("=b", "character 1, \"=\": expected the key"),
            ("!", "at the end is expected the key"),
            ("!!a", "character 2, \"!\": expected the key"),
            ("a b", "character 3, \"b\": expected '=', '!=', 'in'"),
            ("a=b c", "character 5, \"c\": expected ',' or the end"),
            ("a=b=c", "character 4, \"=\": expected ',' or the end"),
            ("!a=b", "character 3, \"=\": expected ',' or the end"),
            ("a===b", "character 4, \"=\": expected the value"),
            ("a=b)", "character 4, \")\": expected ',' or the end"),
            ("a in", "at the end is expected '('"),
            ("a in b", "character 6, \"b\": expected '('"),
            ("a in ()", "character 7, \")\": expected a value"),
            ("a in (b", "at the end is expected ',' or ')'"),
            ("a in (b c)", "character 9, \"c\": expected ',' or ')'"),
            ("a in (b)c", "character 9, \"c\": expected ',' or the end"),
            ("a In (b)", "character 3, \"In\": expected '=', '!=', 'in'"),
            ("a>1", "character 1, \"a>1\": expected the key"),
            ("ä=b", "character 1, \"ä\": expected the key"),
            ("a=ä b", "character 3, \"ä\": expected the value"),
            ("é é", "character 1, \"é\""),
            ("a=-b", "character 3, \"-b\": expected the value"),
            ("x_y/a", "character 1, \"x_y/a\": expected the key"),
            ("x/y/a", "character 1, \"x/y/a\": expected the key"),
            ("/a", "character 1, \"/a\": expected the key"),
            ("a=\u{0}", "character 3, \"\\0\": expected the value"),
        ] {
            let error = selector.parse::<LabelSelector>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{selector:?} {error}");
        }
    }

    #[test]
    fn is_bounded() {
        let many = |n: usize| vec!["a"; n].join(",");
        assert!(many(LabelSelector::MOST).parse::<LabelSelector>().is_ok());
        assert_eq!(many(LabelSelector::MOST + 1).parse::<LabelSelector>(), Err(InvalidSelector::Many));
        let blank = |n: usize| " ".repeat(n).parse::<LabelSelector>();
        assert!(blank(LabelSelector::LONGEST).is_ok());
        assert_eq!(blank(LabelSelector::LONGEST + 1), Err(InvalidSelector::Long));
        let long = "x".repeat(63);
        assert!(parse(&format!("{long}={long}")).selects(&labels(&[(&long, &long)])));
        for beyond in [format!("{long}x"), format!("a={long}x"), format!("a in ({long}x)")] {
            let error = beyond.parse::<LabelSelector>().unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_key_alone_is_a_selector_too() {
        assert_eq!(LabelSelector::has("x.io/a"), parse("x.io/a"));
        assert!(LabelSelector::has("a b").selects(&labels(&[("a b", "")])));
    }

    /// A requirement: its text, and whether what has these values of `a` and `b` fulfils it.
    type Known = (String, fn(Option<&str>, &[String]) -> bool, &'static str, Vec<String>);

    fn known() -> impl Strategy<Value = Known> {
        let key = prop_oneof![Just("a"), Just("b")];
        let values = prop::collection::vec("[xyz]{0,1}", 1..4);
        let blank = "[ \t]{0,2}";
        (key, values, blank, 0..6).prop_map(|(key, values, blank, kind)| {
            let (one, all) = (values[0].clone(), values.join(&format!("{blank},{blank}")));
            let is = |value: Option<&str>, values: &[String]| values.iter().any(|v| Some(v.as_str()) == value);
            let is_not = |value: Option<&str>, values: &[String]| !values.iter().any(|v| Some(v.as_str()) == value);
            match kind {
                0 => (format!("{key}{blank}={blank}{one}"), is as _, key, vec![one]),
                1 => (format!("{key}{blank}!={one}{blank}"), is_not as _, key, vec![one]),
                // A set of one empty value cannot be written.
                2 if all.trim().is_empty() => (format!("{key}=="), is as _, key, vec![one]),
                2 => (format!("{key} in{blank}({all}{blank})"), is as _, key, values),
                3 if all.trim().is_empty() => (format!("{key}!="), is_not as _, key, vec![one]),
                3 => (format!("{blank}{key} notin ({all})"), is_not as _, key, values),
                4 => (format!("{key}{blank}"), (|value: Option<&str>, _: &[String]| value.is_some()) as _, key, values),
                _ => {
                    (format!("!{blank}{key}"), (|value: Option<&str>, _: &[String]| value.is_none()) as _, key, values)
                }
            }
        })
    }

    proptest! {
        #[test]
        fn selects_what_every_requirement_is_true_of(
            requirements in prop::collection::vec(known(), 1..6),
            a in prop::option::of("[xyz]{0,1}"),
            b in prop::option::of("[xyz]{0,1}"),
        ) {
            let text = requirements.iter().map(|(text, ..)| text.as_str()).collect::<Vec<_>>().join(",");
            let all: Vec<_> = [("a", &a), ("b", &b)].iter().filter_map(|(k, v)| Some((*k, v.as_deref()?))).collect();
            let expected = requirements.iter().all(|(_, is, key, values)| {
                is(if *key == "a" { a.as_deref() } else { b.as_deref() }, values)
            });
            prop_assert_eq!(parse(&text).selects(&labels(&all)), expected, "{:?}", text);
        }

        #[test]
        fn no_text_is_too_much(text in "[ a-c=!,()é\u{0}/.-]{0,40}") {
            if let Err(error) = text.parse::<LabelSelector>() {
                prop_assert!(error.to_string().len() < 400);
            }
        }
    }
}
