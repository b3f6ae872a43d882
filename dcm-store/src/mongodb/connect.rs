//! Reaching a server, and making what the store needs there.

use std::{path::Path, time::Duration};

use mongodb::{
    Client, Collection, Database, IndexModel,
    bson::{Document, doc},
    error::{Error as MongoError, ErrorKind, WriteFailure},
    event::{EventHandler, command::CommandEvent},
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria,
        Tls, WriteConcern,
    },
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject},
};

use super::{
    MongoConfig, MongoProblem,
    diagnosis::{self, Watcher, short},
    failure, meta,
};
use crate::OpenError;

/// The collection of all documents.
const DOCUMENTS: &str = "documents";

/// The index that scans go along: its entries stay where they are while documents are replaced.
pub(super) const SCANS: &str = "path_1";

/// The index that polls read, and nothing else.
pub(super) const POLLS: &str = "path_1_revision_1";

/// How many connections there are where the connection string does not say.
const CONNECTIONS: u32 = 80;

/// How often servers are asked how they are, where the connection string does not say.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long it may take to reach a server and to make what is needed; finding out what is wrong comes on top.
const LONGEST: Duration = Duration::from_secs(8);

/// A server that was reached.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) documents: Collection<Document>,
    pub(super) connections: usize,
    pub(super) topology: Topology,
    pub(super) fenced: bool,
    /// Tells this database from all others.
    pub(super) id: String,
}

/// What kind of deployment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// One server: no change streams, and reads that are linearizable as they are.
    Standalone,
    /// A replica set.
    ReplicaSet,
    /// A sharded cluster.
    Sharded,
}

/// What is acknowledged is in the journals of a majority.
///
/// The server gives up a little before a request does, so that its connection can be used further.
pub(super) fn durable(config: &MongoConfig) -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(config.attempt * 4 / 5).build()
}

/// The same, as a command says it.
pub(super) fn durable_document(config: &MongoConfig) -> Document {
    let most = i64::try_from((config.attempt * 4 / 5).as_millis()).unwrap_or(i64::MAX);
    doc! { "w": "majority", "j": true, "wtimeout": most }
}

pub(super) async fn connect(
    config: &MongoConfig,
    observer: Option<EventHandler<CommandEvent>>,
) -> Result<Connected, OpenError> {
    let failed = |problem| OpenError::MongoDb { place: config.shown.clone(), source: Box::new(problem) };
    let options = options(config).await.map_err(failed)?;
    let watcher = Watcher::default();
    let mut watched = options.clone();
    watcher.watch(&mut watched);
    watched.command_event_handler = observer;
    let client = Client::with_options(watched);
    let client = client.map_err(|error| failed(refused(config, &options, &error, "connect")))?;
    let reached = tokio::time::timeout(LONGEST, reach(config, &options, client.clone())).await;
    let problem = match reached {
        Ok(Ok(connected)) => return Ok(connected),
        Ok(Err(Failed::Problem(problem))) => problem,
        Ok(Err(Failed::Driver(error, what))) => match &*error.kind {
            ErrorKind::ServerSelection { .. } | ErrorKind::Io(_) => {
                diagnosis::no_server(&watcher, &options, &error).await
            }
            _ => refused(config, &options, &error, what),
        },
        Err(_) => MongoProblem::Silent { host: hosts(&options) },
    };
    client.shutdown().immediate(true).await;
    Err(failed(problem))
}

