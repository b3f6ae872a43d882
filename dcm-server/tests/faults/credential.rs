//! DCM's own credential for the cluster does not do.

use std::time::Duration;

use data_encoding::HEXLOWER;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    bed::{self, Admin},
    certificates::{self, Validity},
    setting::Setting,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_is_not_valid_is_replaced() {
    let Some((bed, _well)) = bed::well("a_credential_that_is_not_valid_is_replaced").await else { return };
    for (fault, validity) in
        [("DCM's certificate expired", Validity::Past), ("DCM's certificate not valid yet", Validity::Future)]
    {
        let mut setting = Setting::new(&certificates::client(bed, "dcm", validity), &[]).await;
        setting.apply_a_change().await;
        setting.shows(fault).await;
        setting.others_are_not_held_up().await;
        setting.register_anew(&bed.admin_kubeconfig()).await;
        setting.heals().await;
        setting.stop().await;
    }
}

/// A user's name that no other test has.
fn unique() -> String {
    let chance = KeyPair::generate().unwrap().public_key_raw()[8..14].to_vec();
    format!("dcm-{}", HEXLOWER.encode(&chance))
}

/// Binds a user to a role of these rights.
async fn grant(admin: &Admin, name: &str, rules: &Value) {
    let api = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules });
    admin.post(&format!("{api}/clusterroles"), &role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name }],
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
    });
    admin.post(&format!("{api}/clusterrolebindings"), &binding).await;
}

async fn change(admin: &Admin, name: &str, rules: &Value) {
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}");
    admin.merge(&path, &json!({ "rules": rules })).await;
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_runs_out_at_work_is_replaced() {
    let Some((bed, _well)) = bed::well("a_credential_that_runs_out_at_work_is_replaced").await else { return };
    let admin = bed.admin().await;
    let name = unique();
    grant(&admin, &name, &json!([rule("*", &["*"], &["*"])])).await;
    let mut setting = Setting::created(&certificates::client(bed, &name, Validity::Now), &[]).await;
    // It has to last until it was used: the longer, the slower this machine is.
    let mut life = Duration::from_secs(6);
    loop {
        let kubeconfig = certificates::client(bed, &name, Validity::For(life));
        let end = Instant::now() + life;
        setting.register_anew(&kubeconfig).await;
        setting.apply_a_change().await;
        if timeout_at(end, setting.heals()).await.is_ok() {
            sleep_until(end + Duration::from_secs(1)).await;
            break;
        }
        life *= 2;
    }
    setting.apply_a_change().await;
    setting.shows("DCM's certificate expired").await;
    setting.others_are_not_held_up().await;
    setting.register_anew(&certificates::client(bed, &name, Validity::Now)).await;
    setting.heals().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_granted() {
    let Some((bed, _well)) = bed::well("rights_that_are_missing_are_granted").await else { return };
    let admin = bed.admin().await;
    let name = unique();
    let all = ["get", "list", "watch", "create", "patch", "delete"];
    let least = [
        rule("", &["namespaces", "serviceaccounts"], &all),
        rule("rbac.authorization.k8s.io", &["roles", "rolebindings"], &all),
        rule("certificates.k8s.io", &["certificatesigningrequests"], &["get", "list", "watch", "create", "delete"]),
        rule("certificates.k8s.io", &["certificatesigningrequests/approval"], &["update"]),
        rule("certificates.k8s.io", &["signers"], &["approve"]),
    ];
    let quotas = [rule("", &["resourcequotas"], &all)];
    let beyond = [rule("rbac.authorization.k8s.io", &["roles"], &["escalate", "bind"])];

    let mut setting = Setting::new(&certificates::client(bed, &name, Validity::Now), &[]).await;
    setting.apply_a_change().await;
    setting.shows("DCM's credential has no rights").await;
    setting.others_are_not_held_up().await;
    grant(&admin, &name, &json!([&least[..], &beyond].concat())).await;
    setting.shows("DCM's credential lacks a right").await;
    change(&admin, &name, &json!([&least[..], &quotas].concat())).await;
    setting.apply_a_change().await;
    setting.shows("DCM may not grant a permission").await;
    change(&admin, &name, &json!([&least[..], &quotas, &beyond].concat())).await;
    setting.heals().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_leads_to_another_cluster_is_set_right() {
    let Some((bed, _well)) = bed::well("a_registration_that_leads_to_another_cluster_is_set_right").await else {
        return;
    };
    let mut setting = Setting::created(&bed.admin_kubeconfig(), &[]).await;
    let another = dcm_sim::Cluster::start(dcm_sim::ClusterOptions::named("another")).await.unwrap();
    setting.register_anew(&another.admin_kubeconfig()).await;
    setting.apply_a_change().await;
    setting.shows("Registration leads to another cluster").await;
    setting.others_are_not_held_up().await;
    assert!(another.objects().get("namespaces", "", &setting.namespace).is_none());
    setting.register_anew(&bed.admin_kubeconfig()).await;
    setting.heals().await;
    setting.stop().await;
}
