//! What holds keys and credentials.

use dcm_core::{
    ca::Generation,
    model::{
        CaRecord, CaRoot, CertificateAuthority, Credential, ForgottenCa, IntermediateCa, PendingForget, Proof, Renewal,
    },
};

use super::{holds, holds_as, name, sealed, time, uid};

fn root(generation: u32) -> CaRoot {
    CaRoot {
        generation: Generation::new(generation).unwrap(),
        certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        key: sealed(),
        not_before: time(),
        not_after: time(),
    }
}

#[test]
fn certificate_authority_keeps_its_shape() {
    let authority = |root: CaRoot| CertificateAuthority {
        cloud: uid(3),
        project: name("walmart"),
        name: name("lc-1"),
        trust_domain: name("lc-1.walmart.example"),
        latest: root.generation,
        root,
        next: None,
        previous: None,
    };
    holds(&authority(root(1)));
    holds_as(&CertificateAuthority { next: Some(root(2)), latest: root(2).generation, ..authority(root(1)) }, ".next");
    holds_as(&CertificateAuthority { previous: Some(root(1)), ..authority(root(2)) }, ".previous");
    // What the CA itself reads, whichever of both it is.
    holds(&CaRecord::Kept(Box::new(authority(root(1)))));
    holds_as(&CaRecord::Forgotten(ForgottenCa { cloud: uid(3), forgotten_at: time() }), ".forgotten");
}

#[test]
fn pending_forget_keeps_its_shape() {
    holds(&PendingForget { cloud: uid(3), since: time() });
}

#[test]
fn intermediate_ca_keeps_its_shape() {
    let issued = IntermediateCa {
        cloud: uid(3),
        cluster: name("7c0f"),
        generation: Generation::new(2).unwrap(),
        root_generation: Generation::FIRST,
        key_digest: "00ff".to_owned(),
        certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        serial: "4a00ff".to_owned(),
        not_before: time(),
        not_after: time(),
        issued_at: time(),
        revoked_at: None,
    };
    holds(&issued);
    holds_as(&IntermediateCa { revoked_at: Some(time()), ..issued }, ".revoked");
}

#[test]
fn credential_keeps_its_shape() {
    holds(&Credential {
        cloud: uid(3),
        cluster_identity: "7c0f".to_owned(),
        name_there: "dcm:walmart:lc-1:user-1:abcdefghijklmnop".to_owned(),
        proof: Proof::Certificate {
            key: sealed(),
            csr: "-----BEGIN CERTIFICATE REQUEST-----".to_owned(),
            certificate: "-----BEGIN CERTIFICATE-----".to_owned(),
        },
        not_before: time(),
        not_after: time(),
        renew_at: None,
        kubeconfig_of: "00ff".to_owned(),
        kubeconfig: sealed(),
    });
    holds_as(
        &Credential {
            cloud: uid(3),
            cluster_identity: "7c0f".to_owned(),
            name_there: "dcm-user-abcdefghijklmnop".to_owned(),
            proof: Proof::Token { token: sealed(), account_uid: "uid-1".to_owned() },
            not_before: time(),
            not_after: time(),
            renew_at: Some(time()),
            kubeconfig_of: "00ff".to_owned(),
            kubeconfig: sealed(),
        },
        ".token",
    );
}

#[test]
fn renewal_keeps_its_shape() {
    holds(&Renewal {
        at: time(),
        cloud: "logical-cloud/p/lc-1".parse().unwrap(),
        cloud_uid: uid(3),
        reference: name("lc-cl-1"),
    });
}