/// All hosts, for messages.
pub(super) fn hosts(options: &ClientOptions) -> String {
    options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Why a server was not reached.
pub(super) enum Failed {
    /// What the server is.
    Problem(MongoProblem),
    /// The driver's own failure, and what was being done.
    Driver(MongoError, &'static str),
}

/// The connection string as the driver reads it, with our defaults, after a look at the files that it names.
async fn options(config: &MongoConfig) -> Result<ClientOptions, MongoProblem> {
    let parsed = tokio::time::timeout(LONGEST, ClientOptions::parse(config.uri.as_str())).await;
    let parsed = parsed.map_err(|_| MongoProblem::NoRecords { reason: "no answer in time".to_owned() })?;
    let mut options = parsed.map_err(|error| match &*error.kind {
        ErrorKind::DnsResolve { .. } => MongoProblem::NoRecords { reason: short(&error.kind) },
        _ => MongoProblem::Other { reason: short(&error.kind) },
    })?;
    check_options(&options)?;
    if let Some(Tls::Enabled(tls)) = &options.tls {
        if let Some(path) = &tls.ca_file_path {
            check_file("tlsCAFile", path, false).await?;
        }
        if let Some(path) = &tls.cert_key_file_path {
            check_file("tlsCertificateKeyFile", path, true).await?;
        }
    }
    options.app_name.get_or_insert_with(|| "dcm".to_owned());
    // A request that finds no server must say so before it is given up: then it is known that nothing was sent.
    let most = config.attempt * 4 / 5;
    options.server_selection_timeout = Some(options.server_selection_timeout.map_or(most, |given| given.min(most)));
    options.connect_timeout = Some(options.connect_timeout.map_or(most, |given| given.min(most)));
    options.max_pool_size.get_or_insert(CONNECTIONS);
    // The store repeats its writes itself: only so it knows that it did.
    options.retry_writes = Some(false);
    // After "not the primary" the driver waits for the next of these before it asks anybody again.
    options.heartbeat_freq.get_or_insert(HEARTBEAT);
    Ok(options)
}

/// What a record of the name service adds to the connection string.
fn check_options(options: &ClientOptions) -> Result<(), MongoProblem> {
    if options.load_balanced == Some(true) { Err(MongoProblem::LoadBalanced) } else { Ok(()) }
}

/// The driver passes over what it cannot read in such a file, and says nothing.
async fn check_file(option: &'static str, path: &Path, with_key: bool) -> Result<(), MongoProblem> {
    let problem = |reason: String| MongoProblem::File { option, path: path.display().to_string(), reason };
    let pem = zeroize::Zeroizing::new(tokio::fs::read(path).await.map_err(|error| problem(error.to_string()))?);
    let certificates: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(some) if !some.is_empty() => {}
        _ => return Err(problem("it must hold a certificate in PEM form".to_owned())),
    }
    if with_key && PrivateKeyDer::from_pem_slice(&pem).is_err() {
        return Err(problem(
            "it must hold a private key without a password in PEM form, besides the certificate".to_owned(),
        ));
    }
    Ok(())
}

/// Asks the server who it is, makes the indexes, and does once what calls will do.
async fn reach(config: &MongoConfig, options: &ClientOptions, client: Client) -> Result<Connected, Failed> {
    let during = |what| move |error| Failed::Driver(error, what);
    let database = client.database(&config.database);
    let hello = database.run_command(doc! { "hello": 1 }).await.map_err(during("connect"))?;
    let topology = check_hello(&hello, options).map_err(Failed::Problem)?;
    if config.existing {
        // Fails before anything is made.
        meta::id(&database, config).await?;
    }
    let settings = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(durable(config))
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build();
    let documents: Collection<Document> = database.collection_with_options(DOCUMENTS, settings);
    check_collation(&database).await?;
    make_indexes(&documents).await.map_err(|(index, error)| another_index(index, error))?;
    documents.find_one(doc! { "_id": "" }).await.map_err(during("read"))?;
    // Both change nothing, and are acknowledged as durably as a change.
    let nothing = doc! { "_id": "", "revision": "" };
    documents.replace_one(nothing.clone(), doc! { "revision": "" }).await.map_err(during("change documents"))?;
    documents.delete_one(nothing).await.map_err(during("delete documents"))?;
    let id = meta::id(&database, config).await?;
    let connections = options.max_pool_size.unwrap_or(CONNECTIONS) as usize;
    // A server that is alone has sessions, and knows no numbers of writes in them.
    let fenced = topology != Topology::Standalone && hello.contains_key("logicalSessionTimeoutMinutes");
    Ok(Connected { client, documents, connections, topology, fenced, id })
}

/// Makes the indexes that are missing, or says which could not be made.
pub(super) async fn make_indexes(documents: &Collection<Document>) -> Result<(), (&'static str, MongoError)> {
    for (name, keys) in [(SCANS, doc! { "path": 1 }), (POLLS, doc! { "path": 1, "revision": 1 })] {
        let options = IndexOptions::builder().name(name.to_owned()).build();
        let index = IndexModel::builder().keys(keys).options(options).build();
        documents.create_index(index).await.map_err(|error| (name, error))?;
    }
    Ok(())
}

/// Why an index could not be made.
fn another_index(index: &'static str, error: MongoError) -> Failed {
    match &*error.kind {
        ErrorKind::Command(command) if [85, 86].contains(&command.code) => {
            let reason = short(&command.message);
            Failed::Problem(MongoProblem::Index { collection: DOCUMENTS, index, reason })
        }
        _ => Failed::Driver(error, "make indexes"),
    }
}

/// Strings must be compared byte by byte: a collation knows keys as the same that are not, and another order.
async fn check_collation(database: &Database) -> Result<(), Failed> {
    let list = doc! { "listCollections": 1, "filter": { "name": DOCUMENTS } };
    match database.run_command(list).await {
        Ok(listed) => match collation(&listed) {
            Some(locale) => Err(Failed::Problem(MongoProblem::Collation { collection: DOCUMENTS, locale })),
            None => Ok(()),
        },
        // Who was given less than readWrite need not be able to look: DCM itself makes no such collection.
        Err(error) if failure::is_forbidden(&error) => Ok(()),
        Err(error) => Err(Failed::Driver(error, "list collections")),
    }
}

/// The locale of a listed collection's collation.
fn collation(listed: &Document) -> Option<String> {
    let batch = listed.get_document("cursor").ok()?.get_array("firstBatch").ok()?;
    let collation = batch.first()?.as_document()?.get_document("options").ok()?.get_document("collation").ok()?;
    let locale = collation.get_str("locale").unwrap_or_default();
    (locale != "simple").then(|| locale.to_owned())
}

fn check_hello(hello: &Document, options: &ClientOptions) -> Result<Topology, MongoProblem> {
    let found = hello.get_str("setName").ok();
    let writable = hello.get_bool("isWritablePrimary").or_else(|_| hello.get_bool("ismaster")).unwrap_or(true);
    match (&options.repl_set_name, found) {
        (Some(wanted), Some(found)) if wanted != found => {
            let (found, wanted) = (found.to_owned(), wanted.clone());
            return Err(MongoProblem::OtherReplicaSet { host: hosts(options), found, wanted });
        }
        (Some(wanted), None) => {
            return Err(MongoProblem::NoReplicaSet { host: hosts(options), wanted: wanted.clone() });
        }
        _ => {}
    }
    if hello.get_bool("isreplicaset").unwrap_or(false) || (!writable && found.is_none()) {
        return Err(MongoProblem::NotReady { host: hosts(options) });
    }
    if !writable {
        return Err(MongoProblem::NotPrimary { host: hosts(options) });
    }
    Ok(if found.is_some() {
        Topology::ReplicaSet
    } else if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        Topology::Sharded
    } else {
        Topology::Standalone
    })
}

