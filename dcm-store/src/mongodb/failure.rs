//! What a failure of the driver means for a call of the store.

use dcm_core::store::{BoxError, Error};
use mongodb::error::{Error as MongoError, ErrorKind, WriteFailure};

/// The server's code for a second document with one id.
const DUPLICATE: i32 = 11000;

/// Codes with which a server says that it has not even begun: it is not the primary, or the user may not.
const NOT_BEGUN: [i32; 6] = [10_107, 13_435, 13, 18, 91, 10_058];

/// What is known of a write that failed.
#[derive(Debug)]
pub(super) enum WriteFailed {
    /// There is such a document already.
    Duplicate,
    /// Nothing has happened and nothing will.
    NotDone(BoxError),
    /// It may have happened, or happen yet.
    Unknown(BoxError),
}

/// What is known of a write from the driver's error.
pub(super) fn of_write(error: MongoError) -> WriteFailed {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE => WriteFailed::Duplicate,
        ErrorKind::Write(WriteFailure::WriteError(_)) => WriteFailed::NotDone(Box::new(error)),
        ErrorKind::Command(command) if NOT_BEGUN.contains(&command.code) => WriteFailed::NotDone(Box::new(error)),
        ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::Shutdown => WriteFailed::NotDone(Box::new(error)),
        _ => WriteFailed::Unknown(Box::new(error)),
    }
}

/// What a read says that failed.
pub(super) fn of_read(error: MongoError) -> Error {
    Error::Unavailable(Box::new(error))
}
