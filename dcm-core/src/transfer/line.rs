//! One line: how it is written, and how it is read.

use std::{borrow::Cow, fmt::Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{About, FORMAT};
use crate::store::{Body, Document, Error, Key};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Header<'a> {
    dcm_export: u32,
    release: &'a str,
    exported_at: Timestamp,
}

/// What every version's first line has.
#[derive(Deserialize)]
struct AnyHeader {
    #[serde(rename = "dcm-export")]
    format: u32,
}

#[derive(Serialize)]
struct DocumentLine<'a> {
    key: &'a Key,
    body: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) documents: u64,
    pub(super) sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyLine<'a> {
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    changes: bool,
    #[serde(default)]
    end: Option<End>,
}

/// A line after the first.
pub(super) enum Line<'a> {
    Document { key: Key, body: &'a str },
    Deleted(Key),
    Changes,
    End(End),
}

pub(super) fn header(about: &About) -> serde_json::Result<Vec<u8>> {
    let header = Header { dcm_export: FORMAT, release: &about.release, exported_at: about.at };
    terminated(serde_json::to_vec(&header)?)
}

pub(super) fn document(document: &Document) -> Result<Vec<u8>, Error> {
    let corrupt = || Error::Corrupt { key: document.key.clone(), reason: "it is not JSON".to_owned() };
    let body: &RawValue = serde_json::from_slice(document.body.as_bytes()).map_err(|_| corrupt())?;
    let mut line = serde_json::to_vec(&DocumentLine { key: &document.key, body }).map_err(|_| corrupt())?;
    // Within JSON these can stand between two tokens only.
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.push(b'\n');
    Ok(line)
}

pub(super) fn deleted(key: &Key) -> serde_json::Result<Vec<u8>> {
    terminated(serde_json::to_vec(&serde_json::json!({ "key": key, "deleted": true }))?)
}

pub(super) fn changes() -> Vec<u8> {
    b"{\"changes\":true}\n".to_vec()
}

pub(super) fn end(end: &End) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Line<'a> {
        end: &'a End,
    }
    terminated(serde_json::to_vec(&Line { end })?)
}

fn terminated(mut line: Vec<u8>) -> serde_json::Result<Vec<u8>> {
    line.push(b'\n');
    Ok(line)
}

/// Reads the first line: the only thing that a release must know of another one's form.
pub(super) fn check_header(line: &str) -> Result<(), String> {
    match serde_json::from_str::<AnyHeader>(line) {
        Ok(header) if header.format == FORMAT => Ok(()),
        Ok(header) => Err(format!(
            "the export has the form {}, and this release reads the form {FORMAT}: import it with the release that wrote it",
            header.format
        )),
        Err(_) => Err("this is no export of DCM: its first line must be {\"dcm-export\":1,…}".to_owned()),
    }
}

/// Reads a line after the first; an error says what is wrong without quoting it.
pub(super) fn parse(line: &str) -> Result<Line<'_>, String> {
    const FORM: &str = "it is none of a document, a deletion, {\"changes\":true} and the end";
    let read: AnyLine<'_> = serde_json::from_str(line).map_err(|error| {
        let place = error.column();
        match error.classify() {
            serde_json::error::Category::Data => FORM.to_owned(),
            _ => format!("it is not JSON (column {place}); the file is cut off or damaged"),
        }
    })?;
    let key = |text: Cow<'_, str>| text.parse::<Key>().map_err(|_| "its key is none".to_owned());
    match read {
        AnyLine { key: Some(text), body: Some(body), deleted: false, changes: false, end: None } => {
            Ok(Line::Document { key: key(text)?, body: body.get() })
        }
        AnyLine { key: Some(text), body: None, deleted: true, changes: false, end: None } => {
            Ok(Line::Deleted(key(text)?))
        }
        AnyLine { key: None, body: None, deleted: false, changes: true, end: None } => Ok(Line::Changes),
        AnyLine { key: None, body: None, deleted: false, changes: false, end: Some(end) } => Ok(Line::End(end)),
        _ => Err(FORM.to_owned()),
    }
}

pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether two bodies say the same: a backend may write numbers and names in another way.
pub(super) fn same(one: &Body, other: &Body) -> bool {
    let value = |body: &Body| serde_json::from_slice::<serde_json::Value>(body.as_bytes()).ok();
    one == other || value(one).is_some_and(|one| value(other) == Some(one))
}
