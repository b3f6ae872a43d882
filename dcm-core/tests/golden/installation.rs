//! What the installation as a whole has.

use dcm_core::{
    model::{Controller, Encryption, Installation, Member, Pass, PassPhase, Reservation, StoreOwner, Unreadable},
    transfer::{Mode, Unfinished},
};

use super::{holds, holds_as, metadata, name, sealed, time, uid};

#[test]
fn installation_keeps_its_shape() {
    let installation = Installation { id: uid(1), created_at: time(), canary: sealed(), owner: StoreOwner::Dcm };
    holds(&installation);
    holds_as(&Installation { owner: StoreOwner::Ca, ..installation }, ".ca");
}

#[test]
fn encryption_keeps_its_shape() {
    let in_use = ["0123456789abcdef".to_owned(), "fedcba9876543210".to_owned()];
    let record = Encryption { in_use: in_use[..1].iter().cloned().collect(), given_up: Vec::new(), pass: None };
    holds(&record);
    let pass = Pass {
        target: in_use[1].clone(),
        phase: PassPhase::ReEncrypting,
        position: Some("credential/u/lc-cl-1".parse().unwrap()),
        clean: false,
        looked_at: 100,
        total: Some(5000),
        reencrypted: 99,
        failed: 1,
        failures: vec![Unreadable {
            document: "cluster/u/c1".parse().unwrap(),
            reason: "it cannot be read".to_owned(),
        }],
        settled: false,
        started_at: time(),
        touched_at: time(),
    };
    let at_work = Encryption { in_use: in_use.clone().into(), given_up: Vec::new(), pass: Some(pass.clone()) };
    holds_as(&at_work, ".pass");
    let pass = Pass { settled: true, ..pass };
    let given_up = in_use[1..].to_vec();
    holds_as(&Encryption { given_up, pass: Some(pass), ..record }, ".given-up");
}

#[test]
fn controller_keeps_its_shape() {
    holds(&Controller {
        metadata: metadata("ca"),
        host: "dcm-ca.dcm.svc".to_owned(),
        port: 9078,
        controller_type: Some("action".to_owned()),
        priority: Some(1),
    });
}

#[test]
fn member_keeps_its_shape() {
    holds(&Member { id: uid(9), started_at: time(), lease_ms: 15_000, beat: 3 });
}

#[test]
fn reservation_keeps_its_shape() {
    holds(&Reservation {
        cloud: uid(3),
        project: name("walmart"),
        name: name("lc-1"),
        reference: name("lc-cl-1"),
        reference_uid: uid(6),
    });
}

#[test]
fn unfinished_import_keeps_its_shape() {
    let import = Unfinished { sha256: "00ff".to_owned(), mode: Mode::MergeKeeping, started_at: time(), run: None };
    holds(&import);
    holds_as(&Unfinished { run: Some(uid(1)), ..import }, ".run");
}
