//! Stored documents, as the first release writes them. A golden file is never edited: another shape is
//! another version, with an upgrade from this one and a file of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use dcm_core::{
    ca::Generation,
    lifecycle::{Action, ActionKind, AppliedPointer, Lifecycle, Phase},
    model::{
        AdoptionPolicy, Applied, AppliedReference, CaRoot, CertificateAuthority, Cluster, ClusterHealth,
        ClusterProvider, ClusterReference, ClusterStatus, ClusterUse, Connectivity, Controller, Credential,
        DeletePolicy, Drift, Encryption, Goal, Installation, IntermediateCa, KvPair, Level, LogicalCloud,
        LogicalCloudSpec, Member, MeshMode, Metadata, Order, Pass, PassPhase, PermissionScope, Project, Proof, Quota,
        ReferencePage, Renewal, Reservation, SecretKind, StoreOwner, Uid, Unreadable, User, UserPermission, UserType,
    },
    secret::Sealed,
    store::{Body, Key, Stored},
    sync::{Change, ChangeKind, Failure, InventoryItem, ObjectId, Part, PartState, Reason},
    transfer::{Mode, Unfinished},
};
use jiff::Timestamp;

/// The golden file must be read as this value, and this value be written as the golden file.
#[track_caller]
fn holds<T: Stored + PartialEq + Debug>(value: &T) {
    holds_as(value, "");
}

/// The same for another form of the same version: with fields that came later.
#[track_caller]
fn holds_as<T: Stored + PartialEq + Debug>(value: &T, form: &str) {
    let key: Key = "golden/file".parse().unwrap();
    let file = format!("tests/golden/{}.v{}{form}.json", T::KIND, T::VERSION);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let written: serde_json::Value = serde_json::from_slice(Body::write(&key, value).unwrap().as_bytes()).unwrap();
    let Ok(golden) = std::fs::read(&path) else {
        panic!("{} is missing; it should hold\n{written:#}", path.display());
    };
    assert_eq!(Body::from_json(golden.clone()).read::<T>(&key).unwrap(), *value, "{}", path.display());
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&golden).unwrap(), written, "{}", path.display());
}

fn uid(n: u8) -> Uid {
    Uid::from_random([n; 16])
}

fn time() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn sealed() -> Sealed {
    Sealed { key_id: "0123456789abcdef".to_owned(), nonce: vec![1; 12], ciphertext: vec![2; 20] }
}

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: Debug,
{
    text.parse().unwrap()
}

fn metadata<N: std::str::FromStr>(text: &str) -> Metadata<N>
where
    N::Err: Debug,
{
    Metadata { description: "a description".to_owned(), user_data1: "one".to_owned(), ..Metadata::named(name(text)) }
}

fn spec() -> LogicalCloudSpec {
    let permission = |permission: &str, scope| UserPermission {
        name: name(permission),
        api_groups: vec![String::new(), "apps".to_owned()],
        resources: vec!["pods".to_owned(), "deployments".to_owned()],
        verbs: vec!["get".to_owned(), "list".to_owned()],
        resource_names: vec!["only".to_owned()],
        scope,
    };
    LogicalCloudSpec {
        namespace: Some(name("ns-1")),
        level: Level::Standard,
        user: Some(User {
            user_name: name("user-1"),
            user_type: UserType::Certificate,
            permissions: vec![
                permission("p-1", PermissionScope::Own),
                permission("p-2", PermissionScope::Cluster),
                permission("p-3", PermissionScope::Namespace(name("shared"))),
            ],
        }),
        labels: BTreeMap::from([("example.org/team".to_owned(), "finance".to_owned())]),
        mesh: MeshMode::Auto,
        trust_domain: Some("lc-1.walmart.example".to_owned()),
        adoption_policy: AdoptionPolicy::IfIdentical,
        delete_policy: DeletePolicy::Keep,
    }
}

fn object() -> ObjectId {
    ObjectId {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "Role".to_owned(),
        namespace: Some("ns-1".to_owned()),
        name: "p-1".to_owned(),
    }
}

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
fn project_keeps_its_shape() {
    holds(&Project { uid: uid(1), metadata: metadata("walmart"), deleting: true });
}

#[test]
fn cluster_provider_keeps_its_shape() {
    holds(&ClusterProvider { uid: uid(1), metadata: metadata("cp-1"), deleting: false });
}

#[test]
fn cluster_keeps_its_shape() {
    holds(&Cluster {
        uid: uid(2),
        metadata: metadata("c1"),
        provider: name("cp-1"),
        labels: BTreeMap::from([("site".to_owned(), "edge-7".to_owned())]),
        server: "https://192.0.2.1:6443".to_owned(),
        kubeconfig: sealed(),
        ca_certificate: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        ca_key: Some(sealed()),
        istio_version: Some("1.28.0".to_owned()),
        registered_at: time(),
        deleting: false,
    });
}

