//! An import that is killed or stopped while it writes.

use std::{
    io::Read as _,
    process::{Child, Stdio},
    time::Duration,
};

use dcm_test_utils::{mongodb, patience::until_so};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn spawn(options: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
    command.args(options).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Neither a server nor an export takes the store as it is.
#[track_caller]
fn is_refused(store: &str, key_file: &str) {
    let said = "an import into this store was not finished: run it again with the same file";
    fails(
        1,
        &["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", store, "--encryption-key-file", key_file],
        said,
    );
    fails(1, &["export", "--store", store], said);
}

/// A file with so many documents.
async fn exported(folder: &Path, documents: usize) -> String {
    let (from, file) = (sled(folder, "from"), folder.join("file").display().to_string());
    let store = opened(&from).await;
    fill(&*store, 0..documents, 2048).await;
    drop(store);
    succeeds(&["export", "--quiet", "--store", &from, "--output", &file]);
    file
}

/// Waits until the import writes into sled, which only it can have open: its files grow.
async fn writes_to_sled(import: &mut Child, data: &Path) {
    until_so(PATIENCE, "the import writes", async || {
        assert_eq!(import.try_wait().unwrap(), None, "it was over before it was seen");
        std::fs::metadata(data.join("db")).is_ok_and(|db| db.len() > 4 << 20)
    })
    .await;
}

/// Whether a document is there, as far as a store that is busy tells.
async fn is_there(store: &dyn Store, n: usize) -> bool {
    matches!(store.get(&key(n)).await, Ok(Some(_)))
}

fn signal(import: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &import.id().to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_sled_that_is_killed_keeps_servers_out_and_goes_on_when_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = exported(folder.path(), 30_000).await;
    let to = sled(folder.path(), "to");
    let mut import = spawn(&["import", "--store", &to, &file]);
    writes_to_sled(&mut import, &folder.path().join("to")).await;
    import.kill().unwrap();
    import.wait().unwrap();
    is_refused(&to, &path("key"));
    succeeds(&["import", "--store", &to, &file]);
    succeeds(&["export", "--store", &to, "--output", &path("again")]);
    assert!(lines(&path("again")) == lines(&file), "the two exports differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_mongodb_that_is_killed_keeps_servers_out_and_goes_on_when_run_again() {
    let Some(to) = mongodb::fresh_database("a killed import into MongoDB") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = exported(folder.path(), 1_200).await;
    let beside = opened(&to).await;
    let mut import = spawn(&["import", "--store", &to, &file]);
    until_so(PATIENCE, "the import writes", async || is_there(&*beside, 100).await).await;
    import.kill().unwrap();
    assert!(!import.wait().unwrap().success(), "it was over before it was killed");
    is_refused(&to, &path("key"));
    succeeds(&["import", "--store", &to, &file]);
    succeeds(&["export", "--store", &to, "--output", &path("again")]);
    assert!(lines(&path("again")) == lines(&file), "the two exports differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_mongodb_that_was_finished_by_another_run_says_so_and_brings_nothing_back() {
    let Some(to) = mongodb::fresh_database("two imports into MongoDB at once") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = exported(folder.path(), 1_200).await;
    let beside = opened(&to).await;
    let import = spawn(&["import", "--store", &to, &file]);
    until_so(PATIENCE, "the import writes", async || is_there(&*beside, 100).await).await;
    // It is held up in its first documents, and the operator takes it for dead.
    signal(&import, "-STOP");
    succeeds(&["import", "--store", &to, &file]);
    beside.remove(&key(1_150)).await.unwrap();
    signal(&import, "-CONT");
    let output = import.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("another import into this store goes on, or has just ended"), "{errors}");
    assert!(beside.get(&key(1_150)).await.unwrap().is_none(), "what was deleted came back");
    assert!(beside.get(&key(1_149)).await.unwrap().is_some(), "what another run wrote was taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_is_killed_goes_on_with_the_same_options_only() {
    let Some(to) = mongodb::fresh_database("a killed merge into MongoDB") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = exported(folder.path(), 1_200).await;
    let beside = opened(&to).await;
    // They differ from the file's.
    fill(&*beside, 0..10, 100).await;
    fails(1, &["import", "--store", &to, "--merge", &file], "10 documents of the store differ from the file's");
    let again = ["import", "--store", &to, "--merge", "--overwrite", &file];
    let mut import = spawn(&again);
    until_so(PATIENCE, "the import writes", async || is_there(&*beside, 100).await).await;
    import.kill().unwrap();
    assert!(!import.wait().unwrap().success(), "it was over before it was killed");
    is_refused(&to, &path("key"));
    let said = "the same file and --merge --overwrite, or empty the store";
    for other in [&["import", "--store", &to][..], &["import", "--store", &to, "--merge", "--keep-existing"]] {
        fails(1, &[other, &[&file]].concat(), said);
    }
    succeeds(&again);
    succeeds(&["export", "--store", &to, "--output", &path("again")]);
    assert!(lines(&path("again")) == lines(&file), "the two exports differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_stopped_says_what_it_leaves_behind() {
    let Some(to) = mongodb::fresh_database("an interrupted import into MongoDB") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = exported(folder.path(), 1_200).await;
    let beside = opened(&to).await;
    let import = spawn(&["import", "--store", &to, &file]);
    until_so(PATIENCE, "the import writes", async || is_there(&*beside, 100).await).await;
    signal(&import, "-INT");
    let output = import.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in ["stopped by SIGINT", "what was written is still there", "run the import again with the same file"] {
        assert!(errors.contains(part), "{errors}");
    }
    is_refused(&to, &folder.path().join("key").display().to_string());

    // Nothing was read yet, so nothing was written.
    let empty = sled(folder.path(), "empty");
    let mut import = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
    let import = import.args(["import", "--store", &empty, "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut import = import.spawn().unwrap();
    let signals = format!("/proc/{}/status", import.id());
    until_so(PATIENCE, "it listens to signals", async || {
        let status = std::fs::read_to_string(&signals).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() & 2 != 0
    })
    .await;
    let stdin = import.stdin.take();
    signal(&import, "-INT");
    let output = import.wait_with_output().unwrap();
    drop(stdin);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && errors.contains("the store is as it was before"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_nobody_reads_can_be_stopped_and_lets_go_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let from = sled(folder.path(), "from");
    let store = opened(&from).await;
    // Far more than a pipe takes.
    fill(&*store, 0..1_000, 4096).await;
    drop(store);
    for (signal, said) in [("-TERM", "stopped by SIGTERM"), ("-INT", "stopped by SIGINT")] {
        let mut export = Command::new(env!("CARGO_BIN_EXE_dcm-server"));
        let export = export.args(["export", "--store", &from]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut export = export.spawn().unwrap();
        let mut stdout = export.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        assert!(Command::new("kill").args([signal, &export.id().to_string()]).status().unwrap().success());
        until_so(PATIENCE, "it ends", async || export.try_wait().unwrap().is_some()).await;
        let output = export.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && errors.contains(said), "{errors}");
        assert!(errors.contains("what was written is no whole export"), "{errors}");
        drop(opened(&from).await);
        drop(stdout);
    }
}
