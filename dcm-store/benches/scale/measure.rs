//! GET and pages out of two sizes, in turn: by the processor time that they take, which others on the machine disturb
//! less, and by the clock.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dcm_core::store::{Scan, Store};
use tokio::runtime::Runtime;

use crate::documents::{CHILDREN, Shape, spread};

const ROUNDS: u64 = 7;
const ROUND: Duration = Duration::from_millis(400);
const PAGE: usize = 100;
const TARGET: f64 = 1.5;

/// How many documents, and pages, are asked for again and again.
const RECENT: u64 = 1_000;
const PAGES: u64 = 100;

/// What is asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// Any document, each as likely as any other one.
    Any,
    /// One of a thousand.
    Recent,
    /// The first page.
    First,
    /// One of a hundred pages.
    Lately,
    /// A page from somewhere.
    Middle,
}

impl Asked {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Recent, "GET, of 1,000 that are used"),
        (Self::First, "page of 100, the first"),
        (Self::Lately, "page, of 100 that are used"),
        (Self::Any, "GET, of all"),
        (Self::Middle, "page of 100, from anywhere"),
    ];

    /// Whether something is asked for that was asked for before. A document or page out of all, each as likely as any other
    /// one, is in no cache that is smaller than all of them, the processor's least of all: the table says so beside its ratio.
    const fn is_used(self) -> bool {
        !matches!(self, Self::Any | Self::Middle)
    }

    async fn once(self, store: &dyn Store, shape: Shape, chance: u64, count: u64) {
        match self {
            Self::Any => get(store, shape, chance % count).await,
            // Spread over all that there are: they lie on pages of their own.
            Self::Recent => get(store, shape, spread(chance % RECENT) % count).await,
            Self::First => page(store, shape, None, count).await,
            Self::Lately => page(store, shape, Some(spread(chance % PAGES) % count), count).await,
            Self::Middle => page(store, shape, Some(chance % count), count).await,
        }
    }
}

async fn get(store: &dyn Store, shape: Shape, n: u64) {
    assert!(store.get(&shape.key(n)).await.unwrap().is_some());
}

async fn page(store: &dyn Store, shape: Shape, from: Option<u64>, count: u64) {
    let (parent, after, there) = match (shape, from) {
        (_, None) => (shape.parent(0), None, PAGE),
        (Shape::Flat, Some(n)) => {
            let n = n % (count - PAGE as u64);
            (shape.parent(n), Some(shape.key(n)), PAGE)
        }
        // All children of one parent are one page.
        (Shape::Spread, Some(n)) => (shape.parent(n), None, CHILDREN as usize),
    };
    let found = store.scan(Scan::below(parent, PAGE).after(after)).await.unwrap();
    assert_eq!(found.len(), there);
}

/// Prints one row for everything that is asked for.
pub(crate) fn table(
    runtime: &Runtime,
    shape: Shape,
    (few, few_count): (&Arc<dyn Store>, u64),
    (many, many_count): (&Arc<dyn Store>, u64),
) {
    println!("µs each of processor time, and by the clock (median of {ROUNDS} rounds in turn)");
    println!(
        "{:<30} {few_count:>9} {many_count:>9} {:>6} {:>15} {many_count:>9} {:>6}",
        "", "ratio", few_count, "ratio"
    );
    for (asked, what) in Asked::ALL {
        let mut times = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for ((cpu, clock), (store, count)) in times.iter_mut().zip([(few, few_count), (many, many_count)]) {
                let (by_cpu, by_clock) = runtime.block_on(per_call(asked, &**store, shape, round, count));
                if round > 0 {
                    cpu.push(by_cpu);
                    clock.push(by_clock);
                }
            }
        }
        let [few, many] = times.map(|(cpu, clock)| (median(cpu), median(clock)));
        // Where the system tells no processor time, or another process does the work, only the clock counts.
        let ratio = if few.0 > few.1 / 10.0 { many.0 / few.0 } else { many.1 / few.1 };
        let verdict = if ratio <= TARGET { "PASS" } else { "BELOW" };
        let but = if asked.is_used() { "" } else { " (no cache helps)" };
        println!(
            "{what:<30} {:>9.2} {:>9.2} {:>6.2} {:>15.2} {:>9.2} {:>6.2}   target {TARGET}: {verdict}{but}",
            few.0,
            many.0,
            many.0 / few.0,
            few.1,
            many.1,
            many.1 / few.1
        );
    }
}

async fn per_call(asked: Asked, store: &dyn Store, shape: Shape, round: u64, count: u64) -> (f64, f64) {
    let (start, used, mut calls) = (Instant::now(), processor_time(), 0);
    while start.elapsed() < ROUND {
        asked.once(store, shape, spread((round << 40) + calls), count).await;
        calls += 1;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
    (each(processor_time().saturating_sub(used)), each(start.elapsed()))
}

/// The processor time that this thread has used, or nothing where the system does not say.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
