//! Room on disks: what an export and an import give back, and a disk without room.

use dcm_test_utils::environment::skip;

use super::*;

/// How many bytes the files below a folder have.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_an_import_give_back_the_room_that_sled_keeps() {
    const KEPT: usize = 50;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file").display().to_string();
    let (old, new) = (sled(folder.path(), "old"), sled(folder.path(), "new"));
    let store = opened(&old).await;
    fill(&*store, 0..2_000, 32 * 1024).await;
    for n in KEPT..2_000 {
        let found = store.get(&key(n)).await.unwrap().unwrap();
        store.delete(&found.key, &found.revision).await.unwrap();
    }
    drop(store);
    succeeds(&["export", "--store", &old, "--output", &file]);
    succeeds(&["import", "--store", &new, &file]);
    assert_eq!(lines(&file).len(), KEPT);
    let (old, new) = (size(&folder.path().join("old")), size(&folder.path().join("new")));
    println!("{old} bytes became {new}");
    assert!(new * 2 <= old, "{old} bytes became {new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_onto_a_full_disk_is_told_and_leaves_no_file() {
    // Mounts a small file system that only this shell sees, and lists it at the end.
    const SCRIPT: &str =
        "mount -t tmpfs -o size=256k tmpfs \"$0\" || exit 77; \"$@\"; code=$?; ls -A \"$0\"; exit $code";
    let folder = tempfile::tempdir().unwrap();
    let (one, disk) = (sled(folder.path(), "one"), folder.path().join("disk"));
    std::fs::create_dir(&disk).unwrap();
    let store = opened(&one).await;
    fill(&*store, 0..100, 8 * 1024).await;
    drop(store);
    let file = disk.join("file");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT])
        .arg(&disk)
        .args([env!("CARGO_BIN_EXE_dcm-server"), "export", "--quiet", "--store", &one, "--output"])
        .arg(&file)
        .output();
    let output = match output {
        Ok(output) if output.status.code() != Some(77) => output,
        _ => return skip("nothing may be mounted here", "an export onto a full disk"),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("nothing was exported") && errors.contains("No space left on device"), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "something is left");

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut export = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
    let output = export.args(["export", "--store", &one]).stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("the export cannot be written: No space left on device"), "{errors}");
}
