use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::fault::Faults;

/// What every record carries beside its spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metadata<N> {
    /// The record's name, unique among its siblings.
    pub name: N,
    /// For people; at most 1024 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The client's own; at most 512 characters.
    #[serde(default, rename = "userData1", skip_serializing_if = "String::is_empty")]
    pub user_data1: String,
    /// The client's own; at most 512 characters.
    #[serde(default, rename = "userData2", skip_serializing_if = "String::is_empty")]
    pub user_data2: String,
}

impl<N> Metadata<N> {
    /// Metadata with a name and nothing else.
    pub const fn named(name: N) -> Self {
        Self { name, description: String::new(), user_data1: String::new(), user_data2: String::new() }
    }
}

/// Metadata as a client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataInput {
    /// See [`Metadata::name`].
    pub name: Option<String>,
    /// See [`Metadata::description`].
    pub description: Option<String>,
    /// See [`Metadata::user_data1`].
    pub user_data1: Option<String>,
    /// See [`Metadata::user_data2`].
    pub user_data2: Option<String>,
}

impl MetadataInput {
    /// Checks all of it. `pointer` is where the metadata lies in the input (`/metadata`).
    ///
    /// Where the record's name is known already (an update), `known` is it: the input may leave the name
    /// out, but not change it.
    pub fn check<N>(self, pointer: &str, known: Option<&N>, faults: &mut Faults) -> Option<Metadata<N>>
    where
        N: FromStr + Clone + PartialEq + Display,
        N::Err: Display,
    {
        let at = |field: &str| format!("{pointer}/{field}");
        let name = match (self.name, known) {
            (None, Some(known)) => Some(known.clone()),
            (None, None) => {
                faults.add(at("name"), "is required");
                None
            }
            (Some(text), known) => {
                let name = faults.check(&at("name"), text.parse::<N>());
                if let (Some(name), Some(known)) = (&name, known)
                    && name != known
                {
                    let detail = format!(
                        "must be {known:?}, as in the path, or absent; a record cannot be renamed",
                        known = known.to_string()
                    );
                    faults.add(at("name"), detail);
                }
                name
            }
        };
        let mut text = |field: &str, value: Option<String>, most: usize| {
            let value = value.unwrap_or_default();
            let length = value.chars().count();
            if length > most {
                faults.add(at(field), format!("has {length} characters; at most {most} are allowed"));
            }
            if value.contains('\0') {
                faults.add(at(field), "must not hold a zero character");
            }
            value
        };
        let description = text("description", self.description, 1024);
        let user_data1 = text("userData1", self.user_data1, 512);
        let user_data2 = text("userData2", self.user_data2, 512);
        Some(Metadata { name: name?, description, user_data1, user_data2 })
    }
}
