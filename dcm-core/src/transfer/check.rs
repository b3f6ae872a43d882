//! The first pass: reads the whole file, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::{
    Error, Input, Progress, Stage, Tell,
    line::{self, End, Line},
    marker::is_marker,
    read::Reader,
    version,
};
use crate::{
    keys,
    model::{Installation, Uid},
    secret,
    store::{Body, Key},
};

/// How many documents it is told after.
const TELL: u64 = 1_000;

/// How many documents are handed on at once, and how many bytes of them.
pub(super) const BATCH: usize = 512;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A file that is whole.
pub(super) struct Checked<'a> {
    input: &'a dyn Input,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) installation: Option<Uid>,
    pub(super) key_ids: BTreeSet<String>,
    /// Where a key stands for the last time, of those that stand among the changes.
    last: BTreeMap<Key, u64>,
}

pub(super) async fn check<'a>(input: &'a dyn Input, tell: &mut Tell<'_>) -> Result<Checked<'a>, Error> {
    let mut reader = Reader::new(input);
    let mut digest = Sha256::new();
    let (mut last, mut key_ids) = (BTreeMap::new(), BTreeSet::new());
    let (mut before, mut changes, mut documents, mut installation) = (None::<Key>, false, 0, None);
    let this = keys::installation("this").map_err(|error| Error::Read(Box::new(error)))?;
    let header = match reader.next().await? {
        Some(text) => {
            add(&mut digest, text);
            line::check_header(text)
        }
        None => return Err(Error::Line { line: 1, reason: "the file is empty: it is no export of DCM".to_owned() }),
    };
    header.map_err(|reason| reader.wrong(reason))?;
    let end: End = loop {
        let Some(text) = reader.next().await? else {
            return Err(reader.wrong("the end is missing after it: the file is cut off; take a whole one"));
        };
        let read = match line::parse(text) {
            Ok(Line::Document { key, body }) => {
                secret::note_key_ids(body, &mut key_ids);
                if key == this {
                    let body = Body::from_json(body.as_bytes());
                    installation = Some(body.read::<Installation>(&key).map(|found| found.id));
                }
                version::refuse_too_new(body).map(|()| (key, true))
            }
            Ok(Line::Deleted(key)) if changes => Ok((key, false)),
            Ok(Line::Deleted(_)) => Err("a deletion can only stand after {\"changes\":true}".to_owned()),
            Ok(Line::Changes) if changes => Err("{\"changes\":true} stands there twice".to_owned()),
            Ok(Line::Changes) => {
                changes = true;
                add(&mut digest, text);
                continue;
            }
            Ok(Line::End(end)) => break end,
            Err(reason) => Err(reason),
        };
        add(&mut digest, text);
        let (key, is_document) = read.map_err(|reason| reader.wrong(reason))?;
        if let Some(Err(error)) = &installation {
            return Err(reader.wrong(error.to_string()));
        }
        if is_marker(&key) {
            return Err(reader.wrong("no export holds a document with this key"));
        }
        if changes {
            last.insert(key, reader.number);
        } else {
            if before.as_ref().is_some_and(|before| key <= *before) {
                return Err(reader.wrong("its key stands there twice, or not in order: the file was edited"));
            }
            before = Some(key);
        }
        documents += u64::from(is_document);
        if documents % TELL == 0 {
            tell(Progress { stage: Stage::Checking, documents, of: None, bytes: reader.bytes });
        }
    };
    let sha256 = line::hex(digest);
    if end.sha256 != sha256 || (!changes && end.documents != documents) {
        return Err(reader.wrong("the checksum does not match: the file was edited or damaged; take the original"));
    }
    if reader.next().await?.is_some() {
        return Err(reader.wrong("there is something after the end: the file was edited"));
    }
    let (installation, bytes, line) = (installation.transpose()?, reader.bytes, reader.number);
    let mut checked = Checked { input, documents: end.documents, bytes, sha256, installation, key_ids, last };
    if changes {
        let (documents, key_ids) = checked.count().await?;
        if documents != end.documents {
            let reason = "the number of documents does not match: the file was edited; take the original".to_owned();
            return Err(Error::Line { line, reason });
        }
        checked.key_ids = key_ids;
    }
    Ok(checked)
}

fn add(digest: &mut Sha256, line: &str) {
    digest.update(line);
    digest.update("\n");
}

impl<'a> Checked<'a> {
    /// How many documents count, and with which keys they are sealed: where some stand among the changes, only a second
    /// reading tells.
    async fn count(&self) -> Result<(u64, BTreeSet<String>), Error> {
        let (mut batches, mut key_ids) = (self.batches(), BTreeSet::new());
        loop {
            let batch = batches.next().await?;
            if batch.is_empty() {
                return Ok((batches.documents, key_ids));
            }
            for (_, body) in &batch {
                secret::note_key_ids_of(body, &mut key_ids);
            }
        }
    }

    /// Reads the documents again, those only that count.
    pub(super) fn batches(&self) -> Batches<'_> {
        Batches { checked: self, reader: Reader::new(self.input), digest: Some(Sha256::new()), documents: 0 }
    }
}

pub(super) struct Batches<'a> {
    checked: &'a Checked<'a>,
    reader: Reader<'a>,
    /// `None` after the end.
    digest: Option<Sha256>,
    documents: u64,
}

impl Batches<'_> {
    /// The next documents; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<(Key, Body)>, Error> {
        let (mut batch, mut size) = (Vec::new(), 0);
        let Some(digest) = &mut self.digest else { return Ok(batch) };
        while batch.len() < BATCH && size < BATCH_BYTES {
            let first = self.reader.number == 0;
            let Some(text) = self.reader.next().await? else { return Err(Error::FileChanged) };
            let line = if first { Ok(Line::Changes) } else { line::parse(text) };
            match line.map_err(|_| Error::FileChanged)? {
                Line::Document { key, body } => {
                    let body = Body::from_json(body.as_bytes());
                    add(digest, text);
                    // What stands among the changes has its last place there.
                    if self.checked.last.get(&key).is_none_or(|last| *last == self.reader.number) {
                        size += body.as_bytes().len();
                        batch.push((key, body));
                    }
                }
                Line::Deleted(_) | Line::Changes => add(digest, text),
                Line::End(_) => {
                    let digest = self.digest.take().unwrap_or_default();
                    if line::hex(digest) != self.checked.sha256 {
                        return Err(Error::FileChanged);
                    }
                    break;
                }
            }
        }
        self.documents += batch.len() as u64;
        Ok(batch)
    }

    pub(super) fn progress(&self, stage: Stage) -> Progress {
        Progress { stage, documents: self.documents, of: Some(self.checked.documents), bytes: self.reader.bytes }
    }
}
