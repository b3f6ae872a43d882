//! JSON as a tree that keeps what a map would lose: the order of fields, and fields that stand there twice.

use std::{cell::Cell, fmt};

use dcm_core::{fault::segment, model::KvPair};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::number::{self, Numbers};

/// How deep data may be nested at most, whatever the configuration says.
pub(crate) const DEEPEST: usize = 64;

/// A key may have so many bytes: no field has a longer name, and those of kv-pairs may not.
const LONGEST_KEY: usize = KvPair::LONGEST_KEY;

/// What is told of a number that stands where data is kept.
const UNFIT: &str = "is a number that cannot be kept exactly: write it as a text, in quotes";

/// One JSON value. Has no debug form: bodies hold secrets.
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// A number that would be another one if it were kept as one.
    Unfit,
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Why there is no tree. Never quotes the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// Nothing but blanks.
    Empty,
    /// Not UTF-8, from this byte on.
    NotUtf8 { at: usize },
    /// More than so many levels.
    TooDeep { most: usize, line: usize, column: usize },
    /// A key has more than [`LONGEST_KEY`] bytes.
    LongKey { line: usize, column: usize },
    /// Something else.
    Syntax { line: usize, column: usize },
    /// It ends too early.
    Unfinished { line: usize, column: usize },
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty; JSON is expected"),
            Self::NotUtf8 { at } => write!(f, "is not UTF-8 (byte {at})"),
            Self::TooDeep { most, line, column } => {
                write!(f, "is nested too deeply: at most {most} levels are allowed (line {line}, column {column})")
            }
            Self::LongKey { line, column } => {
                write!(f, "has a key of more than {LONGEST_KEY} bytes (line {line}, column {column})")
            }
            Self::Syntax { line, column } => write!(f, "is not JSON (line {line}, column {column})"),
            Self::Unfinished { line, column } => {
                write!(f, "is not complete JSON: it ends at line {line}, column {column}")
            }
        }
    }
}

impl Node {
    /// Reads JSON text of so many levels at most.
    pub(crate) fn parse(bytes: &[u8], deepest: usize) -> Result<Self, NotJson> {
        let text = std::str::from_utf8(bytes).map_err(|e| NotJson::NotUtf8 { at: e.valid_up_to() })?;
        if text.trim_ascii().is_empty() {
            return Err(NotJson::Empty);
        }
        let (numbers, refusal) = (Numbers::of(text), Cell::new(None));
        let seed = Seed { left: deepest, numbers: &numbers, refusal: &refusal };
        let finite = number::finite(text);
        let mut reader = serde_json::Deserializer::from_str(&finite);
        let parsed = seed.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
        parsed.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            if let Some(refusal) = refusal.get() {
                match refusal {
                    Refusal::TooDeep => NotJson::TooDeep { most: deepest, line, column },
                    Refusal::LongKey => NotJson::LongKey { line, column },
                }
            } else if error.is_eof() {
                NotJson::Unfinished { line, column }
            } else {
                NotJson::Syntax { line, column }
            }
        })
    }

    /// What it is, for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) | Self::Unfit => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The value as data. `tell` is told what cannot be kept: keys that stand in an object twice, of which
    /// the first counts, and numbers.
    pub(crate) fn to_value(&self, pointer: Pointer<'_>, tell: &mut dyn FnMut(Pointer<'_>, &str)) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Unfit => {
                tell(pointer, UNFIT);
                Value::Null
            }
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(value) => Value::Number(value.clone()),
            Self::Text(value) => Value::String(value.clone()),
            Self::List(list) => {
                let at = |i| Pointer::Item(&pointer, i);
                Value::Array(list.iter().enumerate().map(|(i, node)| node.to_value(at(i), tell)).collect())
            }
            Self::Object(entries) => {
                let mut object = serde_json::Map::new();
                for (key, node) in entries {
                    let at = Pointer::Key(&pointer, key);
                    if object.contains_key(key) {
                        tell(at, TWICE);
                    } else {
                        object.insert(key.clone(), node.to_value(at, tell));
                    }
                }
                Value::Object(object)
            }
        }
    }
}

