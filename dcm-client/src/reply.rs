use std::ops::Deref;

use tonic::Response;

/// An answer, and what its client should know beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply<T> {
    message: T,
    warnings: Vec<String>,
    request_id: String,
}

impl<T> Reply<T> {
    pub(crate) fn of(response: Response<T>) -> Self {
        let metadata = response.metadata();
        let text = |value: &tonic::metadata::AsciiMetadataValue| value.to_str().unwrap_or_default().to_owned();
        let warnings = metadata.get_all("dcm-warning").iter().map(text).collect();
        let request_id = metadata.get("x-request-id").map(text).unwrap_or_default();
        Self { message: response.into_inner(), warnings, request_id }
    }

    /// The message alone.
    pub fn into_message(self) -> T {
        self.message
    }

    /// What is to be known although the call was served: verbs that Kubernetes does not know, and the like.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The id under which the call is in the server's log.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl<T> Deref for Reply<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}
