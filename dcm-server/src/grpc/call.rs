use http::Uri;
use tokio::time::Instant;

/// What is known of a call beside its message. Lies in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The request's id.
    pub(super) id: String,
    /// Which method was called.
    pub(super) uri: Uri,
    /// When its client gives up.
    pub(super) deadline: Option<Instant>,
}
