//! What a tenant writes.

use std::collections::BTreeMap;

use dcm_core::{
    lifecycle::{Action, ActionKind, AppliedPointer, Lifecycle, Phase},
    model::{
        AdoptionPolicy, ClusterReference, DeletePolicy, KvPair, Level, LogicalCloud, LogicalCloudSpec, MeshMode,
        PermissionScope, Project, Quota, User, UserPermission, UserType,
    },
};

use super::{holds, holds_as, metadata, name, time, uid};

pub(crate) fn spec() -> LogicalCloudSpec {
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

#[test]
fn project_keeps_its_shape() {
    holds(&Project { uid: uid(1), metadata: metadata("walmart"), deleting: true });
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
