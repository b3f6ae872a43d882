use std::time::Duration;

use dcm_core::{
    model::{PermissionScope, UserType},
    sync::{ChangeKind, Part, PartState, Reason},
};
use serde_json::json;

use crate::{
    bed::{Bed, SOON, reads, soon},
    cloud::{Cloud, permission},
};

/// How long an API server may remember a token that it has accepted.
const TOKEN_CACHE: Duration = Duration::from_secs(20);

/// A cloud whose user shows tokens, applied.
async fn cloud(bed: &Bed) -> Cloud {
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    cloud.made(bed).await;
    cloud
}

fn account(cloud: &Cloud) -> String {
    format!("{}/{}", cloud.accounts(), cloud.identity().name())
}

pub(crate) async fn a_token_works_for_its_user_and_dies_with_its_account(bed: &Bed) {
    let mut cloud = cloud(bed).await;
    let (first, second) = (cloud.token(bed).await.unwrap(), cloud.token(bed).await.unwrap());
    assert!(first.token != second.token);
    let uid = bed.there(&account(&cloud)).await["metadata"]["uid"].clone();
    assert_eq!(first.account_uid, uid);
    let life = first.expires_at.duration_since(first.issued_at).as_secs();
    assert!((3590..=3610).contains(&life), "{life}");
    assert!(!format!("{first:?}").contains(first.token.expose_str().unwrap()));

    let allowed = format!("{}/configmaps", cloud.namespace_path());
    let users = [bed.with_token(&first.token), bed.with_token(&second.token)];
    for user in &users {
        soon(SOON, async || reads(user, &allowed).await.is_ok()).await;
        for denied in
            [format!("{}/secrets", cloud.namespace_path()), "/api/v1/namespaces/default/configmaps".to_owned()]
        {
            assert_eq!(reads(user, &denied).await, Err(403));
        }
    }

    bed.delete(&account(&cloud)).await;
    let failure = cloud.token(bed).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Conflict, "{failure}");
    cloud.made(bed).await;
    let third = cloud.token(bed).await.unwrap();
    assert_ne!(third.account_uid, first.account_uid);
    for user in &users {
        soon(TOKEN_CACHE, async || reads(user, &allowed).await == Err(401)).await;
    }
    let user = bed.with_token(&third.token);
    soon(SOON, async || reads(&user, &allowed).await.is_ok()).await;
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn an_account_is_made_and_repaired_like_other_objects(bed: &Bed) {
    let mut cloud = cloud(bed).await;
    let path = account(&cloud);
    let live = bed.there(&path).await;
    assert_eq!(live["automountServiceAccountToken"], false);
    assert!(cloud.inventory.iter().any(|item| item.id.kind == "ServiceAccount" && item.uid.is_some()));

    // A controller of old clusters adds this to every account.
    bed.merge(&path, json!({ "secrets": [{ "name": "robot-token-x" }] })).await;
    assert_eq!(cloud.made(bed).await.changes, []);
    assert_eq!(bed.there(&path).await["secrets"][0]["name"], "robot-token-x");
    bed.merge(&path, json!({ "automountServiceAccountToken": true })).await;
    cloud.made(bed).await;
    let now = bed.there(&path).await;
    assert_eq!(now["automountServiceAccountToken"], false);
    assert_eq!(now["metadata"]["uid"], live["metadata"]["uid"]);

    // What the inventory knows without a uid was perhaps made, and the answer lost.
    for item in &mut cloud.inventory {
        item.uid = None;
    }
    cloud.user_is(UserType::Certificate);
    cloud.made(bed).await;
    assert_eq!(bed.get(&path).await, None);
    assert_eq!(cloud.remove(bed).await.failure, None);
}

pub(crate) async fn a_user_may_change_from_token_to_certificate_and_back(bed: &Bed) {
    let elsewhere = bed.foreign_namespace(json!({})).await;
    let mut cloud = cloud(bed).await;
    let there = PermissionScope::Namespace(dcm_core::name::Namespace::new(&elsewhere).unwrap());
    cloud.permissions().push(permission("there", there));
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.made(bed).await;
    let path = account(&cloud);
    let user = bed.with_token(&cloud.token(bed).await.unwrap().token);
    let allowed = format!("/api/v1/namespaces/{elsewhere}/configmaps");
    soon(SOON, async || reads(&user, &allowed).await.is_ok()).await;

    cloud.user_is(UserType::Certificate);
    let report = cloud.made(bed).await;
    let gone = report.changes.iter().find(|change| change.id.kind == "ServiceAccount").unwrap();
    assert_eq!(gone.change, ChangeKind::Delete);
    assert_eq!(bed.get(&path).await, None);
    bed.refuses(&user, &allowed, &[401, 403]).await;
    let binding = bed.there(&format!("{}/p-1", cloud.bindings())).await;
    assert_eq!(binding["subjects"][0]["name"], cloud.common_name());
    assert!(cloud.inventory.iter().all(|item| item.id.kind != "ServiceAccount"));

    cloud.user_is(UserType::Token);
    cloud.made(bed).await;
    let binding = bed.there(&format!("{}/p-1", cloud.bindings())).await;
    assert_eq!(binding["subjects"][0]["kind"], "ServiceAccount");
    assert_eq!(cloud.remove(bed).await.failure, None);
    assert_eq!(cloud.inventory, []);
    bed.delete(&format!("/api/v1/namespaces/{elsewhere}")).await;
}

pub(crate) async fn a_token_is_asked_for_an_account_of_ours_only(bed: &Bed) {
    let mut cloud = Cloud::new();
    cloud.made(bed).await;
    cloud.user_is(UserType::Token);
    let theirs = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": cloud.identity().name() },
    });
    let before = bed.post(&cloud.accounts(), theirs).await;
    let failure = cloud.token(bed).await.unwrap_err();
    assert_eq!(failure.reason, Reason::NotOurs, "{failure}");
    let report = cloud.apply(bed).await;
    assert_eq!(report.failure.unwrap().reason, Reason::NotOurs);
    assert!(matches!(report.parts[&Part::Credential], PartState::Failed(_)));
    assert_eq!(report.parts[&Part::Quota], PartState::Created);
    assert_eq!(bed.there(&account(&cloud)).await["metadata"]["uid"], before["metadata"]["uid"]);
    assert!(bed.there(&account(&cloud)).await["metadata"].get("labels").is_none());
    assert_eq!(cloud.remove(bed).await.failure, None);
}
