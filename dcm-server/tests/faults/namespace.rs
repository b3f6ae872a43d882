//! A namespace that does not go, or is not ours.

use dcm_core::tenancy::marks;
use serde_json::{Value, json};

use crate::{
    bed::{self, Admin},
    setting::Setting,
};

const HELD: &str = "example.com/held";

/// Somebody's object in the cloud's namespace that does not go by itself.
async fn hold(admin: &Admin, setting: &Setting) -> String {
    let path = setting.path("configmaps", "theirs");
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "theirs", "finalizers": [HELD] },
    });
    admin.post(path.strip_suffix("/theirs").unwrap(), &held).await;
    path
}

async fn let_go(admin: &Admin, path: &str) {
    admin.merge(path, &json!({ "metadata": { "finalizers": null } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_finalizer_holds_what_is_terminated() {
    let Some((bed, _well)) = bed::well("a_foreign_finalizer_holds_what_is_terminated").await else { return };
    let (admin, setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let held = hold(&admin, &setting).await;
    setting.order("terminate").await;
    setting.shows("Terminate: a foreign finalizer in the namespace").await;
    let_go(&admin, &held).await;
    setting.is_deleted().await;
    assert!(admin.get(&setting.path("namespaces", "")).await.is_none());
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_finalizer_holds_the_namespace_itself() {
    let Some((bed, _well)) = bed::well("a_foreign_finalizer_holds_the_namespace_itself").await else { return };
    let (admin, setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let namespace = setting.path("namespaces", "");
    admin.merge(&namespace, &json!({ "metadata": { "finalizers": [HELD] } })).await;
    setting.order("terminate").await;
    setting.shows("Terminate: a foreign finalizer on the namespace").await;
    let_go(&admin, &namespace).await;
    setting.is_deleted().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_finalizer_holds_an_object_of_ours() {
    let Some((bed, _well)) = bed::well("a_foreign_finalizer_holds_an_object_of_ours").await else { return };
    let (admin, setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let list = setting.path("rolebindings", "");
    let bindings = admin.get(list.trim_end_matches('/')).await.unwrap();
    let name = bindings["items"][0]["metadata"]["name"].as_str().unwrap();
    let binding = setting.path("rolebindings", name);
    admin.merge(&binding, &json!({ "metadata": { "finalizers": [HELD] } })).await;
    setting.order("terminate").await;
    setting.shows("Terminate: a foreign finalizer on an object of ours").await;
    let_go(&admin, &binding).await;
    setting.is_deleted().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_terminates_is_waited_for() {
    let Some((bed, _well)) = bed::well("a_namespace_that_terminates_is_waited_for").await else { return };
    let (admin, mut setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let held = hold(&admin, &setting).await;
    let namespace = setting.path("namespaces", "");
    let old = admin.get(&namespace).await.unwrap()["metadata"]["uid"].clone();
    admin.delete(&namespace).await;
    setting.apply_a_change().await;
    setting.shows("Apply: the namespace terminates and is held").await;
    setting.others_are_not_held_up().await;
    let_go(&admin, &held).await;
    setting.heals().await;
    let new = admin.get(&namespace).await.unwrap()["metadata"]["uid"].clone();
    assert!(new != Value::Null && new != old);
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_of_others_is_in_the_way() {
    let Some((bed, _well)) = bed::well("a_namespace_of_others_is_in_the_way").await else { return };
    let (admin, mut setting) = (bed.admin().await, Setting::new(&bed.admin_kubeconfig(), &[]).await);
    let theirs = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": setting.namespace } });
    admin.post("/api/v1/namespaces", &theirs).await;
    setting.apply_a_change().await;
    setting.shows("A namespace of others is in the way").await;
    setting.others_are_not_held_up().await;
    admin.delete(&setting.path("namespaces", "")).await;
    setting.heals().await;
    setting.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_knows_more_than_the_store_is_left_alone() {
    let Some((bed, _well)) = bed::well("a_cluster_that_knows_more_than_the_store_is_left_alone").await else { return };
    let (admin, mut setting) = (bed.admin().await, Setting::created(&bed.admin_kubeconfig(), &[]).await);
    let namespace = setting.path("namespaces", "");
    let generation = |generation: &str| json!({ "metadata": { "annotations": { marks::GENERATION: generation } } });
    admin.merge(&namespace, &generation("99")).await;
    setting.apply_a_change().await;
    setting.shows("The store is older than the cluster").await;
    setting.others_are_not_held_up().await;
    assert!(admin.get(&setting.path("roles", &setting.role())).await.is_none());
    setting.order("apply?force=true").await;
    setting.heals().await;
    setting.stop().await;
}
