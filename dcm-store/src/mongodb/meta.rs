//! What the database says of itself: the form of its documents, and an id that tells it from all others.

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
    options::{CollectionOptions, ReadConcern},
};

use super::{
    MongoConfig, MongoProblem,
    connect::{self, Failed},
    failure::{self, WriteFailed},
};
use crate::revision;

/// The collection of the one document about the database.
const META: &str = "meta";

/// That document's id.
const STORE: &str = "store";

/// How documents are laid out; a release reads its own form and those before.
const FORM: i64 = 1;

/// Reads the store's id, or makes one where the database is new and need not hold a store already.
pub(super) async fn id(database: &Database, config: &MongoConfig) -> Result<String, Failed> {
    let unreadable = || Failed::Problem(MongoProblem::NotAStore { database: config.database.clone() });
    let settings = CollectionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(connect::durable(config))
        .build();
    let meta: Collection<Document> = database.collection_with_options(META, settings);
    let read = async || {
        let found = meta.find_one(doc! { "_id": STORE }).max_time(config.attempt).await;
        found.map_err(|error| Failed::Driver(error, "read"))
    };
    let found = match read().await? {
        Some(found) => found,
        None if config.existing => {
            return Err(Failed::Problem(MongoProblem::Missing { database: config.database.clone() }));
        }
        None => {
            let id = revision::random();
            let made = doc! { "_id": STORE, "form": FORM, "id": id.as_str() };
            match meta.insert_one(&made).await {
                Ok(_) => made,
                // Another process opened the new database at the same time.
                Err(error) if matches!(failure::of_write(&error), WriteFailed::Duplicate) => {
                    read().await?.ok_or_else(unreadable)?
                }
                Err(error) => return Err(Failed::Driver(error, "insert documents")),
            }
        }
    };
    let form = found.get_i64("form").or_else(|_| found.get_i32("form").map(i64::from)).map_err(|_| unreadable())?;
    if form > FORM {
        let database = config.database.clone();
        return Err(Failed::Problem(MongoProblem::Newer { database, found: form, known: FORM }));
    }
    found.get_str("id").map(str::to_owned).map_err(|_| unreadable())
}
