use std::{collections::BTreeSet, iter::Peekable, vec};

use sha2::{Digest as _, Sha256};

use super::{
    About, Error, Exported, Output, Progress, Stage, Tell,
    line::{self, End},
    marker::{is_marker, refuse_unfinished},
};
use crate::{
    secret,
    store::{self, Document, Key, Revision, Scan, Store},
};

/// How many documents a page has at most. It ends earlier where they are large: all of them are in memory at once.
const PAGE: usize = 1_000;

/// How many bytes of lines are written at once.
const WRITTEN: usize = 1024 * 1024;

/// How often the store is read again before it counts as too busy.
const LOOKS: usize = 10;

/// Writes everything that a store holds as lines.
///
/// # Guarantees
/// The export is one state of the store, although others write meanwhile: the store is read again until nothing has changed
/// between two times, told by the revisions of its documents. What differed is appended, and overrides what stands before.
///
/// # Caveats
/// Keeps the keys and revisions of all documents in memory: some 200 bytes each.
///
/// # Errors
/// [`Error::Busy`] where the store does not come to rest, [`Error::Unfinished`] where an import into it was not finished, and those
/// of the store and the output.
pub async fn export(
    store: &dyn Store,
    about: &About,
    output: &mut dyn Output,
    tell: &mut Tell<'_>,
) -> Result<Exported, Error> {
    refuse_unfinished(store).await?;
    let mut lines = Lines { output, buffer: Vec::new(), digest: Sha256::new(), bytes: 0, key_ids: BTreeSet::new() };
    lines.add(line::header(about).map_err(|error| Error::Write(Box::new(error)))?);
    let mut seen = Vec::new();
    let mut pages = Pages::new(store);
    while let Some(page) = pages.next().await? {
        for document in page {
            lines.document(&document).await?;
            seen.push((document.key, document.revision));
        }
        lines.flush().await?;
        tell(Progress { stage: Stage::Exporting, documents: seen.len() as u64, of: None, bytes: lines.bytes });
    }
    seen = settle(store, seen, &mut lines, tell).await?;
    refuse_unfinished(store).await?;
    let documents = seen.len() as u64;
    let end = End { documents, sha256: line::hex(lines.digest.clone()) };
    lines.add(line::end(&end).map_err(|error| Error::Write(Box::new(error)))?);
    lines.flush().await?;
    Ok(Exported { documents, bytes: lines.bytes, key_ids: lines.key_ids.into_iter().collect() })
}

/// Where each document lies, and in which state it was.
type Seen = Vec<(Key, Revision)>;

/// Reads the store again until it is as it was the time before. A revision is never used twice, so each document was then
/// as it is written during all the time between its two readings, and thus all were at the moment between the two.
async fn settle(store: &dyn Store, mut seen: Seen, lines: &mut Lines<'_>, tell: &mut Tell<'_>) -> Result<Seen, Error> {
    let mut said = false;
    for _ in 0..LOOKS {
        let (mut old, mut now, mut differs) = (seen.into_iter().peekable(), Seen::new(), false);
        let mut begin = |lines: &mut Lines<'_>| {
            differs = true;
            if !std::mem::replace(&mut said, true) {
                lines.add(line::changes());
            }
        };
        let mut pages = Pages::new(store);
        while let Some(page) = pages.next().await? {
            for document in page {
                let (gone, before) = passed(&mut old, &document.key);
                for key in gone {
                    begin(lines);
                    lines.deleted(&key).await?;
                }
                if before.as_ref() != Some(&document.revision) {
                    begin(lines);
                    lines.document(&document).await?;
                }
                now.push((document.key, document.revision));
            }
            lines.flush().await?;
            tell(Progress { stage: Stage::Confirming, documents: now.len() as u64, of: None, bytes: lines.bytes });
        }
        for (key, _) in old {
            begin(lines);
            lines.deleted(&key).await?;
        }
        if !differs {
            return Ok(now);
        }
        seen = now;
    }
    Err(Error::Busy)
}

/// Goes on to a key: those that are passed, and the revision at which it was.
fn passed(old: &mut Peekable<vec::IntoIter<(Key, Revision)>>, key: &Key) -> (Vec<Key>, Option<Revision>) {
    let mut gone = Vec::new();
    while let Some((passed, _)) = old.next_if(|(old, _)| old < key) {
        gone.push(passed);
    }
    (gone, old.next_if(|(old, _)| old == key).map(|(_, revision)| revision))
}

/// All documents but those of imports, page by page.
struct Pages<'a> {
    store: &'a dyn Store,
    /// What is still to be read, in pages that are smaller than one that the store did not read in time.
    rest: Option<Scan>,
}

impl<'a> Pages<'a> {
    fn new(store: &'a dyn Store) -> Self {
        Self { store, rest: Some(Scan::everything(PAGE).bytes(Scan::PAGE_BYTES)) }
    }

    async fn next(&mut self) -> Result<Option<Vec<Document>>, Error> {
        let Some(mut scan) = self.rest.take() else {
            return Ok(None);
        };
        let mut page = loop {
            match self.store.scan(scan.clone()).await {
                Err(store::Error::Timeout) if scan.limit > 1 => {
                    scan.limit /= 2;
                    scan.bytes = (scan.bytes / 2).max(1);
                }
                read => break read?,
            }
        };
        self.rest = scan.rest(&page);
        page.retain(|document| !is_marker(&document.key));
        Ok(Some(page))
    }
}

struct Lines<'a> {
    output: &'a mut dyn Output,
    buffer: Vec<u8>,
    digest: Sha256,
    bytes: u64,
    key_ids: BTreeSet<String>,
}

impl Lines<'_> {
    fn add(&mut self, line: Vec<u8>) {
        self.digest.update(&line);
        self.bytes += line.len() as u64;
        if self.buffer.is_empty() { self.buffer = line } else { self.buffer.extend_from_slice(&line) }
    }

    async fn document(&mut self, document: &Document) -> Result<(), Error> {
        let text = std::str::from_utf8(document.body.as_bytes()).unwrap_or_default();
        secret::note_key_ids(text, &mut self.key_ids);
        self.add(line::document(document)?);
        self.flush_some().await
    }

    async fn deleted(&mut self, key: &Key) -> Result<(), Error> {
        self.add(line::deleted(key).map_err(|error| Error::Write(Box::new(error)))?);
        self.flush_some().await
    }

    async fn flush_some(&mut self) -> Result<(), Error> {
        if self.buffer.len() < WRITTEN { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.output.write(std::mem::take(&mut self.buffer)).await.map_err(Error::Write)
    }
}
