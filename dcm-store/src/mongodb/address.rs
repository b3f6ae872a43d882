//! Where a MongoDB server is, and what of the connection string may be chosen.

use std::{fmt, time::Duration};

use mongodb::{
    error::{Error as MongoError, ErrorKind},
    options::{Acknowledgment, ConnectionString, HostInfo, ReadConcernLevel, ReadPreference, Tls},
};
use zeroize::Zeroizing;

use crate::InvalidUrl;

/// The database where the connection string names none.
const DATABASE: &str = "dcm";

/// How few connections there may be: one for calls, one for watches, and one to open them.
const FEWEST: u32 = 3;

/// For how long a call may wait for a free connection at most: a request waits for several calls.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

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
    /// Whether single documents are read linearizably where the deployment can do that.
    pub(super) linearizable: bool,
    /// For how long one call may go on, resolving an unknown outcome included (default: 12 s).
    pub deadline: Duration,
    /// For how long one request to the server may go on (default: 5 s); a request to find a server a little less.
    pub attempt: Duration,
    /// For how long a call may wait for a free connection (default: `waitQueueTimeoutMS`, else 5 s).
    pub wait: Duration,
    /// How changes are watched (default: [`WatchMode::Auto`]).
    pub watch: WatchMode,
    /// How often changes are looked for where they are polled (default: 1 s).
    pub poll_every: Duration,
    /// How many of the last changes are kept for all watches (default: [`HISTORY`](crate::HISTORY), or 16 MiB of documents). Where
    /// changes are polled, a watch can resume from these only.
    pub history: usize,
    /// Whether the store must be there already: nothing is made then where it is missing (default: false).
    pub existing: bool,
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
        check_text(uri)?;
        let parsed = ConnectionString::parse(uri).map_err(|error| reason(&error))?;
        check(&parsed)?;
        let database = parsed.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        check_database(&database)?;
        let hosts = match &parsed.host_info {
            HostInfo::HostIdentifiers(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            HostInfo::DnsRecord(name) => name.clone(),
            _ => String::new(),
        };
        Ok(Self {
            uri: Zeroizing::new(uri.to_owned()),
            shown: format!("mongodb://{hosts}/{database}"),
            database,
            linearizable: parsed.read_concern.is_none(),
            deadline: Duration::from_secs(12),
            attempt: Duration::from_secs(5),
            wait: parsed.wait_queue_timeout().unwrap_or(Duration::from_secs(5)),
            watch: WatchMode::Auto,
            poll_every: Duration::from_secs(1),
            history: crate::HISTORY,
            existing: false,
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
    let refuse = |wrong: bool, option, advice| if wrong { Err(InvalidUrl::Option { option, advice }) } else { Ok(()) };
    let writes = uri.write_concern.as_ref();
    let majority = |w: &Acknowledgment| *w == Acknowledgment::Majority;
    refuse(
        writes.is_some_and(|concern| !concern.w.as_ref().is_none_or(majority)),
        "w to anything but majority",
        "leave it out: DCM acknowledges a write only when a majority has it",
    )?;
    refuse(
        writes.is_some_and(|concern| concern.journal == Some(false)),
        "journal to false",
        "leave it out: DCM acknowledges a write only when it is in the journal",
    )?;
    refuse(
        writes.is_some_and(|concern| concern.w_timeout.is_some()),
        "wtimeoutMS",
        "leave it out: DCM waits for a majority as long as a request may take, and then finds out",
    )?;
    refuse(
        uri.read_preference.as_ref().is_some_and(|preference| *preference != ReadPreference::Primary),
        "readPreference to anything but primary",
        "leave it out: DCM reads from the primary, since a secondary may not have what was acknowledged",
    )?;
    refuse(
        uri.read_concern.as_ref().is_some_and(|concern| concern.level != ReadConcernLevel::Majority),
        "readConcernLevel to anything but majority",
        "leave it out for linearizable reads of single documents, or set majority to do without them",
    )?;
    refuse(
        uri.load_balanced == Some(true),
        "loadBalanced",
        "name the members of the replica set or the mongos routers instead, or use mongodb+srv://",
    )?;
    let trusts_all = match &uri.tls {
        Some(Tls::Enabled(tls)) => tls.allow_invalid_certificates == Some(true),
        _ => false,
    };
    refuse(
        trusts_all || uri.tls_insecure() == Some(true),
        "tlsInsecure or tlsAllowInvalidCertificates",
        "whoever answers could read everything: give the server's CA with tlsCAFile=<file>",
    )?;
    #[expect(deprecated, reason = "it is refused")]
    let socket_timeout = uri.socket_timeout;
    refuse(socket_timeout.is_some(), "socketTimeoutMS", "leave it out: DCM bounds each request by itself")?;
    refuse(
        uri.max_pool_size.is_some_and(|most| most < FEWEST),
        "maxPoolSize below 3",
        "name a larger number: calls, watches, and who opens one have a connection each; 0 would be without a bound",
    )?;
    refuse(
        uri.wait_queue_timeout().is_some_and(|wait| wait.is_zero() || wait > LONGEST_WAIT),
        "waitQueueTimeoutMS to 0 or above 10000",
        "name a number between them: it is how long a call waits for a free connection",
    )
}

/// What the driver would take for something else than what was meant, or quote in its error, or fall over.
fn check_text(uri: &str) -> Result<(), InvalidUrl> {
    let bad = |reason: &str| Err(InvalidUrl::MongoDb { reason: reason.to_owned() });
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    if options.contains('@') {
        return bad("there is an @ behind the first ?: in user, password and options write ? as %3F and @ as %40");
    }
    let (user, hosts) = place.rsplit_once('@').unwrap_or(("", place));
    let (hosts, _) = hosts.split_once('/').unwrap_or((hosts, ""));
    if !user.is_ascii() {
        return bad(
            "user and password may hold only ASCII: write other characters as the % codes of their UTF-8 bytes",
        );
    }
    if hosts.is_empty() || hosts.split(',').any(str::is_empty) {
        return bad("a host is missing");
    }
    if hosts.contains('%') {
        return bad("sockets of the file system are not supported: write host and port");
    }
    let ports = hosts.split(',').filter_map(|host| host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')));
    let mut wrong = ports.filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0).eq(&false));
    if wrong.next().is_some() {
        return bad("a port is not a number from 1 to 65535; or there is no @ between the password and the host");
    }
    Ok(())
}

/// What the driver says, where it is known not to quote what could be secret.
fn reason(error: &MongoError) -> InvalidUrl {
    let ErrorKind::InvalidArgument { message, .. } = &*error.kind else {
        return InvalidUrl::MongoDb { reason: "the driver does not understand it".to_owned() };
    };
    if let Some((name, rest)) = message.split_once(" is an invalid option") {
        let known = |like: &str| OPTIONS.into_iter().find(|option| option.eq_ignore_ascii_case(like));
        let like = rest.rsplit_once(": ").and_then(|(_, like)| known(like));
        return match known(name) {
            Some(option) => InvalidUrl::Option { option, advice: "leave it out: it is not supported" },
            None => InvalidUrl::UnknownOption { name: name.to_owned(), like },
        };
    }
    let safe =
        ["connection string `", "srv", "username", "password", "repeated", "illegal", "a port cannot", "exactly one"];
    let reason = if message.contains("'key=value'") {
        "an option is not written as name=value"
    } else if message.contains("cert-key-password") {
        "tlsCertificateKeyFilePassword is not supported: give a key file without a password, readable for DCM only"
    } else if message.contains("compress") || message.contains("zlib") {
        "compression is not supported: leave zlibCompressionLevel out"
    } else if message.contains("socks5") {
        "proxies are not supported: leave proxyHost and the like out"
    } else if safe.iter().any(|start| message.starts_with(start)) {
        message
    } else {
        "an option has a value that it cannot have"
    };
    InvalidUrl::MongoDb { reason: reason.to_owned() }
}

/// MongoDB's own rules for names of databases, and those that it keeps for itself.
fn check_database(name: &str) -> Result<(), InvalidUrl> {
    let bad = name.len() > 63 || name.chars().any(|c| "/\\. \"$*<>:|?\0".contains(c));
    let taken = ["admin", "local", "config"].contains(&name);
    if bad || taken { Err(InvalidUrl::Database { name: name.to_owned() }) } else { Ok(()) }
}

/// The options of a connection string as they are written, to name the one that was meant.
const OPTIONS: [&str; 38] = [
    "appName",
    "authMechanism",
    "authMechanismProperties",
    "authSource",
    "compressors",
    "connectTimeoutMS",
    "directConnection",
    "heartbeatFrequencyMS",
    "journal",
    "loadBalanced",
    "localThresholdMS",
    "maxConnecting",
    "maxIdleTimeMS",
    "maxPoolSize",
    "maxStalenessSeconds",
    "minPoolSize",
    "readConcernLevel",
    "readPreference",
    "readPreferenceTags",
    "replicaSet",
    "retryReads",
    "retryWrites",
    "serverMonitoringMode",
    "serverSelectionTimeoutMS",
    "srvMaxHosts",
    "srvServiceName",
    "ssl",
    "timeoutMS",
    "tls",
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "tlsInsecure",
    "uuidRepresentation",
    "w",
    "waitQueueTimeoutMS",
    "wtimeoutMS",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str) -> String {
        let Err(error) = MongoConfig::new(uri) else { panic!("{uri} was taken") };
        error.to_string()
    }

    #[test]
    fn what_is_wrong_with_a_connection_string_is_named() {
        for (uri, named) in [
            ("mongodb://", "host is missing"),
            ("mongodb://a,,b/", "host is missing"),
            ("mongodb://h:port/", "port"),
            ("mongodb://h:0/", "port"),
            ("mongodb://h:70000/", "port"),
            ("mongodb://%2Ftmp%2Fmongodb.sock/", "sockets"),
            ("mongodb+srv://h:1/", "port"),
            ("mongodb+srv://a,b/", "exactly one host"),
            ("mongodb://h/a b", "database"),
            ("mongodb://h/a%24b", "database"),
            ("mongodb://h/a.b", "database"),
            ("mongodb://h/admin", "database"),
            ("mongodb://h/?maxPoolSize", "name=value"),
            ("mongodb://h/?maxPoolSize=many", "maxpoolsize"),
            ("mongodb://h/?maxPoolSize=0", "maxPoolSize"),
            ("mongodb://h/?maxPoolSize=2", "maxPoolSize below 3"),
            ("mongodb://h/?tls=yes", "boolean"),
            ("mongodb://h/?tls=true&tls=true", "repeated"),
            ("mongodb://h/?tlsCaFlie=x", "tlscaflie: did you mean tlsCAFile?"),
            ("mongodb://h/?colour=blue", "colour"),
            ("mongodb://h/?compressors=zstd", "compressors"),
            ("mongodb://h/?zlibCompressionLevel=1", "compression"),
            ("mongodb://h/?proxyHost=p", "proxies"),
            ("mongodb://h/?socketTimeoutMS=1", "socketTimeoutMS"),
            ("mongodb://h/?w=1", "w to"),
            ("mongodb://h/?W=0", "w to"),
            ("mongodb://h/?w=tag", "w to"),
            ("mongodb://h/?journal=false", "journal"),
            ("mongodb://h/?wtimeoutMS=1", "wtimeoutMS"),
            ("mongodb://h/?readPreference=nearest", "readPreference"),
            ("mongodb://h/?readPreference=secondary&readPreferenceTags=a:b", "readPreference"),
            ("mongodb://h/?readConcernLevel=local", "readConcernLevel"),
            ("mongodb://h/?loadBalanced=true", "loadBalanced"),
            ("mongodb://h/?tlsInsecure=true", "tlsCAFile"),
            ("mongodb://h/?tlsAllowInvalidCertificates=true", "tlsCAFile"),
            ("mongodb://h/?tlsAllowInvalidHostnames=true", "tlsAllowInvalidHostnames"),
            ("mongodb://h/?tlsCertificateKeyFilePassword=s3cret", "tlsCertificateKeyFilePassword"),
            ("mongodb://h/?waitQueueTimeoutMS=60000", "waitQueueTimeoutMS"),
        ] {
            let error = refused(uri);
            assert!(error.contains(named), "{uri}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn no_part_of_a_password_is_quoted_however_it_is_written() {
        for uri in [
            "mongodb://user:s3cret?x@host/dcm",
            "mongodb://user:a?s3cret&b@host/dcm",
            "mongodb://user:s3cret/x@host/dcm",
            "mongodb://user:s3cret@x@host/dcm?w=1",
            "mongodb://user:s3cret%zz@host/",
            "mongodb://user:s3cret%a€@host/",
            "mongodb://user:s3cret#x@host/",
            "mongodb://user:s3cret/dcm",
            "mongodb://user:s3cret@/dcm",
            "mongodb://user:s3cret@host:x/dcm",
            "mongodb://user:s3cret@host/d.b",
            "mongodb://user:s3cret@host/?colour=blue",
            "mongodb://host/?authMechanism=MONGODB-AWS&authMechanismProperties=s3cret",
            "mongodb://host/?authMechanism=s3cret",
        ] {
            let error = refused(uri);
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_changes_no_promise_may_be_said() {
        for uri in [
            "mongodb://h",
            "mongodb://a:1,b,[::1]:2/dcm?replicaSet=rs0",
            "mongodb+srv://user:p%40ss@cluster.example.com/?retryWrites=true&w=majority",
            "mongodb://h/?journal=true&readPreference=primary&readConcernLevel=majority&directConnection=true",
            "mongodb://h/?tls=true&tlsCAFile=ca.pem&tlsCertificateKeyFile=me.pem&authMechanism=MONGODB-X509",
            "mongodb://h/?tlsInsecure=false&loadBalanced=false",
        ] {
            MongoConfig::new(uri).unwrap();
        }
    }

    #[test]
    fn the_wait_for_a_connection_can_be_set() {
        let wait = |uri| MongoConfig::new(uri).unwrap().wait;
        assert_eq!(wait("mongodb://h/?waitQueueTimeoutMS=700"), Duration::from_millis(700));
        assert_eq!(wait("mongodb://h"), Duration::from_secs(5));
    }

    #[test]
    fn debug_output_shows_neither_user_nor_password() {
        let config = MongoConfig::new("mongodb://user:s3cret@host/data").unwrap();
        assert_eq!(format!("{config:?}"), "MongoConfig(\"mongodb://host:27017/data\")");
    }
}
