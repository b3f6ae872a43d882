//! What a failure of the driver means for a call of the store, and what of it may be said.

use std::io;

use dcm_core::store::{BoxError, Error};
use mongodb::error::{Error as MongoError, ErrorKind, WriteFailure};

use super::diagnosis::short;

/// The server's code for a second document with one id.
const DUPLICATE: i32 = 11000;

/// Codes with which a server says that the user may not, or is not who he says.
const FORBIDDEN: [i32; 2] = [13, 18];

/// Codes with which a server says that it has not even begun, because it is not the primary.
const NOT_PRIMARY: [i32; 3] = [10_107, 13_435, 10_058];

/// Codes with which one write is refused for what it is, so that nothing of it was done.
const REFUSED: [i32; 7] = [
    2,      // BadValue
    9,      // FailedToParse
    13,     // Unauthorized
    14,     // TypeMismatch
    66,     // ImmutableField
    121,    // DocumentValidationFailure
    10_334, // BSONObjectTooLarge
];

/// The server's codes for a hint that names no index, and for an index that there is not.
const NO_INDEX: [i32; 2] = [2, 27];

/// The server's code for a request that took longer than it may.
const OUT_OF_TIME: i32 = 50;

/// With these a server begins to quote what it was sent.
const QUOTES: [char; 5] = ['{', '[', '"', '\'', '`'];

/// What the driver puts before a server's text where it tells of another request than the one that failed.
const OTHERS: [&str; 2] = ["Command failed", "server response: Some"];

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

/// What may be said of a failure.
///
/// A server's text may quote what it was sent (the whole command where the user may not, a value where there is one already),
/// and the driver shows the server's answer besides. Documents hold secrets, and errors are logged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

/// What is known of a write from the driver's error.
pub(super) fn of_write(error: &MongoError) -> WriteFailed {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => of_write_error(Some(write.code.into()), &write.message),
        ErrorKind::Command(command) if FORBIDDEN.contains(&command.code) => WriteFailed::NotDone(told(error)),
        ErrorKind::Command(command) if NOT_PRIMARY.contains(&command.code) => WriteFailed::Elsewhere(told(error)),
        // The driver shows a connection that was refused only where no request went before it.
        ErrorKind::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => WriteFailed::NotDone(told(error)),
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::Shutdown => WriteFailed::NotDone(told(error)),
        // A pool that is cleared cuts off requests that are under way, too, and does not say which it was.
        // A write concern that is not met says nothing of the write itself: it is on the primary, and may stay there or go.
        _ => WriteFailed::Unknown(told(error)),
    }
}

/// What is known of a write that an answer tells as failed, while the command went well.
///
/// A router answers so, too, where it lost a shard that may have done the write, or that was the primary a moment before:
/// then nothing is known.
pub(super) fn of_write_error(code: Option<i64>, text: &str) -> WriteFailed {
    let is = |known: &i32| code == Some((*known).into());
    let told = || coded(code, "", text).into();
    if is(&DUPLICATE) {
        WriteFailed::Duplicate
    } else if REFUSED.iter().any(is) {
        WriteFailed::NotDone(told())
    } else {
        WriteFailed::Unknown(told())
    }
}

/// What is known of a write that is on the primary, and may stay there or go.
pub(super) fn of_write_concern(code: Option<i64>, text: &str) -> WriteFailed {
    WriteFailed::Unknown(coded(code, "", text).into())
}

/// What a read says that failed.
pub(super) fn of_read(error: MongoError) -> Error {
    match &*error.kind {
        ErrorKind::Command(command) if command.code == OUT_OF_TIME => Error::Timeout,
        _ => Error::Unavailable(told(&error)),
    }
}

/// Whether a read failed because the index is not there that it was told to use.
pub(super) fn lacks_index(error: &MongoError) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if NO_INDEX.contains(&command.code))
}

/// Whether the server says that the user may not.
pub(super) fn is_forbidden(error: &MongoError) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if FORBIDDEN.contains(&command.code))
}

/// What may be said of the driver's error.
pub(super) fn told(error: &MongoError) -> BoxError {
    let told = match &*error.kind {
        ErrorKind::Command(error) => coded(Some(error.code.into()), &error.code_name, &error.message),
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            coded(Some(error.code.into()), error.code_name.as_deref().unwrap_or_default(), &error.message)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            coded(Some(error.code.into()), &error.code_name, &error.message)
        }
        ErrorKind::ServerSelection { message, .. } | ErrorKind::ConnectionPoolCleared { message, .. } => {
            let end = OTHERS.iter().filter_map(|other| message.find(other)).min();
            Told(short(&&message[..end.unwrap_or(message.len())]))
        }
        ErrorKind::Io(_)
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::SessionsNotSupported
        | ErrorKind::MissingResumeToken
        | ErrorKind::Shutdown => Told(short(&error.kind)),
        _ => Told("the driver could not make the request, or not read the answer".to_owned()),
    };
    told.into()
}

