//! What a document looks like in MongoDB: readable BSON.
//!
//! ```text
//! { _id: "logical-cloud/4f6c…/lc-1",           the key, as people write it
//!   path: "logical-cloud\t4f6c…\tlc-1",        the key, so that the order of strings is the order of keys
//!   revision: "8f14e45f…",                     of this state, never used again
//!   replaces: "c9f0f895…",                     of the state before it; null where there was none
//!   body: { kind: "LogicalCloud", … } }        the JSON
//! ```
//!
//! # How JSON becomes BSON
//! As it stands, but for what MongoDB could not hold or not query: an object with a name that is empty, begins with `$`
//! or holds `.` or a zero byte becomes `{ "_map": [ { key: …, value: … } ] }`; a whole number above 2⁶³ becomes a decimal. JSON that is nested too deeply for
//! MongoDB, or would become too large, is kept as text, in `text` instead of `body`.

use std::fmt;

use dcm_core::store::{Body, Document as Stored, Error, Key, Revision};
use mongodb::bson::{Bson, Decimal128, Document, doc};
use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser::{Error as _, SerializeMap, SerializeSeq},
};

/// What a list of names and values is called that stands for an object.
const MAP: &str = "_map";

/// How deep values may be nested; MongoDB allows a hundred levels, of which a list of names and values takes three.
const DEPTH: usize = 90;

/// What MongoDB allows (16 MiB), less what a document has beside its body.
pub(super) const LIMIT: usize = 16 * 1024 * 1024 - 8 * 1024;

const SEPARATOR: char = '\t';

/// The key as a string whose order is the key's order: the separator is smaller than every character of a segment.
pub(super) fn path(key: &Key) -> String {
    key.as_str().replace('/', "\t")
}

/// The key that such a string stands for.
pub(super) fn key(path: &str) -> Option<Key> {
    Key::new(path.split(SEPARATOR)).ok()
}

/// The paths that lie below a prefix: from the first, up to but without the second.
pub(super) fn paths(prefix: &Key) -> (String, String) {
    bounds(path(prefix), SEPARATOR)
}

/// The ids that lie below a prefix. They have another order than paths, and the same bounds hold the same documents.
pub(super) fn ids(prefix: &Key) -> (String, String) {
    bounds(prefix.as_str().to_owned(), '/')
}

fn bounds(prefix: String, separator: char) -> (String, String) {
    let next = char::from(separator as u8 + 1);
    (format!("{prefix}{separator}"), format!("{prefix}{next}"))
}

/// A document as it is to be written.
pub(super) fn write(key: &Key, body: &Body, revision: &str, replaces: Option<&Revision>) -> Result<Document, Error> {
    let json = body.as_bytes();
    let too_large = || Error::TooLarge { key: key.clone(), size: json.len(), limit: LIMIT };
    if json.len() > LIMIT {
        return Err(too_large());
    }
    let mut record = doc! {
        "_id": key.as_str(),
        "path": path(key),
        "revision": revision,
        "replaces": replaces.map(Revision::as_str),
    };
    match structured(json) {
        Some(body) => record.insert("body", body),
        None => {
            let text = std::str::from_utf8(json).map_err(|_| corrupt(key, "it is not UTF-8"))?;
            record.insert("text", text)
        }
    };
    Ok(record)
}

/// The JSON as BSON, or `None` where MongoDB could not hold that.
fn structured(json: &[u8]) -> Option<Bson> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = ToBson { depth: 0 }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    // BSON can be larger than JSON, up to ninefold: an object with an empty name grows most.
    let grown = json.len() > LIMIT / 16;
    let fits = |value: &Bson| doc! { "body": value.clone() }.to_vec().is_ok_and(|bytes| bytes.len() <= LIMIT);
    (!grown || fits(&value)).then_some(value)
}

/// A document as it was read.
pub(super) fn read(record: &Document) -> Result<Stored, Error> {
    let id = record.get_str("_id").unwrap_or_default();
    let Ok(key) = id.parse::<Key>() else {
        return Err(Error::Unavailable("the collection holds a document that is not DCM's: its _id is no key".into()));
    };
    let Ok(revision) = record.get_str("revision") else {
        return Err(corrupt(&key, "it has no revision"));
    };
    let body = match (record.get("body"), record.get_str("text")) {
        (Some(body), _) => serde_json::to_vec(&ToJson(body)).map_err(|_| corrupt(&key, "its body is not JSON"))?,
        (None, Ok(text)) => text.as_bytes().to_vec(),
        (None, Err(_)) => return Err(corrupt(&key, "it has no body")),
    };
    Ok(Stored { revision: Revision::new(revision), body: Body::from_json(body), key })
}

fn corrupt(key: &Key, reason: &str) -> Error {
    Error::Corrupt { key: key.clone(), reason: reason.to_owned() }
}

/// Reads JSON into BSON, in the order in which it stands.
#[derive(Clone, Copy)]
struct ToBson {
    depth: usize,
}

