//! Bodies in Kubernetes' protobuf, which newer kubectls send: read into JSON by a table of messages.
//!
//! Answers are always JSON, which every client takes.

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::clock;
use crate::json;

mod schema;

use schema::{Field, Message, Shape};

/// The content type of such bodies.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
const DEPTH: usize = 32;

/// Reads a body; `None` where it is broken, or of a kind that is not in the table.
pub(crate) fn read(body: &[u8]) -> Option<Value> {
    let envelope = message(body.strip_prefix(MAGIC)?, &schema::UNKNOWN, 0)?;
    let api_version = json::text(&envelope, &["typeMeta", "apiVersion"]);
    let kind = json::text(&envelope, &["typeMeta", "kind"]);
    let raw = BASE64.decode(json::text(&envelope, &["raw"]).as_bytes()).ok()?;
    let mut object = message(&raw, schema::of(kind)?, 0)?;
    json::set(&mut object, &["apiVersion"], api_version);
    json::set(&mut object, &["kind"], kind);
    Some(object)
}

/// One field as it stands in the bytes.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn message(mut bytes: &[u8], shape: &Message, depth: usize) -> Option<Value> {
    if depth > DEPTH {
        return None;
    }
    let mut map = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = field(&mut bytes)?;
        let Some(Field { name, shape, .. }) = shape.0.iter().find(|field| u64::from(field.number) == number) else {
            continue;
        };
        put(&mut map, name, shape, &wire, depth)?;
    }
    Some(Value::Object(map))
}

fn put(map: &mut Map<String, Value>, name: &str, shape: &Shape, wire: &Wire<'_>, depth: usize) -> Option<()> {
    match shape {
        Shape::List(shape) => {
            let value = value(shape, wire, depth)?;
            if let Value::Array(list) = map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                list.push(value);
            }
        }
        Shape::Map(shape) => {
            let &Wire::Bytes(mut entry) = wire else {
                return None;
            };
            let (mut key, mut held) = (String::new(), value(shape, &Wire::Bytes(&[]), depth)?);
            while !entry.is_empty() {
                match field(&mut entry)? {
                    (1, Wire::Bytes(bytes)) => key = std::str::from_utf8(bytes).ok()?.to_owned(),
                    (2, wire) => held = value(shape, &wire, depth)?,
                    _ => {}
                }
            }
            if let Value::Object(entries) = map.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                entries.insert(key, held);
            }
        }
        _ => {
            let value = value(shape, wire, depth)?;
            // An empty part says as much as a missing one, and Go writes many of them.
            let empty = match &value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !empty {
                map.insert(name.to_owned(), value);
            }
        }
    }
    Some(())
}

fn value(shape: &Shape, wire: &Wire<'_>, depth: usize) -> Option<Value> {
    Some(match (shape, wire) {
        (Shape::Text, Wire::Bytes(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
        (Shape::Bytes, Wire::Bytes(bytes)) => BASE64.encode(bytes).into(),
        (Shape::Number, Wire::Number(number)) => number.cast_signed().into(),
        (Shape::Bool, Wire::Number(number)) => (*number != 0).into(),
        (Shape::Time, Wire::Bytes(bytes)) => time(bytes)?,
        (Shape::Quantity, Wire::Bytes(bytes)) => {
            json::text(&message(bytes, &schema::QUANTITY, depth + 1)?, &["string"]).into()
        }
        (Shape::Message(shape), Wire::Bytes(bytes)) => message(bytes, shape, depth + 1)?,
        _ => return None,
    })
}

/// Seconds since 1970; no bytes are no time at all.
fn time(bytes: &[u8]) -> Option<Value> {
    let seconds = message(bytes, &schema::TIME, 0)?;
    Some(match seconds.get("seconds").and_then(Value::as_i64) {
        Some(seconds) => clock::rfc3339(Timestamp::from_second(seconds).ok()?).into(),
        None => Value::Null,
    })
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let tag = varint(bytes)?;
    let wire = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        1 => Wire::Bytes(take(bytes, 8)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => Wire::Bytes(take(bytes, 4)?),
        _ => return None,
    };
    Some((tag >> 3, wire))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A field of bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8], content].concat()
    }

    #[test]
    fn a_config_map_is_read() {
        let label = [bytes(1, b"k"), bytes(2, b"v")].concat();
        let meta = [bytes(1, b"name"), bytes(8, b""), bytes(11, &label)].concat();
        let datum = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let raw = [bytes(1, &meta), bytes(2, &datum), vec![4 << 3, 1]].concat();
        let types = [bytes(1, b"v1"), bytes(2, b"ConfigMap")].concat();
        let body = [MAGIC.to_vec(), bytes(1, &types), bytes(2, &raw)].concat();
        let expected = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "name", "labels": {"k": "v"}},
            "data": {"a": "b"},
            "immutable": true,
        });
        assert_eq!(read(&body), Some(expected));
    }

    #[test]
    fn broken_bytes_are_refused() {
        let whole = [MAGIC.to_vec(), bytes(1, &bytes(1, b"v1"))].concat();
        assert_eq!(read(&whole), None, "no kind");
        assert_eq!(read(b"k8s\0\x0a\xff"), None);
        assert_eq!(read(b"{}"), None);
        let mut long: &[u8] = &[0xff; 11];
        assert_eq!(varint(&mut long), None);
    }
}
