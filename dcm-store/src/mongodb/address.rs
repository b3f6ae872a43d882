//! Where a MongoDB server is, and what of the connection string may be chosen.

use std::{fmt, time::Duration};

use mongodb::options::{ConnectionString, HostInfo};
use zeroize::Zeroizing;

use crate::InvalidUrl;

/// The database where the connection string names none.
const DATABASE: &str = "dcm";

/// Where documents are kept in MongoDB, and within which bounds.
///
/// Debug output shows hosts and database only: the connection string may hold a password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MongoConfig {
    /// The connection string.
    pub(super) uri: Zeroizing<String>,
    /// Hosts and database, for messages.
    pub(super) shown: String,
    pub(super) database: String,
    /// For how long one call may go on, resolving an unknown outcome included (default: 12 s).
    pub deadline: Duration,
    /// For how long one request to the server may go on (default: 5 s).
    pub attempt: Duration,
    /// For how long a call may wait for a free connection (default: 2 s).
    pub wait: Duration,
    /// How changes are watched (default: [`WatchMode::Auto`]).
    pub watch: WatchMode,
    /// How often changes are looked for where they are polled (default: 1 s).
    pub poll_every: Duration,
    /// How many changes a watch can resume from where they are polled (default: [`HISTORY`](crate::HISTORY)).
    pub history: usize,
}

/// How a store learns of changes in MongoDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchMode {
    /// By change streams where the server has them (a replica set, a sharded cluster), else by polling.
    #[default]
    Auto,
    /// By polling.
    Polling,
}

impl MongoConfig {
    /// Reads a connection string, `mongodb://…` or `mongodb+srv://…`, without asking any server.
    ///
    /// # Errors
    /// [`InvalidUrl`], which never quotes user or password.
    pub fn new(uri: &str) -> Result<Self, InvalidUrl> {
        let parsed = ConnectionString::parse(uri).map_err(|error| InvalidUrl::mongodb(uri, &error.to_string()))?;
        check(&parsed)?;
        let database = parsed.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let hosts = match &parsed.host_info {
            HostInfo::HostIdentifiers(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            HostInfo::DnsRecord(name) => name.clone(),
            _ => String::new(),
        };
        Ok(Self {
            uri: Zeroizing::new(uri.to_owned()),
            shown: format!("mongodb://{hosts}/{database}"),
            database,
            deadline: Duration::from_secs(12),
            attempt: Duration::from_secs(5),
            wait: Duration::from_secs(2),
            watch: WatchMode::Auto,
            poll_every: Duration::from_secs(1),
            history: crate::HISTORY,
        })
    }

    /// Hosts and database, without user and password.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for MongoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MongoConfig").field(&self.shown).finish()
    }
}

/// What would break a promise of the store may not be asked for.
fn check(uri: &ConnectionString) -> Result<(), InvalidUrl> {
    if uri.write_concern.is_some() {
        return Err(InvalidUrl::Option {
            option: "w, journal and wtimeoutMS",
            advice: "leave them out: DCM acknowledges a write only when a majority has it in its journal",
        });
    }
    if uri.read_preference.is_some() {
        return Err(InvalidUrl::Option {
            option: "readPreference",
            advice: "leave it out: DCM reads from the primary, since a secondary may not have what was acknowledged",
        });
    }
    Ok(())
}