#[test]
fn cluster_health_keeps_its_shape() {
    let health = ClusterHealth {
        connectivity: Connectivity::Unavailable,
        identity: Some("7c0f".to_owned()),
        version: Some("v1.36.3".to_owned()),
        reason: Some(Reason::Unreachable),
        detail: Some("connection refused".to_owned()),
        capabilities: BTreeMap::new(),
        checked_at: time(),
    };
    holds(&health);
    let lacks = BTreeMap::from([("core".to_owned(), vec!["delete namespaces".to_owned()])]);
    holds_as(&ClusterHealth { capabilities: lacks, ..health }, ".capabilities");
}

#[test]
fn cluster_use_keeps_its_shape() {
    holds(&ClusterUse {
        cloud: uid(3),
        project: name("walmart"),
        name: name("lc-1"),
        reference: name("lc-cl-1"),
        reference_uid: uid(6),
    });
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
fn logical_cloud_keeps_its_shape() {
    let cloud = LogicalCloud {
        uid: uid(3),
        project: name("walmart"),
        project_uid: uid(1),
        metadata: metadata("lc-1"),
        spec: spec(),
        edits: 4,
        credential_epoch: 1,
        lifecycle: Lifecycle {
            phase: Phase::Applied,
            applied_generation: 2,
            applied: Some(AppliedPointer {
                snapshot: uid(4),
                edits: 3,
                children: "00ff".to_owned(),
                digest: "ff00".to_owned(),
            }),
            order: Some(uid(5)),
            history: Vec::new(),
            actions: Vec::new(),
        },
        created_at: time(),
    };
    holds(&cloud);
    let lifecycle = Lifecycle { history: vec![uid(8), uid(9)], ..cloud.lifecycle.clone() };
    let remembered = LogicalCloud { lifecycle, ..cloud };
    holds_as(&remembered, ".history");
    let action = |number, kind, state| Action { kind, at: time(), number, state };
    let actions = vec![action(1, ActionKind::Applied, Some(uid(8))), action(2, ActionKind::Terminated, None)];
    let lifecycle = Lifecycle { actions, ..remembered.lifecycle.clone() };
    holds_as(&LogicalCloud { lifecycle, ..remembered }, ".actions");
}

#[test]
fn cluster_reference_keeps_its_shape() {
    holds(&ClusterReference {
        uid: uid(6),
        metadata: metadata("lc-cl-1"),
        cluster_provider: name("cp-1"),
        cluster_name: name("c1"),
        loadbalancer_ip: "2001:db8::1".parse().unwrap(),
        deleted_at: Some(time()),
        forced: true,
    });
}

#[test]
fn quota_keeps_its_shape() {
    let spec = [("limits.cpu", "400"), ("count/jobs.batch", " ")];
    let spec = spec.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    holds(&Quota { metadata: metadata("quota-1"), spec });
}

#[test]
fn kv_pair_keeps_its_shape() {
    let kv = vec![
        ("key1".to_owned(), serde_json::json!("val1")),
        ("a.$b".to_owned(), serde_json::json!({ "deep": [1, null, { "": true }] })),
        ("key1".to_owned(), serde_json::json!(18_446_744_073_709_551_615_u64)),
    ];
    holds(&KvPair { metadata: metadata("kv-1"), kv });
}

#[test]
fn applied_state_keeps_its_shape() {
    let applied = Applied {
        cloud: uid(3),
        project: name("walmart"),
        name: name("lc-1"),
        generation: 2,
        spec: spec(),
        quotas: BTreeMap::from([(name("quota-1"), BTreeMap::from([("pods".to_owned(), "5".to_owned())]))]),
        credential_epoch: 1,
        pages: 1,
        snapshot: None,
    };
    holds(&applied);
    holds_as(&Applied { snapshot: Some(uid(9)), ..applied }, ".snapshot");
}

#[test]
fn applied_references_keep_their_shape() {
    holds(&ReferencePage {
        references: vec![AppliedReference {
            uid: uid(6),
            name: name("lc-cl-1"),
            cluster_provider: name("cp-1"),
            cluster_name: name("c1"),
            loadbalancer_ip: "0.0.0.0".parse().unwrap(),
        }],
    });
}

#[test]
fn cluster_status_keeps_its_shape() {
    let status = ClusterStatus {
        cloud: uid(3),
        reference: name("lc-cl-1"),
        reference_uid: uid(6),
        cluster_provider: name("cp-1"),
        cluster_name: name("c1"),
        identity: Some("7c0f".to_owned()),
        goal: Goal::Present,
        generation: 2,
        order: Some(uid(5)),
        reached: false,
        verified: Some(uid(7)),
        cut_off: None,
        parts: BTreeMap::from([
            (Part::Namespace, PartState::Created),
            (Part::Role, PartState::Failed("no".to_owned())),
            (Part::RoleBinding, PartState::NotAvailable("away".to_owned())),
            (Part::Quota, PartState::Pending),
            (Part::Kubeconfig, PartState::Deleted),
        ]),
        inventory: vec![
            InventoryItem { id: object(), uid: Some("uid-1".to_owned()), adopted: false },
            InventoryItem { id: ObjectId { namespace: None, ..object() }, uid: None, adopted: true },
        ],
        carried: None,
        renew: false,
        drift: None,
        remarks: Vec::new(),
        connectivity: Connectivity::Available,
        failure: Some(Failure { retry_after: Some(5), ..Failure::new(Reason::QuotaExceeded, "exceeded quota") }),
        since: time(),
        last_attempt: Some(time()),
        next_attempt: Some(time()),
        unreachable_since: Some(time()),
        attempts: 3,
        overdue: true,
        holder: None,
        held_for: None,
        token: 0,
    };
    holds(&status);
    let drifted = Change { id: status.inventory[0].id.clone(), change: ChangeKind::Update };
    holds_as(
        &ClusterStatus {
            cut_off: Some(uid(8)),
            carried: Some(uid(5)),
            renew: true,
            drift: Drift::new(time(), true, vec![drifted]),
            remarks: vec!["a remark".to_owned()],
            ..status.clone()
        },
        ".drift",
    );
    holds_as(&ClusterStatus { holder: Some(uid(9)), token: 7, ..status }, ".claimed");
}

#[test]
fn member_keeps_its_shape() {
    holds(&Member { id: uid(9), started_at: time(), lease_ms: 15_000, beat: 3 });
}

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
fn order_keeps_its_shape() {
    let order = Order {
        id: uid(5),
        cloud: "logical-cloud/p/lc-1".parse().unwrap(),
        given_at: time(),
        verify: Some(uid(7)),
        cut_off: None,
        force: true,
    };
    holds(&order);
    holds_as(&Order { cut_off: Some(uid(8)), ..order }, ".cut-off");
}

#[test]
fn unfinished_import_keeps_its_shape() {
    let import = Unfinished { sha256: "00ff".to_owned(), mode: Mode::MergeKeeping, started_at: time(), run: None };
    holds(&import);
    holds_as(&Unfinished { run: Some(uid(1)), ..import }, ".run");
}

#[test]
fn what_only_the_next_release_knows_does_not_stop_this_one() {
    let key: Key = "golden/file".parse().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ClusterStatus.v1.json");
    let golden = std::fs::read_to_string(path).unwrap();
    let next = golden
        .replace("\"version\": 1", "\"version\": 2")
        .replace("QuotaExceeded", "StruckByLightning")
        .replace("\"role-binding\"", "\"mesh\"");
    let status: ClusterStatus = Body::from_json(next.into_bytes()).read(&key).unwrap();
    assert_eq!(status.reason(), Some(Reason::Other));
    assert!(status.parts.contains_key(&Part::Other));
}

/// Where in a document a sealed value lies, as JSON pointers.
fn sealed_values(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    let serde_json::Value::Object(fields) = value else {
        if let serde_json::Value::Array(items) = value {
            items.iter().enumerate().for_each(|(i, item)| sealed_values(item, &format!("{at}/{i}"), found));
        }
        return;
    };
    if ["key-id", "nonce", "ciphertext"].iter().all(|field| fields.contains_key(*field)) {
        found.push(at.to_owned());
    }
    fields.iter().for_each(|(name, field)| sealed_values(field, &format!("{at}/{name}"), found));
}

/// A sealed value that a pass does not know would be lost with the key that it was sealed with.
#[test]
fn every_sealed_value_is_one_that_a_new_key_finds() {
    let mut seen: Vec<(String, String)> = Vec::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        let kind = golden["kind"].as_str().unwrap().to_owned();
        let mut found = Vec::new();
        sealed_values(&golden["document"], "", &mut found);
        seen.extend(found.into_iter().map(|pointer| (kind.clone(), pointer)));
    }
    seen.sort();
    seen.dedup();
    let mut known: Vec<(String, String)> = SecretKind::all()
        .iter()
        .flat_map(|kind| kind.sealed.iter().map(|pointer| (kind.kind.to_owned(), (*pointer).to_owned())))
        .collect();
    known.sort();
    assert_eq!(seen, known, "the golden files hold sealed values that SecretKind does not name, or fewer");
}
