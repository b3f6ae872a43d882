//! The page that describes the API, in a real browser.

use std::{path::PathBuf, process::Stdio, time::Duration};

use dcm_test_utils::environment;
use tokio::process::Command;

use crate::support::Dcm;

/// Programs that are a Chromium.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

fn browser() -> Option<PathBuf> {
    let path = environment::variable("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}

#[tokio::test]
async fn a_browser_that_reaches_nobody_else_shows_every_operation() {
    let Some(browser) = browser() else {
        return environment::skip("no Chromium on PATH", "install it to look at the page that describes the API");
    };
    let dcm = Dcm::start("memory", &[]).await;
    let profile = tempfile::tempdir().unwrap();
    let shown = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(dcm.url("/docs/"))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let shown = tokio::time::timeout(Duration::from_secs(120), shown).await.unwrap().unwrap();
    let page = String::from_utf8_lossy(&shown.stdout);
    for id in dcm.description().await.ids() {
        assert!(page.contains(&format!("-{id}\"")), "the page does not show {id}: {page:.2000}");
    }
    dcm.stop().await;
}
