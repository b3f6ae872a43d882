//! One chain and what is wrong with others, judged by three stacks: rustls-webpki, OpenSSL and Go.

use std::{path::Path, process::Command, sync::Arc};

use dcm_core::{
    ca::{CaProvider, Intermediate},
    store::Store,
};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::{
    ca::{
        judge::{after, ca_below, certificates, soon, trusts, workload},
        requester::{Key, cloud},
    },
    environment,
};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;

use crate::{
    conformance::open_on,
    openssl::{OpenSsl, openssl, pem},
};

/// A leaf that is shown with what is between, to somebody who trusts a bundle, at a time.
struct Case {
    what: &'static str,
    bundle: Intermediate,
    between: Vec<CertificateDer<'static>>,
    leaf: CertificateDer<'static>,
    at: Timestamp,
    good: bool,
}

async fn cases() -> Vec<Case> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let ca = open_on(&store).await;
    let (one, other, key) = (cloud(), cloud(), Key::new());
    let issued = ca.issue_intermediate(&key.request(&one, "c1", 1)).await.unwrap();
    let others = ca.issue_intermediate(&Key::new().request(&other, "c1", 1)).await.unwrap();
    let between = certificates(&issued.certificate_pem);
    let (now, late) = (soon(&issued), after(issued.not_after, SignedDuration::from_hours(1)));
    let leaf = |at| workload(&issued, &key, one.trust_domain.as_str(), at);
    let [deep_leaf, deep_ca] = ca_below(&issued, &key, now);
    let case =
        |what, good| Case { what, bundle: issued.clone(), between: between.clone(), leaf: leaf(now), at: now, good };
    vec![
        case("at home", true),
        Case { bundle: others, ..case("another logical cloud's root", false) },
        Case { leaf: leaf(late), at: late, ..case("an intermediate that has run out", false) },
        Case { leaf: deep_leaf, between: [vec![deep_ca], between.clone()].concat(), ..case("too long a path", false) },
    ]
}

fn text(all: &[CertificateDer<'_>]) -> String {
    all.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

fn write(case: &Case, openssl: &OpenSsl) -> String {
    openssl.write("roots.pem", &case.bundle.bundle.pem());
    openssl.write("between.pem", &text(&case.between));
    openssl.write("leaf.pem", &text(std::slice::from_ref(&case.leaf)));
    case.at.as_second().to_string()
}

#[tokio::test]
async fn webpki_judges_as_it_should() {
    for case in cases().await {
        let judged = trusts(&case.bundle.bundle, &case.leaf, &case.between, case.at);
        assert_eq!(judged.is_ok(), case.good, "{}: {judged:?}", case.what);
    }
}

#[tokio::test]
async fn openssl_judges_as_it_should() {
    let Some(openssl) = openssl() else { return };
    for case in cases().await {
        let at = write(&case, &openssl);
        let judged = openssl.try_run(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-attime",
            &at,
            "-CAfile",
            "roots.pem",
            "-untrusted",
            "between.pem",
            "leaf.pem",
        ]);
        assert_eq!(judged.is_ok(), case.good, "{}: {judged:?}", case.what);
    }
}

#[tokio::test]
async fn go_judges_as_it_should() {
    let Some(files) = openssl() else { return };
    if Command::new("go").arg("version").output().is_err() {
        environment::skip("no go on PATH", "the verifier of Go programs");
        return;
    }
    let testbed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testbed");
    let program = files.path("chain");
    let built =
        Command::new("go").arg("build").arg("-o").arg(&program).arg("chain/main.go").current_dir(testbed).output();
    let built = built.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for case in cases().await {
        let at = write(&case, &files);
        let mut judge = Command::new(&program);
        judge.arg("-roots").arg(files.path("roots.pem")).arg("-between").arg(files.path("between.pem"));
        let judged = judge.args(["-at", &at]).arg(files.path("leaf.pem")).output().unwrap();
        let why = String::from_utf8_lossy(&judged.stderr);
        assert_eq!(judged.status.success(), case.good, "{}: {why}", case.what);
    }
}
