//! What a million documents cost beside a thousand: `cargo bench -p dcm-store --bench scale [-- --quick]`.
//!
//! The documents of each round are alike but for how many lie beside them. Both sizes are measured in turn, several
//! times; the table shows medians. They lie as DCM's do: all under one prefix, as a project's logical clouds, and by
//! the hundred under ten thousand, as clusters' statuses. A process of its own fills the large store of sled, so that
//! it can be killed, or closed, with all that it wrote still to be replayed.
//!
//! `--quick` takes 100,000 for a million, to try the program itself.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it finds, and has nothing to say when it fails"
)]

mod documents;
mod measure;
mod opening;

use std::{path::Path, sync::Arc};

use dcm_core::store::Store;
use dcm_store::{Config, SledConfig, memory::MemoryStore};
use tokio::runtime::Runtime;

use documents::Shape;

const SMALL: u64 = 1_000;
const LARGE: u64 = 1_000_000;
const QUICK: u64 = 100_000;

/// A cache that holds all of a million documents.
const ENOUGH: u64 = 4 * 1024 * 1024 * 1024;

/// A server of MongoDB's protocol writes a thousand or so in a second.
#[cfg(feature = "mongodb")]
const LARGE_ON_MONGODB: u64 = 20_000;

fn main() {
    let runtime = Runtime::new().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [opening::FILL, path, shape, count] => {
            opening::fill_and_wait(&runtime, path, Shape::named(shape), count.parse().unwrap());
        }
        [opening::OPEN, path] => opening::open_and_tell(&runtime, path),
        [] => compare(&runtime, LARGE),
        ["--quick"] => compare(&runtime, QUICK),
        _ => println!("give --quick, or nothing"),
    }
}

fn compare(runtime: &Runtime, large: u64) {
    for (shape, killed) in [(Shape::Flat, true), (Shape::Spread, false)] {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        println!("\nsled, {}", shape.in_words(large));
        opening::measure(place.path(), shape, large, killed);
        let default = SledConfig::new("").cache_bytes;
        let few = sled(runtime, &place.path().join("few"), default);
        runtime.block_on(documents::fill(&few, shape, SMALL));
        for cache in [default, ENOUGH] {
            let many = sled(runtime, &place.path().join("many"), cache);
            println!("with {} MiB of cache for the many:", cache / 1024 / 1024);
            if cache == ENOUGH {
                runtime.block_on(documents::read_all(&many));
            }
            measure::table(runtime, shape, (&few, SMALL), (&many, large));
        }
        drop(few);
        println!("\nmemory, {}", shape.in_words(large));
        let [few, many]: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
        runtime.block_on(async {
            documents::fill(&few, shape, SMALL).await;
            documents::fill(&many, shape, large).await;
        });
        measure::table(runtime, shape, (&few, SMALL), (&many, large));
    }
    #[cfg(feature = "mongodb")]
    on_mongodb(runtime);
}

fn sled(runtime: &Runtime, path: &Path, cache: u64) -> Arc<dyn Store> {
    let mut config = SledConfig::new(path);
    config.cache_bytes = cache;
    runtime.block_on(dcm_store::open(Config::Sled(config))).unwrap()
}

/// The same on the server that the tests use, with fewer documents. One that walks a whole range for one page of it
/// cannot show what a page costs: the ratio then is that of the ranges.
#[cfg(feature = "mongodb")]
fn on_mongodb(runtime: &Runtime) {
    let what = "a page and a GET out of many documents on MongoDB";
    let Some(few) = dcm_test_utils::mongodb::fresh_database(what) else { return };
    let Some(many) = dcm_test_utils::mongodb::fresh_database(what) else { return };
    let open = |uri: String| runtime.block_on(dcm_store::open(uri.parse().unwrap())).unwrap();
    let (few, many) = (open(few), open(many));
    for shape in [Shape::Spread, Shape::Flat] {
        println!("\nMongoDB, {}", shape.in_words(LARGE_ON_MONGODB));
        runtime.block_on(async {
            documents::fill(&few, shape, SMALL).await;
            documents::fill(&many, shape, LARGE_ON_MONGODB).await;
        });
        measure::table(runtime, shape, (&few, SMALL), (&many, LARGE_ON_MONGODB));
    }
}
