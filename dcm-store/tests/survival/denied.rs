//! Files that may not be read or written: the error says what to do, and who may again finds everything.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use dcm_core::store::Precondition;

use super::{child, document, key, open, skip};

/// Takes the right away with which root passes all bounds; others have none to lose.
const PLAIN: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

/// Makes the directory that follows read-only for the program behind it.
const READ_ONLY: [&str; 5] =
    ["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\""];

async fn one_document(place: &Path) {
    let put = open(place).await.put(&key("denied/one"), document(0, 0, 10), Precondition::Absent).await;
    put.expect("a write");
}

/// What a process says that tries to open the store, started by this program.
fn attempt(place: &Path, through: &[&str]) -> String {
    let output = child::command("try", place, through).output().expect("the child starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether programs can be started so.
fn works(through: &[&str]) -> bool {
    let tried = Command::new(through[0]).args(&through[1..]).arg("true").output();
    tried.is_ok_and(|output| output.status.success())
}

async fn check(part: &str, mode: u32) {
    if !works(&PLAIN) {
        return skip("setpriv cannot take rights away here", "files without permission");
    }
    let place = tempfile::tempdir().expect("a directory");
    let store = place.path().join("store");
    one_document(&store).await;
    let at = store.join(part);
    let before = fs::metadata(&at).expect("it is there").permissions();
    fs::set_permissions(&at, Permissions::from_mode(mode)).expect("its mode is set");
    let said = attempt(&store, &PLAIN);
    fs::set_permissions(&at, before).expect("its mode is set");
    let advice = "must belong to the user that runs this process, readable and writable";
    assert!(said.contains("refused no permission for the store in") && said.contains(advice), "{said}");
    assert!(attempt(&store, &PLAIN).contains("opened"), "with permission again");
}

#[tokio::test]
async fn a_directory_without_permission_is_told() {
    check("", 0o000).await;
}

#[tokio::test]
async fn a_directory_that_may_only_be_read_is_told() {
    check("", 0o500).await;
}

#[tokio::test]
async fn a_log_without_permission_is_told() {
    check("db", 0o000).await;
}

#[tokio::test]
async fn a_log_that_may_only_be_read_is_told() {
    check("db", 0o400).await;
}

#[tokio::test]
async fn a_file_system_that_may_only_be_read_is_told() {
    let place = tempfile::tempdir().expect("a directory");
    let store = place.path().join("store");
    one_document(&store).await;
    let path = store.to_string_lossy();
    let through: Vec<&str> = READ_ONLY.into_iter().chain([&*path]).collect();
    if !works(&through) {
        return skip("nothing may be mounted here", "a file system that may only be read");
    }
    let said = attempt(&store, &through);
    assert!(said.contains("check the disk and the path") && said.contains("Read-only"), "{said}");
    assert!(attempt(&store, &["env"]).contains("opened"), "when it may be written again");
}