/// A server's code, and its text as far as it quotes nothing.
fn coded(code: Option<i64>, name: &str, text: &str) -> Told {
    let end = text.find(QUOTES).unwrap_or(text.len());
    let text = match text[..end].trim_end() {
        "" => "the server failed".to_owned(),
        text => short(&text),
    };
    let code = code.map_or_else(|| "no code".to_owned(), |code| format!("code {code}"));
    let name = if name.is_empty() { String::new() } else { format!(" {name}") };
    Told(format!("{text}, {code}{name}"))
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use mongodb::bson::{Document, deserialize_from_document, doc};

    use super::*;

    fn command(code: i32, name: &str, message: &str) -> MongoError {
        let error: Document = doc! { "code": code, "codeName": name, "errmsg": message };
        ErrorKind::Command(deserialize_from_document(error).unwrap()).into()
    }

    fn write(code: i32, message: &str) -> MongoError {
        let error = doc! { "code": code, "errmsg": message, "errInfo": { "consideredValue": "s3cret" } };
        ErrorKind::Write(WriteFailure::WriteError(deserialize_from_document(error).unwrap())).into()
    }

    /// All that a log could show of an error.
    fn shown(error: &(dyn StdError + 'static)) -> String {
        let source = error.source().map(shown).unwrap_or_default();
        format!("{error} {error:?}\n{source}")
    }

    #[test]
    fn only_a_write_that_is_refused_for_what_it_is_is_known_not_to_have_happened() {
        for code in [2, 9, 13, 14, 66, 121, 10_334] {
            assert!(matches!(of_write_error(Some(code), ""), WriteFailed::NotDone(_)), "{code}");
        }
        // What a router says that lost a shard, or whose shard stepped down or was busy, and what nobody knows.
        for code in
            [0, 1, 6, 7, 8, 50, 89, 91, 112, 133, 189, 202, 262, 9_001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436]
        {
            assert!(matches!(of_write_error(Some(code), ""), WriteFailed::Unknown(_)), "{code}");
        }
        assert!(matches!(of_write_error(None, ""), WriteFailed::Unknown(_)));
        assert!(matches!(of_write_error(Some(11_000), ""), WriteFailed::Duplicate));
    }

    #[test]
    fn no_error_quotes_a_document() {
        let unauthorized = r#"not authorized on dcm to execute command { insert: "documents", documents: [ { _id: "a/b", body: { token: "s3cret" } } ] }"#;
        let duplicate =
            r#"E11000 duplicate key error collection: dcm.documents index: token_1 dup key: { body.token: "s3cret" }"#;
        let errors = [
            command(13, "Unauthorized", unauthorized),
            command(9, "FailedToParse", "Failed to parse number 's3cret' in document"),
            command(50, "MaxTimeMSExpired", unauthorized),
            write(11_000, duplicate),
            write(13, unauthorized),
            write(121, "Document failed validation"),
            write(14, r#"the field must be a string: "s3cret""#),
            MongoError::custom("s3cret".to_owned()),
        ];
        for error in errors {
            let text = shown(told(&error).as_ref());
            assert!(!text.contains("s3cret"), "{text}");
            let failed = of_write(&error);
            assert!(!format!("{failed:?}").contains("s3cret"), "{failed:?}");
            let read = of_read(error);
            assert!(!shown(&read).contains("s3cret"), "{read:?}");
        }
    }

    #[test]
    fn an_error_says_what_helps_to_find_the_fault() {
        let said = |error: &MongoError| told(error).to_string();
        assert_eq!(
            said(&command(13, "Unauthorized", "not authorized on dcm to execute command { find: \"documents\" }")),
            "not authorized on dcm to execute command, code 13 Unauthorized"
        );
        assert_eq!(
            said(&write(6, "Write failed :: caused by :: no connection to shard0:27018")),
            "Write failed :: caused by :: no connection to shard0:27018, code 6"
        );
        let refused = MongoError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert!(said(&refused).contains("connection refused"), "{}", said(&refused));
    }
}
