use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    model::LabelSelector,
    store::{self, Key, Position, Store},
};

/// What stands between the parts of a position. No part has it before the last one.
const SEPARATOR: char = '.';

/// Where a watch goes on.
///
/// Opaque, and only meaningful to the list that gave it out. Its text is made of ASCII letters, digits, `-`, `_` and `.`, so
/// that it fits into a header field or a URL as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPosition(String);

impl WatchPosition {
    /// Takes a text that a client gave back.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text to give to a client.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WatchPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells one list's positions from all others': a parent that was made again under its name is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope(String);

impl Scope {
    pub(super) fn of(place: &Key, selector: &LabelSelector) -> Self {
        let mut hash = Sha256::new_with_prefix(place.as_str());
        // Only the same text has to give the same positions: with any other one, a client begins again.
        if *selector != LabelSelector::everything() {
            hash.update(format!("?{selector:?}"));
        }
        let hash = hash.finalize();
        Self(HEXLOWER.encode(hash.get(..8).unwrap_or_default()))
    }

    /// The position after all that was told up to here; `listed` is the last record that was read, where the present ones
    /// were not all told yet.
    pub(super) fn position(&self, at: &Position, listed: Option<&str>) -> WatchPosition {
        let at = BASE64URL_NOPAD.encode(at.as_str().as_bytes());
        let listed = listed.map(|name| format!("{SEPARATOR}{name}")).unwrap_or_default();
        WatchPosition(format!("{}{SEPARATOR}{at}{listed}", self.0))
    }
}

/// Where a watch begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Start {
    /// What came after this is told.
    pub(super) at: Position,
    /// What is told of the present records.
    pub(super) present: Present,
    scope: Option<Scope>,
}

/// How much a watch tells of what is there when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Present {
    All,
    /// Those after this name: the others were told before.
    After(String),
    Nothing,
}

impl Start {
    /// Where the client left off, or now. To be called before anything else is read.
    pub(in crate::service) async fn of(store: &dyn Store, from: Option<&WatchPosition>) -> Result<Self, Error> {
        match from {
            None => Ok(Self { at: store.position().await?, present: Present::All, scope: None }),
            Some(from) => Self::parse(&from.0).ok_or(Error::Store(store::Error::Expired)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, SEPARATOR);
        let scope = Scope(parts.next()?.to_owned());
        let at = BASE64URL_NOPAD.decode(parts.next()?.as_bytes()).ok()?;
        let at = Position::new(String::from_utf8(at).ok()?);
        let present = match parts.next() {
            None => Present::Nothing,
            Some("") => Present::All,
            Some(name) => Present::After(name.to_owned()),
        };
        Some(Self { at, present, scope: Some(scope) })
    }

    /// Refuses a position that another list gave out.
    pub(super) fn check(&self, scope: &Scope) -> Result<(), Error> {
        match &self.scope {
            Some(given) if given != scope => Err(store::Error::Expired.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_fits_into_a_header() {
        let everything = LabelSelector::everything();
        let scope = Scope::of(&"kv-pair/u".parse().unwrap(), &everything);
        let at = Position::new("tag-7/ä\n\"");
        for (listed, present) in [
            (None, Present::Nothing),
            (Some(""), Present::All),
            (Some("a.b-c_D"), Present::After("a.b-c_D".to_owned())),
        ] {
            let position = scope.position(&at, listed);
            assert!(position.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{position}");
            let start = Start::parse(position.as_str()).unwrap();
            assert_eq!(start, Start { at: at.clone(), present, scope: Some(scope.clone()) });
            assert!(start.check(&scope).is_ok());
            assert!(start.check(&Scope::of(&"kv-pair/v".parse().unwrap(), &everything)).is_err());
            assert!(start.check(&Scope::of(&"kv-pair/u".parse().unwrap(), &LabelSelector::has("tier"))).is_err());
        }
    }

    #[test]
    fn what_is_no_position_is_none() {
        for bad in ["", "7", "a.b!", ".", "a.____", "x.\u{e4}"] {
            assert_eq!(Start::parse(bad).filter(|start| start.at.as_str() != ""), None, "{bad}");
        }
    }
}
