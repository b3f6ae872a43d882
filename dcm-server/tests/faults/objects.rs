//! Others on the cluster limit and change what is ours.

use serde_json::json;

use crate::{bed, setting::Setting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_others_is_full() {
    let Some((bed, _well)) = bed::well("a_quota_of_others_is_full").await else { return };
    let (admin, mut setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let theirs = setting.path("resourcequotas", "theirs");
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "theirs" },
        "spec": { "hard": { "count/roles.rbac.authorization.k8s.io": "1" } },
    });
    admin.post(theirs.strip_suffix("/theirs").unwrap(), &quota).await;
    let (roles, role) = setting.any_role();
    admin.until_refused(&roles, &role, "exceeded quota").await;
    setting.apply_a_change().await;
    setting.shows("A quota of others is full").await;
    setting.others_are_not_held_up().await;
    admin.delete(&theirs).await;
    setting.heals().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_applies_by_force_is_repaired() {
    let Some((bed, _well)) = bed::well("what_somebody_else_applies_by_force_is_repaired").await else { return };
    let setting = Setting::created(&bed.admin_kubeconfig(), &["--resync-period", "1s"]).await;
    let admin = bed.admin().await;
    let role = setting.path("roles", &setting.role());
    let rules = |verb: &str| json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": [verb] }]);
    let rbac = "rbac.authorization.k8s.io/v1";
    admin.apply_by_force(&role, &json!({ "apiVersion": rbac, "kind": "Role", "rules": rules("*") })).await;
    let quota = setting.path("resourcequotas", "quota-1");
    let more = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "spec": { "hard": { "configmaps": "700", "secrets": "1" } } });
    admin.apply_by_force(&quota, &more).await;
    let namespace = setting.path("namespaces", "");
    let labels = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "labels": { "team": "red", "theirs": "yes" } } });
    admin.apply_by_force(&namespace, &labels).await;

    admin.until(&role, "repaired", |role| role["rules"] == rules("get")).await;
    admin.until(&quota, "repaired", |quota| quota["spec"]["hard"] == json!({ "configmaps": "7" })).await;
    // A label that nobody else was to set is theirs.
    let repaired = |labels: &serde_json::Value| labels["team"] == "blue" && labels["theirs"] == "yes";
    admin.until(&namespace, "repaired", |namespace| repaired(&namespace["metadata"]["labels"])).await;
    setting.heals().await;
    setting.stop().await;
}
