//! A disk that takes no more, played by a limit on the size of files.

use std::process::Command;

use super::{child, document, key, open};

/// How many bytes each document has.
pub(crate) const SIZE: usize = 100_000;

#[tokio::test]
async fn a_full_disk_fails_writes_honestly_and_loses_nothing_that_was_acknowledged() {
    let place = tempfile::tempdir().expect("a directory");
    // With the signal ignored, a write beyond the limit is an error. dash counts in blocks of 512 bytes, bash
    // in such of 1024: 8 or 16 MiB.
    let shell = "trap '' XFSZ; ulimit -f 16384; exec \"$0\" \"$@\"";
    let mut child: Command = child::command("full", place.path(), &["sh", "-c", shell]);
    let output = child.output().expect("the child starts");
    let lines = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{lines}\n{errors}");
    let done = lines.lines().filter(|line| line.starts_with("done ")).count() as u64;
    assert!(lines.contains(&format!("full {done}")), "{lines}");
    assert!(done > 10, "only {done} documents had room");
    let store = open(place.path()).await;
    for n in 0..done {
        let read = store.get(&key(&format!("full/{n}"))).await.expect("a read");
        assert_eq!(read.map(|d| d.body), Some(document(0, n, SIZE)), "document {n}");
    }
    let put = dcm_core::store::Precondition::Absent;
    let put = store.put(&key("full/again"), document(0, 0, SIZE), put).await;
    put.expect("there is room again");
}
