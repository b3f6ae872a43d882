//! What a process does, and whom it works with.

use std::{fmt, str::FromStr};

use clap::ValueEnum;
use dcm_core::model::StoreOwner;
use http::{Uri, uri::Scheme};

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Everything, in one process.
    #[default]
    All,
    /// The main microservice: serves clients, and leaves all that clusters are asked and told to synchronizers.
    Dcm,
    /// The CA key distribution controller, on a store of its own.
    Ca,
    /// The resource synchronizer: carries out what the store says.
    Synchronizer,
}

impl Role {
    /// Whether it serves clients.
    pub(crate) const fn serves_clients(self) -> bool {
        matches!(self, Self::All | Self::Dcm)
    }

    /// Whether it serves other roles, over mutual TLS only.
    pub(crate) const fn serves_roles(self) -> bool {
        matches!(self, Self::Ca | Self::Synchronizer)
    }

    /// Whether it reaches clusters itself, and carries out orders there.
    pub(crate) const fn reaches_clusters(self) -> bool {
        matches!(self, Self::All | Self::Synchronizer)
    }

    /// Whose its store is.
    pub(crate) const fn store_owner(self) -> StoreOwner {
        match self {
            Self::All | Self::Dcm | Self::Synchronizer => StoreOwner::Dcm,
            Self::Ca => StoreOwner::Ca,
        }
    }

    /// Whether its store is used by other processes, too.
    pub(crate) const fn shares_store(self) -> bool {
        matches!(self, Self::Dcm | Self::Synchronizer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Dcm => "dcm",
            Self::Ca => "ca",
            Self::Synchronizer => "synchronizer",
        })
    }
}

/// What carries work to clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SynchronizerKind {
    /// The clusters' API servers, from this process.
    #[default]
    Kube,
    /// Simulated clusters inside of this process.
    Simulated,
    /// A process in the role `synchronizer`.
    Remote(PeerAddress),
}

impl FromStr for SynchronizerKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "kube" => Ok(Self::Kube),
            "simulated" => Ok(Self::Simulated),
            _ => text
                .parse()
                .map(Self::Remote)
                .map_err(|_| "must be kube, simulated, or where a synchronizer serves gRPC, such as https://dcm-synchronizer:9078"),
        }
    }
}

impl fmt::Display for SynchronizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kube => f.write_str("kube"),
            Self::Simulated => f.write_str("simulated"),
            Self::Remote(address) => address.fmt(f),
        }
    }
}

/// What keeps the roots of logical clouds, and signs their intermediates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CaKind {
    /// What is built in, or with the role `dcm` what is registered as the controller `ca`.
    #[default]
    BuiltIn,
    /// A process in the role `ca`, or another one that serves the same.
    Remote(PeerAddress),
}

impl FromStr for CaKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "builtin" => Ok(Self::BuiltIn),
            _ => {
                let address = text.parse().map(Self::Remote);
                address.map_err(|_| "must be builtin, or where a CA serves gRPC, such as https://dcm-ca:9078")
            }
        }
    }
}

impl fmt::Display for CaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("builtin"),
            Self::Remote(address) => address.fmt(f),
        }
    }
}

/// Where another process serves gRPC: a scheme, a host and a port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress(Uri);

impl PeerAddress {
    /// As a URI.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is to be spoken to over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }
}

impl FromStr for PeerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri = Uri::from_str(text).ok().filter(|uri| {
            let scheme = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
            let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
            scheme
                && authority
                && uri.port_u16().is_some_and(|port| port != 0)
                && uri.path() == "/"
                && uri.query().is_none()
        });
        uri.map(Self).ok_or("must be http:// or https:// with a host and a port, such as https://dcm-ca:9078")
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_scheme_a_host_and_a_port() {
        for good in ["https://dcm-ca:9078", "http://127.0.0.1:1/", "https://[::1]:9078"] {
            let address: PeerAddress = good.parse().unwrap();
            assert_eq!(address.to_string(), good.trim_end_matches('/'));
        }
        for bad in [
            "dcm-ca:9078",
            "https://dcm-ca",
            "ftp://x:1",
            "https://u:p@x:1",
            "https://x:1/y",
            "https://x:1/?q",
            "https://x:0",
            "",
        ] {
            assert!(bad.parse::<PeerAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_synchronizer_is_in_this_process_or_at_an_address() {
        assert_eq!("kube".parse(), Ok(SynchronizerKind::Kube));
        assert_eq!("simulated".parse(), Ok(SynchronizerKind::Simulated));
        let remote: SynchronizerKind = "https://s:9078".parse().unwrap();
        assert!(matches!(remote, SynchronizerKind::Remote(address) if address.is_https()));
        assert!("magic".parse::<SynchronizerKind>().is_err());
    }

    #[test]
    fn a_ca_is_built_in_or_at_an_address() {
        assert_eq!("builtin".parse(), Ok(CaKind::BuiltIn));
        let remote: CaKind = "https://dcm-ca:9078".parse().unwrap();
        assert_eq!(remote.to_string(), "https://dcm-ca:9078");
        assert!(matches!(remote, CaKind::Remote(address) if address.is_https()));
        for bad in ["", "built-in", "dcm-ca", "https://dcm-ca"] {
            assert!(bad.parse::<CaKind>().is_err(), "{bad}");
        }
    }
}
