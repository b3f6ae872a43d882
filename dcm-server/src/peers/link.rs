use std::{
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dcm_core::{error::Error, store::Store};
use tonic::{Status, transport::Channel};

use super::Place;
use crate::{config::PeerAddress, readiness::Readiness, tls::PeerTls};

/// How long a connection may take to be there and to show that it still is, and a call that only looks or hints.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// How often a role is asked how it is.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The way to another role, wherever it is now, for all who call it.
#[derive(Debug)]
pub(crate) struct Link {
    /// How the role is called where it is waited for.
    part: &'static str,
    place: Place,
    tls: Option<PeerTls>,
    store: Arc<dyn Store>,
    readiness: Readiness,
    open: Mutex<Option<(PeerAddress, Channel)>>,
}

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWay {
    /// Nobody said where it is.
    #[error("nobody said where it is")]
    Unknown,
    /// What was said of where it is cannot be read.
    #[error("where it is could not be read")]
    Unread(#[source] Error),
    /// It cannot be gone.
    #[error("{0}")]
    Blocked(String),
}

impl Link {
    pub(crate) fn new(
        part: &'static str,
        place: Place,
        tls: Option<PeerTls>,
        store: Arc<dyn Store>,
        readiness: Readiness,
    ) -> Self {
        Self { part, place, tls, store, readiness, open: Mutex::default() }
    }

    /// A channel to where the role is now, which connects when it is used.
    pub(crate) async fn channel(&self) -> Result<Channel, NoWay> {
        let found = self.place.find(&*self.store).await;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let address = match found {
            Ok(Some(address)) => address,
            Ok(None) => {
                *open = None;
                return Err(NoWay::Unknown);
            }
            // It is most likely where it was.
            Err(error) => return open.as_ref().map(|(_, channel)| channel.clone()).ok_or(NoWay::Unread(error)),
        };
        if let Some((known, channel)) = &*open
            && *known == address
        {
            return Ok(channel.clone());
        }
        let channel = channel(&address, self.tls.as_ref()).map_err(NoWay::Blocked)?;
        *open = Some((address, channel.clone()));
        Ok(channel)
    }

    /// The role has answered, or there is to be none; answers whether it was away before.
    pub(crate) fn is_there(&self) -> bool {
        self.readiness.has(self.part)
    }

    /// The role cannot be had.
    pub(crate) fn is_away(&self, reason: String) {
        self.readiness.waits_for(self.part, reason);
    }
}

/// A channel that connects when it is used, and again where the connection was lost.
fn channel(address: &PeerAddress, tls: Option<&PeerTls>) -> Result<Channel, String> {
    // Whether it is secure is for the connector to see to: a scheme that says so has tonic look for TLS of its own.
    let mut parts = address.uri().clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let uri = http::Uri::from_parts(parts).map_err(|error| error.to_string())?;
    let endpoint =
        Channel::builder(uri).connect_timeout(WITHIN).http2_keep_alive_interval(WITHIN).keep_alive_timeout(WITHIN);
    match (address.is_https(), tls) {
        (false, _) => Ok(endpoint.connect_lazy()),
        (true, Some(tls)) => Ok(endpoint.connect_with_connector_lazy(tls.connector())),
        (true, None) => {
            Err(format!("{address} is to be reached over TLS, and --peer-ca says nothing of whom to trust"))
        }
    }
}

/// What went wrong, for people: what is told, and the innermost cause where that is not in it already.
pub(crate) fn reason(status: &Status) -> String {
    let told = if status.message().is_empty() { status.code().description() } else { status.message() };
    let cause = iter::successors(std::error::Error::source(status), |cause| cause.source()).last();
    let cause = cause.map(ToString::to_string).filter(|cause| !told.contains(cause.as_str()));
    cause.map_or_else(|| told.to_owned(), |cause| format!("{told}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_each_thing_once() {
        let refused = || std::io::Error::other("connection refused");
        let mut status = Status::unavailable("tcp connect error: connection refused");
        status.set_source(Arc::new(refused()));
        assert_eq!(reason(&status), "tcp connect error: connection refused");
        let mut status = Status::unavailable("tcp connect error");
        status.set_source(Arc::new(refused()));
        assert_eq!(reason(&status), "tcp connect error: connection refused");
        assert_eq!(reason(&Status::unavailable("")), Status::unavailable("").code().description());
    }
}
