//! A store that another process has open.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{chain, child, skip, try_open};

/// Tries to open a store, and answers what was said.
pub(crate) async fn attempt(place: &Path) -> String {
    match try_open(place).await {
        Ok(_) => "opened".to_owned(),
        Err(error) => format!("refused {}", chain(&error)),
    }
}

/// A process that has the store open until it is killed.
fn holder(place: &Path) -> Child {
    let mut child = child::command("hold", place, &[]).stdout(Stdio::piped()).spawn().expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "ready")), "the child did not get ready");
    child
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_that_is_in_use_names_who_has_it_open() {
    let place = tempfile::tempdir().expect("a directory");
    let mut child = holder(place.path());
    let said = attempt(place.path()).await;
    let program = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).expect("its name");
    let expected = format!("{} (process {}) has it open; stop that one", program.trim_end(), child.id());
    child.kill().expect("kill");
    child.wait().expect("its end");
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains(&*place.path().to_string_lossy()), "{said}");
    assert_eq!(attempt(place.path()).await, "opened");
}

#[cfg(target_os = "linux")]
#[test]
fn who_has_it_open_is_left_out_where_it_cannot_be_known() {
    let apart = ["unshare", "--pid", "--fork", "--mount-proc"];
    let allowed = Command::new(apart[0]).args(&apart[1..]).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return skip("no processes may be set apart here", "a store that a process out of sight has open");
    }
    let place = tempfile::tempdir().expect("a directory");
    let mut child = holder(place.path());
    let output = child::command("try", place.path(), &apart).output().expect("the child starts");
    child.kill().expect("kill");
    child.wait().expect("its end");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("another dcm-server may have it open; stop that one"), "{said}");
}
