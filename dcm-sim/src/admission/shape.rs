//! What decoding into a typed object would refuse: maps of texts with something else inside, quantities that are none.

use serde_json::Value;

use crate::json;
use crate::kinds::{CONFIGMAPS, KindId, RESOURCEQUOTAS, SECRETS};
use crate::quantity::Quantity;
use crate::status::Refusal;

const TEXTS: [&[&str]; 2] = [&["metadata", "labels"], &["metadata", "annotations"]];
const DATA: [&[&str]; 2] = [&["data"], &["stringData"]];

/// Tells what does not fit, if anything.
pub(crate) fn check(kind: KindId, object: &Value) -> Result<(), String> {
    let data = if matches!(kind, CONFIGMAPS | SECRETS) { &DATA[..] } else { &[] };
    for path in TEXTS.iter().chain(data) {
        match json::at(object, path) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) => {
                if let Some((key, value)) = map.iter().find(|(_, value)| !value.is_string()) {
                    return Err(format!(".{}.{key}: expected string, got {value}", path.join(".")));
                }
            }
            Some(other) => return Err(format!(".{}: expected map, got {other}", path.join("."))),
        }
    }
    if kind == RESOURCEQUOTAS {
        let hard = json::at(object, &["spec", "hard"]).and_then(Value::as_object);
        for (key, value) in hard.into_iter().flatten() {
            if value.as_str().and_then(Quantity::parse).is_none() {
                return Err(format!(".spec.hard.{key}: {value} is no quantity"));
            }
        }
    }
    Ok(())
}

/// The same as the refusal of anything but an apply.
pub(crate) fn decode(kind: KindId, object: &Value) -> Result<(), Refusal> {
    check(kind, object).map_err(|why| {
        let (name, version) = (kind.kind, kind.api_version);
        Refusal::bad_request(format!("{name} in version {version:?} cannot be handled as a {name}: {why}"))
    })
}
