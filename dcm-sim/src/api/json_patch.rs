//! JSON patch (RFC 6902).

use serde_json::Value;

use crate::json;
use crate::status::Refusal;

/// Carries out the operations one after the other.
pub(super) fn apply(object: &mut Value, patch: &Value) -> Result<(), Refusal> {
    let operations = patch.as_array().ok_or_else(|| Refusal::bad_request("a JSON patch is a list of operations"))?;
    for operation in operations {
        let path = json::text(operation, &["path"]);
        step(object, operation, path).ok_or_else(|| {
            let message = format!("the server rejected our request due to an error in our request: {path:?}");
            Refusal::new(422, "Invalid", message)
        })?;
    }
    Ok(())
}

fn step(object: &mut Value, operation: &Value, path: &str) -> Option<()> {
    let value = operation.get("value");
    let from = json::text(operation, &["from"]);
    match json::text(operation, &["op"]) {
        "add" => add(object, path, value?.clone()),
        "remove" => take(object, path).map(drop),
        "replace" => {
            *object.pointer_mut(path)? = value?.clone();
            Some(())
        }
        "move" => {
            let moved = take(object, from)?;
            add(object, path, moved)
        }
        "copy" => {
            let copied = object.pointer(from)?.clone();
            add(object, path, copied)
        }
        "test" => (object.pointer(path) == value).then_some(()),
        _ => None,
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let index: usize = key.parse().ok()?;
            (index <= list.len()).then(|| list.insert(index, value))?;
        }
        _ => return None,
    }
    Some(())
}

fn take(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = parent(object, path)?;
    match parent {
        Value::Object(map) => map.remove(&key),
        Value::Array(list) => {
            let index: usize = key.parse().ok()?;
            (index < list.len()).then(|| list.remove(index))
        }
        _ => None,
    }
}

/// The value that holds the last key of a path, and that key.
fn parent<'a>(object: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    Some((object.pointer_mut(parent)?, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_do_what_they_say() {
        let mut object = json!({"a": {"x/y": 1}, "list": [1, 3]});
        let patch = json!([
            {"op": "test", "path": "/a/x~1y", "value": 1},
            {"op": "add", "path": "/list/1", "value": 2},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "move", "from": "/a/x~1y", "path": "/b"},
            {"op": "copy", "from": "/b", "path": "/c"},
            {"op": "replace", "path": "/c", "value": 7},
            {"op": "remove", "path": "/a"},
        ]);
        apply(&mut object, &patch).unwrap();
        assert_eq!(object, json!({"b": 1, "c": 7, "list": [1, 2, 3, 4]}));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut object = json!({"a": 1});
        for patch in [
            json!([{"op": "test", "path": "/a", "value": 2}]),
            json!([{"op": "remove", "path": "/b"}]),
            json!([{"op": "replace", "path": "/b", "value": 1}]),
            json!({}),
        ] {
            assert!(apply(&mut object, &patch).is_err(), "{patch}");
        }
    }
}