impl ToBson {
    fn deeper<E: serde::de::Error>(self, levels: usize) -> Result<Self, E> {
        let depth = self.depth + levels;
        if depth > DEPTH { Err(E::custom("nested too deeply")) } else { Ok(Self { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for ToBson {
    type Value = Bson;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Bson, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ToBson {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Bson, E> {
        Ok(i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bson, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => value.to_string().parse::<Decimal128>().map(Bson::Decimal128).map_err(E::custom),
        }
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bson, A::Error> {
        let inside = self.deeper(1)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inside)? {
            values.push(value);
        }
        Ok(Bson::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bson, A::Error> {
        // As if it became a list; what is no list is less deep.
        let inside = self.deeper(3)?;
        let mut entries: Vec<(String, Bson)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            entries.push((name, map.next_value_seed(inside)?));
        }
        let plain = entries.iter().all(|(name, _)| is_plain(name));
        let object = |entries: Vec<(String, Bson)>| Document::from_iter(entries);
        if plain {
            return Ok(Bson::Document(object(entries)));
        }
        let list = entries.into_iter().map(|(key, value)| Bson::Document(doc! { "key": key, "value": value }));
        Ok(Bson::Document(doc! { MAP: list.collect::<Vec<_>>() }))
    }
}

/// Whether MongoDB can hold, and query, an object with this name.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != MAP && !name.starts_with('$') && !name.contains(['.', '\0'])
}

/// Writes BSON that came from JSON as that JSON.
struct ToJson<'a>(&'a Bson);

impl Serialize for ToJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Bson::Null => to.serialize_unit(),
            Bson::Boolean(value) => to.serialize_bool(*value),
            Bson::Int32(value) => to.serialize_i32(*value),
            Bson::Int64(value) => to.serialize_i64(*value),
            Bson::Double(value) => to.serialize_f64(*value),
            Bson::String(value) => to.serialize_str(value),
            Bson::Decimal128(value) => {
                let number = value.to_string().parse::<u64>();
                to.serialize_u64(number.map_err(|_| S::Error::custom("a decimal that is no whole number"))?)
            }
            Bson::Array(values) => {
                let mut list = to.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&ToJson(value))?;
                }
                list.end()
            }
            Bson::Document(object) => match object.get_array(MAP) {
                Ok(entries) => {
                    let mut map = to.serialize_map(Some(entries.len()))?;
                    for entry in entries {
                        let entry = entry.as_document().ok_or_else(|| S::Error::custom("an entry that is none"))?;
                        let key = entry.get_str("key").map_err(S::Error::custom)?;
                        let value = entry.get("value").ok_or_else(|| S::Error::custom("an entry without a value"))?;
                        map.serialize_entry(key, &ToJson(value))?;
                    }
                    map.end()
                }
                Err(_) => {
                    let mut map = to.serialize_map(Some(object.len()))?;
                    for (name, value) in object {
                        map.serialize_entry(name, &ToJson(value))?;
                    }
                    map.end()
                }
            },
            _ => Err(S::Error::custom("a value of a type that JSON does not have")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            let name = prop_oneof!["[a-z]{0,4}", "[$._a\\x00é]{0,3}", Just(MAP.to_owned())];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn there_and_back(text: &str) -> String {
        let key: Key = "a/b".parse().unwrap();
        let record = write(&key, &Body::from_json(text.as_bytes()), "1", None).unwrap();
        let bytes = record.to_vec().unwrap();
        let read_back = Document::from_reader(&bytes[..]).unwrap();
        String::from_utf8(read(&read_back).unwrap().body.as_bytes().to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn every_json_comes_back_byte_for_byte(value in values()) {
            let text = value.to_string();
            prop_assert_eq!(there_and_back(&text), text);
        }
    }

    #[test]
    fn the_order_of_names_stays() {
        let text = r#"{"z":1,"a":{"y":2,"b.c":3,"a":4},"m":[]}"#;
        assert_eq!(there_and_back(text), text);
    }

    #[test]
    fn plain_json_is_plain_bson() {
        let body = structured(br#"{"kind":"Shelf","version":1,"document":{"books":["a"]}}"#).unwrap();
        let document = doc! { "kind": "Shelf", "version": 1, "document": { "books": ["a"] } };
        assert_eq!(body, Bson::Document(document));
    }

    #[test]
    fn names_that_mongodb_cannot_hold_become_a_list() {
        let body = structured(br#"{"example.com/team":"a"}"#).unwrap();
        assert_eq!(body, Bson::Document(doc! { "_map": [{ "key": "example.com/team", "value": "a" }] }));
    }

    #[test]
    fn what_is_nested_too_deeply_is_kept_as_text() {
        let deep = (0..60).fold(json!(1), |inner, _| json!({ "in": inner })).to_string();
        assert!(structured(deep.as_bytes()).is_none());
        assert_eq!(there_and_back(&deep), deep);
    }

    #[test]
    fn what_would_grow_too_large_is_kept_as_text() {
        let list = format!("[{}1]", "1,".repeat(LIMIT / 4));
        assert!(structured(list.as_bytes()).is_none());
        assert_eq!(there_and_back(&list), list);
    }

    #[test]
    fn what_would_grow_more_than_eightfold_is_kept_as_text() {
        let deep = format!("{}1{}", r#"{"":"#.repeat(29), "}".repeat(29));
        let list = format!("[{}]", vec![deep; 14_259].join(","));
        assert!(list.len() <= LIMIT / 8);
        let key: Key = "a/b".parse().unwrap();
        let record = write(&key, &Body::from_json(list.as_bytes()), "1", None).unwrap();
        assert!(record.to_vec().unwrap().len() <= LIMIT + 8 * 1024);
        assert_eq!(there_and_back(&list), list);
    }

    #[test]
    fn paths_and_ids_below_a_prefix_are_the_keys_below_it() {
        let prefix: Key = "a/b".parse().unwrap();
        for (text, below) in [("a/b/c", true), ("a/b/c/d", true), ("a/b", false), ("a/bc", false), ("a/b-c/d", false)] {
            let key: Key = text.parse().unwrap();
            let within = |(from, to): (String, String), text: &str| from.as_str() <= text && text < to.as_str();
            assert_eq!(within(paths(&prefix), &path(&key)), below, "{text}");
            assert_eq!(within(ids(&prefix), key.as_str()), below, "{text}");
        }
    }
}