/// Objects are equal in whatever order their fields stand.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Unfit, Self::Unfit) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Number(one), Self::Number(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::List(one), Self::List(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => {
                let sorted = |entries: &'_ Vec<(String, Self)>| {
                    let mut order: Vec<usize> = (0..entries.len()).collect();
                    order.sort_by_key(|i| entries.get(*i).map(|(key, _)| key.as_str()));
                    order
                };
                one.len() == two.len()
                    && sorted(one).into_iter().zip(sorted(two)).all(|(i, j)| one.get(i) == two.get(j))
            }
            _ => false,
        }
    }
}

/// An answer of ours.
impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(value) => Self::Number(value),
            Value::String(value) => Self::Text(value),
            Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Value::Object(map) => Self::Object(map.into_iter().map(|(key, value)| (key, Self::from(value))).collect()),
        }
    }
}

/// What is told of a key that stands in an object twice.
pub(crate) const TWICE: &str = "stands there twice";

/// A JSON pointer (RFC 6901) in the making: there are as many places as bytes in a body, so only those that
/// something is told of are written down.
#[derive(Clone, Copy)]
pub(crate) enum Pointer<'a> {
    /// What is written down already.
    Of(&'a str),
    /// The field with this key.
    Key(&'a Pointer<'a>, &'a str),
    /// The item at this place.
    Item(&'a Pointer<'a>, usize),
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(pointer) => f.write_str(pointer),
            Self::Key(above, key) => write!(f, "{above}/{}", segment(key)),
            Self::Item(above, i) => write!(f, "{above}/{i}"),
        }
    }
}

/// Why we take no more of what may well be JSON.
#[derive(Clone, Copy)]
enum Refusal {
    TooDeep,
    LongKey,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    /// So many levels are left.
    left: usize,
    numbers: &'a Numbers<'a>,
    refusal: &'a Cell<Option<Refusal>>,
}

