//! What a failure of the driver means for a call of the store.

use std::io;

use dcm_core::store::{BoxError, Error};
use mongodb::error::{Error as MongoError, ErrorKind, WriteFailure};

/// The server's code for a second document with one id.
pub(super) const DUPLICATE: i32 = 11000;

/// Codes with which a server says that the user may not, or is not who he says.
const FORBIDDEN: [i32; 2] = [13, 18];

/// Codes with which a server says that it has not even begun, because it is not the primary.
const NOT_PRIMARY: [i32; 3] = [10_107, 13_435, 10_058];

/// The server's code for a request that took longer than it may.
const OUT_OF_TIME: i32 = 50;

/// What is known of a write that failed.
#[derive(Debug)]
pub(super) enum WriteFailed {
    /// There is such a document already.
    Duplicate,
    /// Nothing has happened and nothing will.
    NotDone(BoxError),
    /// Nothing has happened, and another server may be the one to ask.
    Elsewhere(BoxError),
    /// It may have happened, or happen yet.
    Unknown(BoxError),
}

/// What is known of a write from the driver's error.
pub(super) fn of_write(error: MongoError) -> WriteFailed {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE => WriteFailed::Duplicate,
        ErrorKind::Write(WriteFailure::WriteError(_)) => WriteFailed::NotDone(Box::new(error)),
        ErrorKind::Command(command) if FORBIDDEN.contains(&command.code) => WriteFailed::NotDone(Box::new(error)),
        ErrorKind::Command(command) if NOT_PRIMARY.contains(&command.code) => WriteFailed::Elsewhere(Box::new(error)),
        // The driver shows a connection that was refused only where no request went before it.
        ErrorKind::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => WriteFailed::NotDone(Box::new(error)),
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::Shutdown => WriteFailed::NotDone(Box::new(error)),
        // A pool that is cleared cuts off requests that are under way, too, and does not say which it was.
        // A write concern that is not met says nothing of the write itself: it is on the primary, and may stay there or go.
        _ => WriteFailed::Unknown(Box::new(error)),
    }
}

/// What a read says that failed.
pub(super) fn of_read(error: MongoError) -> Error {
    match &*error.kind {
        ErrorKind::Command(command) if command.code == OUT_OF_TIME => Error::Timeout,
        _ => Error::Unavailable(Box::new(error)),
    }
}
