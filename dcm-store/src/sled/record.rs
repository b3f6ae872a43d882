//! What lies in sled's one tree.
//!
//! | key | value |
//! |---|---|
//! | an encoded document key | number of the write (8 bytes), 0, JSON |
//! | the same, for a large document | number of the write, 1, number of chunks (4), length of the JSON (4) |
//! | 0, `c`, number of the write (8), index (4) | one chunk of a large document's JSON |
//! | 0, `m` | `dcm1`, and a number (8) that no write has reached yet |
//!
//! All numbers are big-endian. An encoded document key never starts with a zero byte.

use std::sync::Arc;

use ::sled::{Batch, Db};

use super::guard::guarded;
use crate::DOCUMENT_LIMIT;

/// sled keeps up to some 20 entries in one leaf, which it writes as one record, and puts records larger than
/// a quarter of a segment into files that it never syncs. 2 MiB of segment allow leaves of 512 KiB, so 25 KiB
/// for each entry; larger segments would cost their size in memory.
pub(super) const SEGMENT: usize = 2 * 1024 * 1024;
pub(super) const CHUNK: usize = 16 * 1024;

/// How many chunks a read takes before it lets others run.
const CHUNKS_AT_ONCE: u32 = 64;

pub(super) const META: [u8; 2] = [0, b'm'];
const META_FORM: &[u8] = b"dcm1";

const WHOLE: u8 = 0;
const SPLIT: u8 = 1;

/// A document's record, taken apart.
pub(super) struct Head<'a> {
    pub(super) number: u64,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    Whole(&'a [u8]),
    Split(Split),
}

/// Where the rest of a large document lies.
pub(super) struct Split {
    chunks: u32,
    length: u32,
}

impl<'a> Head<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let content = match rest.split_first()? {
            (&WHOLE, json) => Content::Whole(json),
            (&SPLIT, rest) => {
                let (chunks, rest) = rest.split_first_chunk()?;
                let split =
                    Split { chunks: u32::from_be_bytes(*chunks), length: u32::from_be_bytes(rest.try_into().ok()?) };
                if split.length as usize > DOCUMENT_LIMIT {
                    return None;
                }
                Content::Split(split)
            }
            _ => return None,
        };
        Some(Self { number: u64::from_be_bytes(*number), content })
    }

    /// How many chunks belong to it.
    pub(super) fn chunks(&self) -> u32 {
        match &self.content {
            Content::Whole(_) => 0,
            Content::Split(split) => split.chunks,
        }
    }
}

impl Split {
    /// Reads all chunks, or answers `None` where one is missing.
    pub(super) async fn read(&self, db: &Db, number: u64) -> Result<Option<Arc<[u8]>>, ::sled::Error> {
        let mut json = Vec::with_capacity(self.length as usize);
        for index in 0..self.chunks {
            match guarded(|| db.get(chunk_key(number, index)))? {
                Some(chunk) => json.extend_from_slice(&chunk),
                None => return Ok(None),
            }
            if (index + 1) % CHUNKS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok((json.len() == self.length as usize).then(|| json.into()))
    }
}

/// Adds a document to a batch; answers how many chunks it has.
pub(super) fn insert(batch: &mut Batch, encoded: &[u8], number: u64, json: &[u8]) -> u32 {
    let whole = json.len() <= CHUNK;
    let inline = if whole { json } else { &[] };
    let mut head = Vec::with_capacity(8 + 1 + 8 + inline.len());
    head.extend_from_slice(&number.to_be_bytes());
    let mut chunks = 0;
    if whole {
        head.push(WHOLE);
        head.extend_from_slice(json);
    } else {
        for chunk in json.chunks(CHUNK) {
            batch.insert(&chunk_key(number, chunks), chunk);
            chunks += 1;
        }
        // Never cut off: the length was checked against the limit of 16 MiB.
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        head.push(SPLIT);
        head.extend_from_slice(&chunks.to_be_bytes());
        head.extend_from_slice(&length.to_be_bytes());
    }
    batch.insert(encoded, head);
    chunks
}

/// Reads a document's chunks, as far as they are there.
pub(super) fn look_at_chunks(db: &Db, number: u64, chunks: u32) -> Result<(), ::sled::Error> {
    (0..chunks).try_for_each(|index| db.get(chunk_key(number, index)).map(drop))
}

/// Reads the place in the tree that a document's chunks will come to, where it has some: all to the same one, since their
/// number was never used.
pub(super) fn look_where_chunks_go(db: &Db, number: u64, json: &[u8]) -> Result<(), ::sled::Error> {
    if json.len() > CHUNK { db.get(chunk_key(number, 0)).map(drop) } else { Ok(()) }
}

/// Adds the removal of a document's chunks to a batch.
pub(super) fn remove_chunks(batch: &mut Batch, number: u64, chunks: u32) {
    for index in 0..chunks {
        batch.remove(&chunk_key(number, index));
    }
}

fn chunk_key(number: u64, index: u32) -> [u8; 14] {
    let mut key = [0; 14];
    key[1] = b'c';
    key[2..10].copy_from_slice(&number.to_be_bytes());
    key[10..].copy_from_slice(&index.to_be_bytes());
    key
}

pub(super) fn write_meta(unreached: u64) -> Vec<u8> {
    [META_FORM, &unreached.to_be_bytes()].concat()
}

pub(super) fn read_meta(bytes: &[u8]) -> Option<u64> {
    let number = bytes.strip_prefix(META_FORM)?.try_into().ok()?;
    Some(u64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_form_is_not_understood() {
        let mut split = vec![0, 0, 0, 0, 0, 0, 0, 1, SPLIT, 0, 0, 0, 2, 0, 0, 0x40, 1];
        assert_eq!(Head::parse(&split).map(|head| head.chunks()), Some(2));
        split.push(0);
        let whole = [0, 0, 0, 0, 0, 0, 0, 1, WHOLE, b'{', b'}'];
        assert_eq!(Head::parse(&whole).map(|head| head.chunks()), Some(0));
        let huge = [0, 0, 0, 0, 0, 0, 0, 1, SPLIT, 0, 0, 0, 2, 0xff, 0, 0, 1];
        let unknown = [0, 0, 0, 0, 0, 0, 0, 1, 2, b'{', b'}'];
        for bytes in [&[][..], &whole[..8], &split, &huge, &unknown] {
            assert!(Head::parse(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn the_meta_record_of_another_form_is_not_understood() {
        assert_eq!(read_meta(&write_meta(7)), Some(7));
        assert_eq!(read_meta(b"dcm2\0\0\0\0\0\0\0\x07"), None);
        assert_eq!(read_meta(b"dcm1\x07"), None);
    }
}
