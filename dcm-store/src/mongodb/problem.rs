/// Why a MongoDB server cannot be the store, and what to do about it.
///
/// No text quotes a user, a password or what is in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MongoProblem {
    /// The name of a host has no address.
    #[error(
        "there is no host {host}: check the name, and the name service of this machine (the members of a replica set are \
         reached by the names in its own configuration)"
    )]
    NoSuchHost {
        /// The host.
        host: String,
    },
    /// A `mongodb+srv://` name has no records.
    #[error(
        "the hosts behind mongodb+srv:// cannot be looked up ({reason}): check the name, or write mongodb:// and name the hosts"
    )]
    NoRecords {
        /// What the name service said.
        reason: String,
    },
    /// A record of the name service asks for a load balancer.
    #[error(
        "the DNS records behind mongodb+srv:// say loadBalanced=true, which is not supported: write mongodb:// and name the \
         mongos routers"
    )]
    LoadBalanced,
    /// The host is there and no program listens at the port.
    #[error("nothing listens at {host}: start MongoDB there, or correct host and port")]
    Refused {
        /// Host and port.
        host: String,
    },
    /// No connection comes about.
    #[error("no connection to {host} ({reason}): check the address, the network and firewalls")]
    NoConnection {
        /// Host and port.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// Connections are taken, and nothing is answered.
    #[error(
        "{host} takes connections and does not answer in time: the server may be paused, overloaded or not be MongoDB"
    )]
    Silent {
        /// Host and port, or all of them.
        host: String,
    },
    /// Something else than MongoDB answers.
    #[error("what answers at {host} is not MongoDB: correct host and port")]
    NotMongoDb {
        /// Host and port.
        host: String,
    },
    /// The server wants TLS.
    #[error(
        "{host} wants TLS: add tls=true to the connection string, and tlsCAFile=<file> where its CA is not a public one"
    )]
    WantsTls {
        /// Host and port.
        host: String,
    },
    /// The server does not speak TLS.
    #[error("{host} does not speak TLS: set it up there, or take tls and the like out of the connection string")]
    NoTls {
        /// Host and port.
        host: String,
    },
    /// The server's certificate comes from a CA that is not known.
    #[error("the certificate of {host} comes from an unknown CA: give that CA's certificate with tlsCAFile=<file>")]
    UnknownCa {
        /// Host and port.
        host: String,
    },
    /// The server's certificate is for other names.
    #[error(
        "the certificate of {host} is not for that name: use a name that stands in it, or give the server one with this name"
    )]
    WrongName {
        /// Host and port.
        host: String,
    },
    /// The server's certificate cannot be accepted.
    #[error("the certificate of {host} cannot be accepted ({reason}): give the server another one")]
    BadCertificate {
        /// Host and port.
        host: String,
        /// Why not.
        reason: String,
    },
    /// The server refuses the TLS connection.
    #[error(
        "{host} refuses the TLS connection ({reason}): it may want a client certificate, given with \
         tlsCertificateKeyFile=<file>, or not accept the one that is given"
    )]
    TlsRefused {
        /// Host and port.
        host: String,
        /// What it said.
        reason: String,
    },
    /// A file with certificates or a key cannot be used.
    #[error("{option}={path} cannot be used: {reason}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server does not know the user with this password.
    #[error(
        "the server refuses the user: check user and password, and the database that he is kept in \
         (authSource=<database>; without it the one that is named behind the hosts, or admin)"
    )]
    Login,
    /// The server wants to know who asks.
    #[error(
        "the server wants a user: write mongodb://<user>:<password>@<host>/<database>, or a client certificate with authMechanism=MONGODB-X509"
    )]
    NoLogin,
    /// The user may not do what the store has to.
    #[error("the user may not {what}: give him the role readWrite on the database {database}")]
    Rights {
        /// What was refused.
        what: &'static str,
        /// The database.
        database: String,
    },
    /// The servers belong to another replica set.
    #[error("{host} belongs to the replica set {found}, not to {wanted}: correct replicaSet or the hosts")]
    OtherReplicaSet {
        /// Host and port.
        host: String,
        /// Its name.
        found: String,
        /// The name that was asked for.
        wanted: String,
    },
    /// The server belongs to no replica set.
    #[error(
        "{host} belongs to no replica set, and the connection string wants {wanted}: take replicaSet out, or start the server with it"
    )]
    NoReplicaSet {
        /// Host and port.
        host: String,
        /// The name that was asked for.
        wanted: String,
    },
    /// The one server that may be asked takes no writes.
    #[error(
        "{host} is not the primary: take directConnection out and name the members of the replica set, or name the primary"
    )]
    NotPrimary {
        /// Host and port.
        host: String,
    },
    /// No server takes writes at this time.
    #[error(
        "the replica set has no primary that can be reached: look at rs.status() on {host}, and name all members in the connection string"
    )]
    NoPrimary {
        /// Host and port of a member.
        host: String,
    },
    /// The server is no member of its replica set yet, or any more.
    #[error(
        "{host} is not a ready member of its replica set: set that up with rs.initiate(), or wait until the server has started"
    )]
    NotReady {
        /// Host and port.
        host: String,
    },
    /// The server is too old or too new for the driver.
    #[error("{host} has a version that this release cannot use ({reason}): use MongoDB 4.4 or newer")]
    Version {
        /// Host and port, or all of them.
        host: String,
        /// What the driver said.
        reason: String,
    },
    /// There is an index of the same name that is another one.
    #[error(
        "the collection {collection} has another index in place of {index} ({reason}): drop it, with db.{collection}.dropIndex({index:?})"
    )]
    Index {
        /// The collection.
        collection: &'static str,
        /// The name of the index.
        index: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The collection compares strings in another way than byte by byte.
    #[error(
        "the collection {collection} has a default collation ({locale}), with which different keys may be the same and have another \
         order: drop it where it is empty, or copy its documents to a collection without a collation"
    )]
    Collation {
        /// The collection.
        collection: &'static str,
        /// The collation's locale.
        locale: String,
    },
    /// A write does not reach a majority, or no journal.
    #[error(
        "the servers do not acknowledge a durable write ({reason}): see that a majority of the replica set runs, with journals"
    )]
    NotDurable {
        /// What the server said.
        reason: String,
    },
    /// The store must be there already, and is not.
    #[error("there is no store in the database {database}: check its name, and the hosts, in the connection string")]
    Missing {
        /// The database.
        database: String,
    },
    /// A newer release laid the database out.
    #[error(
        "the database {database} holds documents in form {found}, and this release reads form {known}: start the release that wrote it, or choose another database"
    )]
    Newer {
        /// The database.
        database: String,
        /// The form that was found.
        found: i64,
        /// The newest form that this release reads.
        known: i64,
    },
    /// What the database says of itself cannot be understood.
    #[error(
        "the database {database} has a collection meta whose document \"store\" has no form or no id: choose another database, or restore a backup"
    )]
    NotAStore {
        /// The database.
        database: String,
    },
    /// Something else.
    #[error("{reason}")]
    Other {
        /// What the driver said.
        reason: String,
    },
}
