//! Parameters that many operations have.

use utoipa::{
    PartialSchema as _,
    openapi::{
        Object, ObjectBuilder, RefOr, Required, Schema, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use dcm_core::service::Page;

use crate::http::dto::NameSchema;

/// A list of entity tags, of which empty ones do not count.
const TAGS: &str = r#"^(\*|(,[ ,]*)?(W/)?"[!#-~]*"( *,( *(W/)?"[!#-~]*")?)*)$"#;

/// The names of a path's parameters.
pub(super) fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// The one parameter of paths that is no name: a label's key.
pub(super) const LABEL: &str = "label";

/// The parameters of a path: all are names, but for a label's.
pub(super) fn of_path(template: &str) -> Vec<Parameter> {
    let parameter = |name: &str| {
        if name == LABEL {
            return parameter(ParameterIn::Path, name, "The label's key.", key_schema());
        }
        parameter(ParameterIn::Path, name, &format!("The {}'s name.", name.replace('-', " ")), name_schema())
    };
    names(template).map(parameter).collect()
}

fn parameter(place: ParameterIn, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// A parameter of the query.
pub(super) fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    parameter(ParameterIn::Query, name, description, schema)
}

/// A header field that holds entity tags (RFC 9110, section 8.8.3).
fn tags(name: &str, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TAGS));
    parameter(ParameterIn::Header, name, description, schema)
}

pub(super) fn text() -> Object {
    Object::with_type(Type::String)
}

pub(super) fn name_schema() -> RefOr<Schema> {
    NameSchema::schema()
}

/// A key of Kubernetes' labels: a name, with a DNS name and a slash before it where wanted.
const KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";

/// A label's key.
pub(super) fn key_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(KEY)).min_length(Some(1)).max_length(Some(317)).build()
}

pub(super) fn one_of(values: &[&'static str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values.iter().copied())).build()
}

pub(super) fn flag() -> Object {
    Object::with_type(Type::Boolean)
}

/// Where a page begins, and how long it is.
pub(super) fn of_page() -> Vec<Parameter> {
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(Page::LARGEST_LIMIT))
        .default(Some(Page::DEFAULT_LIMIT.into()))
        .build();
    vec![
        query("limit", "How many entries a page has at most.", limit),
        query("after", "Begin after this name; the header field `Link` has it for the next page.", name_schema()),
    ]
}

/// How a list is watched.
pub(super) fn of_watch() -> Vec<Parameter> {
    let go_on = "Go on after this event of a watch.";
    vec![
        query("watch", "Answer with what is there and with what changes, as server-sent events.", flag()),
        query("lastEventId", go_on, text()),
        parameter(ParameterIn::Header, "Last-Event-ID", go_on, text()),
    ]
}

/// What becomes of fields that nobody knows.
pub(super) fn of_body() -> Vec<Parameter> {
    let description = "What becomes of unknown fields, and of those that differ from the ones that they repeat: they are told in \
                       `Warning` header fields, refused, or ignored.";
    vec![query("fieldValidation", description, one_of(&["Warn", "Strict", "Ignore"]))]
}

pub(super) fn if_match() -> Parameter {
    tags("If-Match", "Serve only where the record is in one of these states: `*`, or a list of entity tags.")
}

pub(super) fn if_none_match() -> Parameter {
    tags("If-None-Match", "Serve only where the record is in none of these states: `*`, or a list of entity tags.")
}