impl Seed<'_> {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            None => Err(self.refuse(Refusal::TooDeep)),
            Some(left) => Ok(Self { left, ..self }),
        }
    }

    fn refuse<E: serde::de::Error>(self, refusal: Refusal) -> E {
        self.refusal.set(Some(refusal));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        self.numbers.next();
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        self.numbers.next();
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        if !number::is_same(self.numbers.next(), value) {
            return Ok(Node::Unfit);
        }
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(node) = from.next_element_seed(below)? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut entries = Vec::new();
        while let Some(key) = from.next_key::<String>()? {
            if key.len() > LONGEST_KEY {
                return Err(self.refuse(Refusal::LongKey));
            }
            entries.push((key, from.next_value_seed(below)?));
        }
        Ok(Node::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> NotJson {
        Node::parse(text.as_bytes(), DEEPEST).err().unwrap()
    }

    #[test]
    fn says_where_it_is_no_json_and_quotes_nothing() {
        assert_eq!(error("  \n"), NotJson::Empty);
        assert_eq!(error("{\n \"a\": s3cret}"), NotJson::Syntax { line: 2, column: 7 });
        assert_eq!(error("{\"a\": "), NotJson::Unfinished { line: 1, column: 6 });
        assert_eq!(error("{} {}"), NotJson::Syntax { line: 1, column: 4 });
        assert_eq!(Node::parse(b"{\"a\": \"\xff\"}", DEEPEST).err(), Some(NotJson::NotUtf8 { at: 7 }));
        assert!(!error("s3cret").to_string().contains("s3cret"));
    }

    #[test]
    fn takes_sixty_four_levels_and_no_more() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Node::parse(nested(DEEPEST).as_bytes(), DEEPEST).is_ok());
        assert!(matches!(error(&nested(DEEPEST + 1)), NotJson::TooDeep { most: DEEPEST, .. }));
        assert!(Node::parse(nested(8).as_bytes(), 8).is_ok());
        assert!(matches!(Node::parse(nested(9).as_bytes(), 8).err(), Some(NotJson::TooDeep { most: 8, .. })));
        assert!(matches!(error(&"[".repeat(100_000)), NotJson::TooDeep { .. }));
        assert!(matches!(error(&"{\"a\":".repeat(100_000)), NotJson::TooDeep { .. }));
    }

    #[test]
    fn keys_have_a_bound() {
        let with_key = |bytes: usize| format!("{{\"a\": [{{\"{}\": 1}}]}}", "k".repeat(bytes));
        assert!(Node::parse(with_key(LONGEST_KEY).as_bytes(), DEEPEST).is_ok());
        assert!(matches!(error(&with_key(LONGEST_KEY + 1)), NotJson::LongKey { line: 1, .. }));
        assert!(error(&with_key(LONGEST_KEY + 1)).to_string().len() < 100);
    }

    /// The data, and what was told of it.
    fn data(text: &str, at: &str) -> (Value, Vec<String>) {
        let mut told = Vec::new();
        let node = Node::parse(text.as_bytes(), DEEPEST).unwrap();
        let value = node.to_value(Pointer::Of(at), &mut |at, detail| told.push(format!("{at}: {detail}")));
        (value, told)
    }

    #[test]
    fn objects_are_equal_in_any_order_and_lists_in_theirs() {
        let is_same = |one: &str, two: &str| {
            let node = |text: &str| Node::parse(text.as_bytes(), DEEPEST).ok().unwrap();
            node(one) == node(two)
        };
        assert!(is_same(
            r#"{"a": 1, "b": {"c": [1, {"d": 2, "e": 3}], "f": null}}"#,
            r#"{"b": {"f": null, "c": [1, {"e": 3, "d": 2}]}, "a": 1}"#
        ));
        for (one, two) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 2, "b": 1}"#),
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 1, "b": 2}"#),
            ("[1, 2]", "[2, 1]"),
            ("1", "1.5"),
            ("null", "{}"),
        ] {
            assert!(!is_same(one, two), "{one} {two}");
        }
    }

    #[test]
    fn numbers_are_kept_exactly_or_named() {
        let kept =
            r#"[0, -0, 18446744073709551615, -9223372036854775808, 0.1, -1.50, 1e3, 1E-7, 1e20, 0.0e9, "9e999"]"#;
        let (value, told) = data(kept, "");
        assert_eq!((value[2].as_u64(), value[3].as_i64()), (Some(u64::MAX), Some(i64::MIN)));
        assert_eq!((value[4].as_f64(), value[6].as_f64(), told), (Some(0.1), Some(1000.0), vec![]));
        for number in [
            "18446744073709551616",
            "-9223372036854775809",
            "100000000000000000000",
            "1e400",
            "-1.5E+9999",
            "1e-400",
            "0.12345678901234567890123",
            "9007199254740993.0",
            &"9".repeat(400),
        ] {
            let (_, told) = data(&format!(r#"{{"a\"1e5": [1.5, {{"x/y": {number}}}, 2, 2.5]}}"#), "/spec");
            assert_eq!(told, [format!("/spec/a\"1e5/1/x~1y: {UNFIT}")], "{number}");
        }
        for text in ["01", "1e", "1.", "-", "+1", ".5", "1e400x", "1e4001e5", "01e400", "1e+", "[1e400 1]", "NaN"] {
            assert!(matches!(error(text), NotJson::Syntax { .. } | NotJson::Unfinished { .. }), "{text}");
        }
    }

    #[test]
    fn places_are_written_down_only_where_something_is_told_of_them() {
        let text = format!("{{\"{}\": [{}1]}}", "k".repeat(LONGEST_KEY), "1,".repeat(250_000));
        let (value, told) = data(&text, "");
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(1));
        assert_eq!(told, Vec::<String>::new());
        let (_, told) = data(&format!("{{\"{}\": [1e400]}}", "/".repeat(LONGEST_KEY)), "/a");
        assert_eq!(told, [format!("/a/{}…/0: {UNFIT}", "~1".repeat(63))]);
    }

    #[test]
    fn data_names_what_stands_there_twice() {
        let (value, told) = data(r#"{"a/b": [{"x": 1, "x": 2}], "c": 18446744073709551615}"#, "/spec");
        assert_eq!(told, ["/spec/a~1b/0/x: stands there twice"]);
        assert_eq!(value["c"], u64::MAX);
    }
}
