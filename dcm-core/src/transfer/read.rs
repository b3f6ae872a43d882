//! The file as lines.

use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;

use super::{Error, Input, LINE_LIMIT};
use crate::store::BoxError;

pub(super) struct Reader<'a> {
    pieces: BoxStream<'a, Result<Vec<u8>, BoxError>>,
    /// What was read, and how much of it was answered and looked at.
    buffer: Vec<u8>,
    start: usize,
    looked: usize,
    /// The number of the line that was answered last.
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a dyn Input) -> Self {
        Self { pieces: input.open(), buffer: Vec::new(), start: 0, looked: 0, number: 0, bytes: 0 }
    }

    /// An error at the line that was answered last.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Line { line: self.number, reason: reason.into() }
    }

    /// The next line, without its end.
    pub(super) async fn next(&mut self) -> Result<Option<&str>, Error> {
        let end = loop {
            if let Some(found) = self.buffer[self.looked..].iter().position(|byte| *byte == b'\n') {
                break self.looked + found;
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.looked = self.buffer.len();
            if self.looked > LINE_LIMIT {
                self.number += 1;
                return Err(self.wrong(format!("it is longer than {LINE_LIMIT} bytes: this is no export of DCM")));
            }
            match self.pieces.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece.map_err(Error::Read)?),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.number += 1;
                    return Err(self.wrong("it has no end: the file is cut off; take a whole one"));
                }
            }
        };
        let line = self.start..end;
        self.number += 1;
        self.bytes += (end + 1 - self.start) as u64;
        self.start = end + 1;
        self.looked = self.start;
        match std::str::from_utf8(&self.buffer[line]) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::Line { line: self.number, reason: "it is not UTF-8".to_owned() }),
        }
    }
}
