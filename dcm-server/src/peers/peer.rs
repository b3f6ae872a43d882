//! The way to another role.

use std::time::Duration;

use dcm_core::service::Dcm;
use tonic::{Status, transport::Channel};

use super::Place;
use crate::{config::PeerAddress, readiness::Readiness, telemetry::chain, tls::PeerTls};

/// How long one call may take that only looks or hints.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// How often a role is asked how it is.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Another role, wherever it is now.
#[derive(Debug)]
pub(crate) struct Peer {
    /// How it is called where it is waited for.
    part: &'static str,
    place: Place,
    tls: Option<PeerTls>,
    open: Option<(PeerAddress, Channel)>,
}

/// Whether there is a way.
#[derive(Debug)]
pub(crate) enum Reach {
    /// A channel, which connects when it is used.
    Channel(Channel),
    /// Nobody said where the role is, so there is none; what that means is for the caller to say.
    Nowhere,
    /// There is one that cannot be had now.
    NotNow,
}

impl Peer {
    pub(crate) const fn new(part: &'static str, place: Place, tls: Option<PeerTls>) -> Self {
        Self { part, place, tls, open: None }
    }

    /// A channel to where the role is now. What stands against it is told to who keeps what is waited for.
    pub(crate) async fn channel(&mut self, dcm: &Dcm, readiness: &Readiness) -> Reach {
        let address = match self.place.find(dcm).await {
            Ok(Some(address)) => address,
            Ok(None) => {
                self.open = None;
                return Reach::Nowhere;
            }
            Err(error) => {
                tracing::debug!(part = self.part, error = %chain(&error), "where another part of DCM is could not be read");
                return self.open.as_ref().map_or(Reach::NotNow, |(_, channel)| Reach::Channel(channel.clone()));
            }
        };
        if let Some((open, channel)) = &self.open
            && *open == address
        {
            return Reach::Channel(channel.clone());
        }
        let channel = match channel(&address, self.tls.as_ref()) {
            Ok(channel) => channel,
            Err(reason) => {
                readiness.waits_for(self.part, reason);
                return Reach::NotNow;
            }
        };
        self.open = Some((address, channel.clone()));
        Reach::Channel(channel)
    }
}

/// A channel that connects when it is used, and again where the connection was lost.
fn channel(address: &PeerAddress, tls: Option<&PeerTls>) -> Result<Channel, String> {
    // Whether it is secure is for the connector to see to: a scheme that says so has tonic look for TLS of its own.
    let mut parts = address.uri().clone().into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let uri = http::Uri::from_parts(parts).map_err(|error| error.to_string())?;
    let endpoint = Channel::builder(uri)
        .connect_timeout(WITHIN)
        .timeout(WITHIN)
        .http2_keep_alive_interval(LOOK_EVERY)
        .keep_alive_timeout(WITHIN);
    match (address.is_https(), tls) {
        (false, _) => Ok(endpoint.connect_lazy()),
        (true, Some(tls)) => Ok(endpoint.connect_with_connector_lazy(tls.connector())),
        (true, None) => {
            Err(format!("{address} is to be reached over TLS, and --peer-ca says nothing of whom to trust"))
        }
    }
}

/// What went wrong, for people.
pub(crate) fn reason(status: &Status) -> String {
    let cause = std::error::Error::source(status).map_or_else(String::new, |source| format!(": {}", chain(source)));
    let told = if status.message().is_empty() { status.code().description() } else { status.message() };
    format!("{told}{cause}")
}
