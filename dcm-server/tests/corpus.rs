//! Everything in the corpora of `fuzz/`, once: what was found there stays mended. Needs the feature `fuzzing`.

#![allow(missing_docs, unreachable_pub, reason = "a test")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails loudly, and says with which input")]

use std::{fs, path::Path, time::Instant};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Runs every input of a target's corpus.
fn replay(name: &str) {
    let (_, run) = targets::TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let mut inputs: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in &inputs {
        // Told only where it fails.
        println!("{}", input.display());
        let started = Instant::now();
        run(&fs::read(input).unwrap());
        assert!(started.elapsed().as_secs() < 20, "it takes too long");
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

replays! { bodies credentials documents keys kubeconfigs names quantities queries }