/// What a server means that was reached and refused.
fn refused(config: &MongoConfig, options: &ClientOptions, error: &MongoError, what: &'static str) -> MongoProblem {
    let reason = failure::told(error).to_string();
    let code = match &*error.kind {
        ErrorKind::Authentication { .. } => return MongoProblem::Login,
        ErrorKind::InvalidTlsConfig { .. } => {
            let path = match &options.tls {
                Some(Tls::Enabled(tls)) => tls.cert_key_file_path.as_ref().or(tls.ca_file_path.as_ref()),
                _ => None,
            };
            let path = path.map(|path| path.display().to_string()).unwrap_or_default();
            return MongoProblem::File { option: "tlsCertificateKeyFile", path, reason: short(&error.kind) };
        }
        ErrorKind::Command(command) => command.code,
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => return MongoProblem::NotDurable { reason },
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code,
        _ => 0,
    };
    match code {
        18 => MongoProblem::Login,
        13 if options.credential.is_none() => MongoProblem::NoLogin,
        13 => MongoProblem::Rights { what, database: config.database.clone() },
        10_107 | 13_435 | 10_058 => MongoProblem::NotPrimary { host: hosts(options) },
        64 | 79 | 100 => MongoProblem::NotDurable { reason },
        _ => MongoProblem::Other { reason: format!("the server did not let DCM {what}: {reason}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_is_refused_wherever_it_is_asked_for() {
        let mut options = ClientOptions::default();
        assert_eq!(check_options(&options), Ok(()));
        options.load_balanced = Some(false);
        assert_eq!(check_options(&options), Ok(()));
        options.load_balanced = Some(true);
        assert_eq!(check_options(&options), Err(MongoProblem::LoadBalanced));
    }
}
