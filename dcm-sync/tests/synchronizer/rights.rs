//! Every single right of `deploy/cluster-role.yaml` is needed: without it something that DCM does is refused.

use dcm_core::{
    credential::KeyAlgorithm,
    model::{DeletePolicy, PermissionScope, UserType},
    sync::{Reason, Report, Synchronizer as _},
    tenancy::marks,
};
use dcm_test_utils::rights::{CLUSTER_ROLE, component, objects};
use serde_json::{Value, json};

use crate::{
    account::with_account,
    bed::Bed,
    cloud::{Cloud, permission},
    promises::sign::sign,
};

/// One verb on one resource, in one component.
type Right = (String, Value);

/// The rules of a role, each cut into rules of one verb on one resource.
fn rights(role: &Value) -> Vec<Right> {
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in rule["resources"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                let mut one = rule.clone();
                (one["resources"], one["verbs"]) = (json!([resource]), json!([verb]));
                rights.push((component(role).to_owned(), one));
            }
        }
    }
    rights
}

fn roles(file: &[Value]) -> impl Iterator<Item = &Value> {
    file.iter().filter(|object| object["kind"] == "ClusterRole")
}

/// The objects of the file, without one right.
fn without(file: &[Value], left_out: Option<&Right>) -> Vec<Value> {
    let mut objects = file.to_vec();
    for role in objects.iter_mut().filter(|object| object["kind"] == "ClusterRole") {
        let rest = rights(role).into_iter().filter(|right| Some(right) != left_out);
        role["rules"] = rest.map(|(_, rule)| rule).collect();
    }
    objects
}

#[tokio::test]
async fn without_any_one_right_something_is_refused() {
    let bed = Bed::simulated().await;
    let file = objects(CLUSTER_ROLE, "dcm");
    let all: Vec<Right> = roles(&file).flat_map(rights).collect();
    assert!(all.len() >= 30, "{all:#?}");
    assert_eq!(trial(&bed, None).await, Ok(()));
    let mut needless = Vec::new();
    for right in &all {
        if trial(&bed, Some(right)).await.is_ok() {
            needless.push(format!("{}: {}", right.0, right.1));
        }
    }
    assert_eq!(needless, [""; 0]);
}

async fn trial(bed: &Bed, left_out: Option<&Right>) -> Result<(), String> {
    let mut result = Ok(());
    with_account(bed, async |account, limited| {
        let file = objects(CLUSTER_ROLE, account.name());
        let mut given = without(&file, left_out);
        given.retain(|object| object["kind"] != "ServiceAccount");
        account.give(bed, &given).await;
        result = journey(limited).await;
    })
    .await;
    result
}

fn fine(report: &Report) -> Result<(), String> {
    report.failure.as_ref().map_or(Ok(()), |failure| Err(failure.to_string()))
}

/// What DCM does on clusters, until something is not as it should be.
async fn journey(bed: &Bed) -> Result<(), String> {
    bed.sync.probe(&bed.access()).await.map_err(|failure| failure.to_string())?;
    let mut cloud = Cloud::new();
    cloud.permissions().push(permission("wide", PermissionScope::Cluster));
    cloud.quota("quota-2", &[("services", "1")]);
    fine(&cloud.apply(bed).await)?;
    fine(&cloud.apply(bed).await)?;
    in_the_way(bed, &mut cloud).await?;
    sign(bed, &cloud, KeyAlgorithm::EcdsaP256).await.map_err(|failure| failure.to_string())?;
    let requests = bed.there("/apis/certificates.k8s.io/v1/certificatesigningrequests").await;
    if let Some(request) = requests["items"].as_array().and_then(|left| left.first()) {
        let name = request["metadata"]["name"].as_str().unwrap();
        bed.delete(&format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}")).await;
        return Err("a request was left behind".to_owned());
    }

    // What is wanted no more goes; what is wanted otherwise is changed.
    cloud.applied.spec.labels.clear();
    cloud.permissions().retain(|permission| permission.name.as_str() == "p-1");
    cloud.applied.quotas.retain(|name, _| name.as_str() == "quota-1");
    fine(&cloud.apply(bed).await)?;
    cloud.delete = DeletePolicy::Keep;
    fine(&cloud.remove(bed).await)?;
    bed.delete(&cloud.namespace_path()).await;
    let mut cloud = Cloud::new();
    cloud.user_is(UserType::Token);
    fine(&cloud.apply(bed).await)?;
    cloud.token(bed).await.map_err(|failure| failure.to_string())?;
    let old = cloud.identity();
    cloud.applied.credential_epoch += 1;
    cloud.cut_off(bed, cloud.identity()).await.map_err(|failure| failure.to_string())?;
    assert_eq!(bed.get(&format!("{}/{}", cloud.accounts(), old.name())).await, None);
    fine(&cloud.remove(bed).await)
}

/// Objects of others that have the names of ours are told from ours.
async fn in_the_way(bed: &Bed, cloud: &mut Cloud) -> Result<(), String> {
    for record in ["p-3", "wide-3", "quota-3"] {
        match record {
            "p-3" => cloud.permissions().push(permission(record, PermissionScope::Own)),
            "wide-3" => cloud.permissions().push(permission(record, PermissionScope::Cluster)),
            _ => cloud.quota(record, &[("services", "1")]),
        }
        let mut theirs = Vec::new();
        for object in cloud.desired().objects {
            let mut manifest = object.manifest;
            if manifest["metadata"]["annotations"][marks::RECORD] == record {
                manifest["metadata"]["labels"] = json!({});
                let collection = match object.id.kind.as_str() {
                    "Role" => cloud.roles(),
                    "RoleBinding" => cloud.bindings(),
                    "ResourceQuota" => cloud.quotas(),
                    wide => format!("/apis/rbac.authorization.k8s.io/v1/{}s", wide.to_lowercase()),
                };
                bed.post(&collection, manifest).await;
                theirs.push(format!("{collection}/{}", object.id.name));
            }
        }
        assert!(!theirs.is_empty());
        let mut told = Ok(());
        for path in theirs {
            let failure = cloud.apply(bed).await.failure;
            if failure.as_ref().is_none_or(|failure| failure.reason != Reason::NotOurs) {
                told = Err(format!("{path}: {failure:?}"));
            }
            bed.delete(&path).await;
        }
        told?;
        fine(&cloud.apply(bed).await)?;
    }
    Ok(())
}
