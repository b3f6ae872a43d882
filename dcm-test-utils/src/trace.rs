//! Judging by an `strace` of a writer whether what it acknowledged was synced before.
//!
//! The trace is one of `strace -f -y`, with the calls [`CALLS`].

#![allow(clippy::expect_used, clippy::panic, reason = "what is not as promised ends its test")]

use std::{collections::HashMap, path::Path};

/// The calls that a trace must have, beside those that acknowledge.
pub const CALLS: &str = "pwrite64,fdatasync,openat,rename";

/// Checks that each acknowledgement comes after an `fdatasync` of the log that began when all of the document had been
/// written to it. `sizes` are those of the documents in the order in which they are acknowledged; `acknowledges` knows a
/// call that does so.
///
/// # Panics
/// Where that is not so, where data go to a file that sled never syncs, or where there are too few acknowledgements.
pub fn check(trace: &str, log: &Path, sizes: &[usize], acknowledges: impl Fn(&str) -> bool) {
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
        if acknowledges(call) && acknowledged < sizes.len() {
            let least = sizes[acknowledged];
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
    assert_eq!(acknowledged, sizes.len(), "so many documents were acknowledged");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(trace: &str) {
        check(trace, Path::new("/x/db"), &[100], |call| call.contains("done 0"));
    }

    #[test]
    fn a_sync_between_the_data_and_the_answer_is_recognised() {
        judge(
            "8 pwrite64(9</x/db>, \"\"..., 100, 0) = 100\n\
             7 fdatasync(9</x/db>) = 0\n\
             7 write(1<pipe:[1]>, \"\\ndone 0\\n\", 8) = 8\n",
        );
    }

    #[test]
    #[should_panic(expected = "0 synced")]
    fn a_trace_in_which_the_sync_comes_too_early_is_recognised() {
        judge(
            "7 fdatasync(9</x/db>) = 0\n\
             8 pwrite64(9</x/db>, \"\"..., 100, 0) = 100\n\
             7 write(1<pipe:[1]>, \"\\ndone 0\\n\", 8) = 8\n",
        );
    }

    #[test]
    #[should_panic(expected = "0 synced")]
    fn a_trace_in_which_the_sync_begins_before_the_data_are_written_is_recognised() {
        judge(
            "7 fdatasync(9</x/db> <unfinished ...>\n\
             8 pwrite64(9</x/db>, \"\"..., 100, 0) = 100\n\
             7 <... fdatasync resumed>) = 0\n\
             7 write(1<pipe:[1]>, \"\\ndone 0\\n\", 8) = 8\n",
        );
    }
}
