//! Bodies of requests.

use serde_json::Value;

use crate::protobuf;
use crate::status::Refusal;

/// The part of a content type before its parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// A document in JSON, or in YAML where the content type says so.
pub(crate) fn object(content_type: &str, body: &[u8]) -> Result<Value, Refusal> {
    let value = match essence(content_type) {
        "" | "application/json" | "*/*" => json(body)?,
        "application/yaml" => yaml(body)?,
        protobuf::CONTENT_TYPE => {
            protobuf::read(body).ok_or_else(|| Refusal::unsupported_media("protobuf of this kind"))?
        }
        other => return Err(Refusal::unsupported_media(other)),
    };
    if value.is_object() { Ok(value) } else { Err(Refusal::bad_request("the body of the request is not an object")) }
}

/// A document in JSON.
pub(crate) fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the object provided is unrecognized: {error}")))
}

/// A document in YAML, of which JSON is a part.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Refusal> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| serde_saphyr::from_str(text).ok())
        .ok_or_else(|| Refusal::bad_request("error decoding YAML"))
}
