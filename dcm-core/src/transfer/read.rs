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
    limit: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a dyn Input) -> Self {
        Self { pieces: input.open(), buffer: Vec::new(), start: 0, looked: 0, number: 0, bytes: 0, limit: LINE_LIMIT }
    }

    /// An error at the line that was answered last.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Line { line: self.number, reason: reason.into() }
    }

    fn too_long(&mut self) -> Error {
        self.number += 1;
        self.wrong(format!("it is longer than {} bytes: this is no export of DCM", self.limit))
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
            if self.looked > self.limit {
                return Err(self.too_long());
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
        if end - self.start > self.limit {
            return Err(self.too_long());
        }
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

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};

    use super::*;

    struct Pieces(&'static str, usize);

    impl Input for Pieces {
        fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
            stream::iter(self.0.as_bytes().chunks(self.1).map(|piece| Ok(piece.to_vec()))).boxed()
        }
    }

    /// The second line, where lines may have five bytes.
    fn second(text: &'static str, piece: usize) -> Result<String, String> {
        let input = Pieces(text, piece);
        let mut reader = Reader { limit: 5, ..Reader::new(&input) };
        // A stream over memory answers at once.
        assert_eq!(reader.next().now_or_never().unwrap().unwrap(), Some("one"));
        let read = reader.next().now_or_never().unwrap();
        read.map(|line| line.unwrap().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer_however_it_comes() {
        for piece in 1..20 {
            assert_eq!(second("one\n12345\n", piece).unwrap(), "12345", "{piece}");
            for text in ["one\n123456\n", "one\n1234567", "one\n123456"] {
                let error = second(text, piece).unwrap_err();
                assert!(error.starts_with("line 2: it is longer than 5 bytes"), "{piece}: {error}");
            }
            let error = second("one\n12345", piece).unwrap_err();
            assert!(error.starts_with("line 2: it has no end"), "{piece}: {error}");
        }
    }
}
