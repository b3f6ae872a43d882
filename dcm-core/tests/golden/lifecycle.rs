//! What was applied, and how far it is.

use std::{collections::BTreeMap, path::Path};

use dcm_core::{
    model::{Applied, AppliedReference, ClusterStatus, Connectivity, Drift, Goal, Order, ReferencePage},
    store::{Body, Key},
    sync::{Change, ChangeKind, Failure, InventoryItem, ObjectId, Part, PartState, Reason},
};

use super::{holds, holds_as, logical_clouds::spec, name, time, uid};

fn object() -> ObjectId {
    ObjectId {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "Role".to_owned(),
        namespace: Some("ns-1".to_owned()),
        name: "p-1".to_owned(),
    }
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
        takeovers: 0,
        taken_over_at: None,
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
fn order_keeps_its_shape() {
    let order = Order {
        id: uid(5),
        cloud: "logical-cloud/p/lc-1".parse().unwrap(),
        given_at: time(),
        verify: Some(uid(7)),
        cut_off: None,
        force: true,
        deletes: false,
    };
    holds(&order);
    holds_as(&Order { cut_off: Some(uid(8)), ..order.clone() }, ".cut-off");
    holds_as(&Order { deletes: true, ..order }, ".deletes");
}

#[test]
fn what_only_the_next_release_knows_does_not_stop_this_one() {
    let key: Key = "golden/file".parse().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/documents/ClusterStatus.v1.json");
    let golden = std::fs::read_to_string(path).unwrap();
    let next = golden
        .replace("\"version\": 1", "\"version\": 2")
        .replace("QuotaExceeded", "StruckByLightning")
        .replace("\"role-binding\"", "\"mesh\"");
    let status: ClusterStatus = Body::from_json(next.into_bytes()).read(&key).unwrap();
    assert_eq!(status.reason(), Some(Reason::Other));
    assert!(status.parts.contains_key(&Part::Other));
}
