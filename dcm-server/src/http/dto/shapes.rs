//! Schemas that no derive says: what is read in more than one shape.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type},
};

/// The rule of names, as far as a pattern can say it.
const NAME: &str = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";

/// A record's name.
pub(crate) struct NameSchema;

impl PartialSchema for NameSchema {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(NAME));
        Schema::from(text.min_length(Some(1)).max_length(Some(128))).into()
    }
}

impl ToSchema for NameSchema {
    fn name() -> Cow<'static, str> {
        "Name".into()
    }
}

/// A whole number, or the same in quotes.
fn whole_number(description: &str, minimum: u32, maximum: u32) -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(minimum)).maximum(Some(maximum));
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+$"));
    OneOfBuilder::new().item(number).item(text).description(Some(description)).into()
}

/// A TCP port.
pub(super) fn port() -> Schema {
    whole_number("A TCP port; in quotes, too.", 1, 65_535)
}

/// A controller's priority.
pub(super) fn priority() -> Schema {
    whole_number("EMCO's; kept for its clients. In quotes, too.", 0, u32::MAX)
}

/// Describes a body that may have one of several shapes, or more of them at once: `anyOf`, where a derive says `oneOf`.
macro_rules! any_of {
    ($type:ty, $name:literal, $description:literal, $($shape:ty),+) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let mut any = utoipa::openapi::schema::AnyOf::new();
                any.description = Some($description.to_owned());
                any.items = vec![$(utoipa::openapi::Ref::from_schema_name(<$shape as utoipa::ToSchema>::name()).into()),+];
                utoipa::openapi::Schema::AnyOf(any).into()
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                $(
                    let name = <$shape as utoipa::ToSchema>::name().into_owned();
                    schemas.push((name, <$shape as utoipa::PartialSchema>::schema()));
                    <$shape as utoipa::ToSchema>::schemas(schemas);
                )+
            }
        }
    };
}

pub(super) use any_of;
