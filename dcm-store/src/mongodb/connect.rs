//! Reaching a server, and making what the store needs there.

use dcm_core::store::BoxError;
use mongodb::{
    Client, Collection, IndexModel,
    bson::{Document, doc},
    error::Error as MongoError,
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, IndexOptions, ReadConcern, SelectionCriteria, WriteConcern,
    },
};

use super::MongoConfig;
use crate::OpenError;

/// The collection of all documents.
const DOCUMENTS: &str = "documents";

/// The index that scans use.
pub(super) const PATHS: &str = "path_1_revision_1";

/// How many connections there are where the connection string does not say.
const CONNECTIONS: u32 = 64;

/// A server that was reached.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) documents: Collection<Document>,
    pub(super) connections: usize,
    pub(super) topology: Topology,
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
pub(super) fn durable(config: &MongoConfig) -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(config.attempt).build()
}

pub(super) async fn connect(config: &MongoConfig) -> Result<Connected, OpenError> {
    let failed =
        |error: MongoError| OpenError::Unreachable { place: config.shown.clone(), source: Box::new(error) as BoxError };
    let mut options = ClientOptions::parse(config.uri.as_str()).await.map_err(failed)?;
    options.app_name.get_or_insert_with(|| "dcm".to_owned());
    options.server_selection_timeout.get_or_insert(config.attempt);
    options.connect_timeout.get_or_insert(config.attempt);
    let connections = *options.max_pool_size.get_or_insert(CONNECTIONS);
    let client = Client::with_options(options).map_err(failed)?;
    let database = client.database(&config.database);
    let hello = database.run_command(doc! { "hello": 1 }).await.map_err(failed)?;
    let topology = if hello.contains_key("setName") {
        Topology::ReplicaSet
    } else if hello.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        Topology::Sharded
    } else {
        Topology::Standalone
    };
    let settings = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(durable(config))
        .selection_criteria(SelectionCriteria::ReadPreference(mongodb::options::ReadPreference::Primary))
        .build();
    let documents: Collection<Document> = database.collection_with_options(DOCUMENTS, settings);
    let index = IndexModel::builder()
        .keys(doc! { "path": 1, "revision": 1 })
        .options(IndexOptions::builder().name(PATHS.to_owned()).build())
        .build();
    documents.create_index(index).await.map_err(failed)?;
    Ok(Connected { client, documents, connections: connections as usize, topology })
}
