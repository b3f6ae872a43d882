//! Power loss: an acknowledgement comes after an `fdatasync` of the file that holds the data. Seen by strace.

use std::process::Command;

use dcm_test_utils::trace;

use super::{child, skip};

/// Documents of many sizes: some are split, some fill leaves, one is as large as it may be.
pub(crate) const SIZES: [usize; 9] = [100, 1 << 20, 10, 16_000, 60_000, 1 << 20, 300_000, 15 << 20, 100];

const UNSEEN: &str = "the order of write, sync and answer was not looked at";

#[test]
fn an_acknowledgement_follows_a_sync_of_the_file_that_holds_the_data() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("no strace on PATH", UNSEEN);
    }
    let place = tempfile::tempdir().expect("a directory");
    let output_path = place.path().join("trace");
    let store = place.path().join("store");
    let calls = format!("trace=write,{}", trace::CALLS);
    let trace_path = output_path.to_string_lossy();
    let through = ["strace", "-f", "-y", "-s", "32", "-e", &*calls, "-o", &*trace_path];
    let output = child::command("power", &store, &through).output();
    let output = output.expect("strace starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ptrace") && errors.contains("not permitted") {
        return skip("strace may not trace here", UNSEEN);
    }
    assert!(output.status.success(), "{errors}");
    let text = std::fs::read_to_string(&output_path).expect("the trace");
    trace::check(&text, &store.join("db"), &SIZES, |call| call.starts_with("write(1<") && call.contains("done "));
}
