//! Power loss: an acknowledgement comes after an `fdatasync` of the file that holds the data. Seen by strace.

use std::{collections::HashMap, path::Path, process::Command};

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
    let trace = place.path().join("trace");
    let store = place.path().join("store");
    let calls = "trace=write,pwrite64,fdatasync,openat,rename";
    let trace_path = trace.to_string_lossy();
    let through = ["strace", "-f", "-y", "-s", "32", "-e", calls, "-o", &*trace_path];
    let output = child::command("power", &store, &through).output();
    let output = output.expect("strace starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("ptrace") && errors.contains("not permitted") {
        return skip("strace may not trace here", UNSEEN);
    }
    assert!(output.status.success(), "{errors}");
    let text = std::fs::read_to_string(&trace).expect("the trace");
    check(&text, &store.join("db"));
}

fn check(trace: &str, log: &Path) {
    let log = format!("<{}>", log.display());
    let mut acknowledged = 0;
    // Since the last acknowledgement: bytes written to the log, of those the ones that were there when the
    // newest finished sync began.
    let mut written = 0;
    let mut synced = 0;
    let mut running: HashMap<&str, (&str, usize)> = HashMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(char::is_whitespace).expect("a thread");
        let call = call.trim_start();
        assert!(!(call.contains("/blobs/") && call.contains("O_CREAT")), "sled does not sync this file: {line}");
        if call.starts_with("write(1<") && call.contains("done ") {
            let least = SIZES[acknowledged];
            assert!(
                synced >= least,
                "document {acknowledged} of {least} bytes: {written} were written, {synced} synced"
            );
            acknowledged += 1;
            (written, synced) = (0, 0);
            continue;
        }
        // A call that others interrupt stands in two lines: its beginning and its result.
        let (begun, at_begin) = match call.strip_prefix("<... ") {
            Some(_) => running.remove(thread).unwrap_or(("", 0)),
            None => (call, written),
        };
        if call.ends_with("<unfinished ...>") {
            running.insert(thread, (call, written));
            continue;
        }
        let result = call.rsplit_once(" = ").map_or("", |(_, result)| result);
        if !begun.contains(&log) {
            continue;
        }
        if begun.starts_with("pwrite64(") {
            written += result.parse::<usize>().expect("a number of bytes");
        } else if begun.starts_with("fdatasync(") && result == "0" {
            synced = synced.max(at_begin);
        }
    }
    assert_eq!(acknowledged, SIZES.len());
}

#[test]
#[should_panic(expected = "0 synced")]
fn a_trace_in_which_the_sync_comes_too_early_is_recognised() {
    let trace = "7 fdatasync(9</x/db>) = 0\n\
        8 pwrite64(9</x/db>, \"\"..., 100, 0) = 100\n\
        7 write(1<pipe:[1]>, \"\\ndone 0\\n\", 8) = 8\n";
    check(trace, Path::new("/x/db"));
}

#[test]
#[should_panic(expected = "0 synced")]
fn a_trace_in_which_the_sync_begins_before_the_data_are_written_is_recognised() {
    let trace = "7 fdatasync(9</x/db> <unfinished ...>\n\
        8 pwrite64(9</x/db>, \"\"..., 100, 0) = 100\n\
        7 <... fdatasync resumed>) = 0\n\
        7 write(1<pipe:[1]>, \"\\ndone 0\\n\", 8) = 8\n";
    check(trace, Path::new("/x/db"));
}
