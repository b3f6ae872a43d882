//! What may be answered instead.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::openapi::{Content, HeaderBuilder, Object, RefOr, Response, ResponseBuilder, Type};

use super::{operation::text_header, schema_ref};
use crate::status::Kind;

/// The component's name.
pub(super) fn name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Problem").replace(' ', "")
}

/// A response for each status that a problem may have, with the types that it may be.
pub(super) fn responses() -> BTreeMap<String, RefOr<Response>> {
    let mut slugs: BTreeMap<StatusCode, Vec<String>> = BTreeMap::new();
    let mut retried: BTreeMap<StatusCode, bool> = BTreeMap::new();
    for kind in Kind::ALL {
        let meaning = kind.meaning();
        let types = slugs.entry(meaning.status).or_default();
        let line = format!("- `{}`: {}", meaning.type_uri(), meaning.title);
        if !types.contains(&line) {
            types.push(line);
        }
        *retried.entry(meaning.status).or_default() |= meaning.retry_after.is_some();
    }
    let response = |(status, types): (StatusCode, Vec<String>)| {
        let text = format!("{}\n\n{}", status.canonical_reason().unwrap_or_default(), types.join("\n"));
        let mut response = ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", Content::new(Some(schema_ref("Problem"))))
            .header("Warning", text_header("What the client should know of its request besides."));
        if retried.get(&status) == Some(&true) {
            let header = HeaderBuilder::new()
                .schema(Some(Object::with_type(Type::Integer)))
                .description(Some("After so many seconds it may go."));
            response = response.header("Retry-After", header.build());
        }
        (name(status), RefOr::T(response.build()))
    };
    slugs.into_iter().map(response).collect()
}
