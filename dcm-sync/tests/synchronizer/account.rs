//! An account for DCM on a cluster, with the rights that the files of `deploy/` give it and no more.

use std::{panic::AssertUnwindSafe, time::Duration};

use dcm_test_utils::{
    patience::until_so,
    rights::{self, ACCOUNT_NAMESPACE, CEILING, CLUSTER_ROLE},
};
use futures_util::FutureExt as _;
use kube::Client;
use serde_json::{Value, json};

use crate::bed::{Bed, call, client, unique};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A ServiceAccount of DCM's, with its roles and bindings.
pub(crate) struct Account {
    kubeconfig: Value,
    name: String,
    client: Client,
}

/// Whether an object of `deploy/cluster-role.yaml` is one of the given components.
pub(crate) fn is_of(components: &'static [&'static str]) -> impl FnMut(&Value) -> bool {
    move |object| components.contains(&rights::component(object))
}

/// Keeps a promise with all components of the simple form, `cluster-role.yaml`.
pub(crate) async fn with_cluster_role(bed: Bed, promise: impl AsyncFnOnce(&Bed)) {
    with_account(&bed, async |account, limited| {
        account.grant(&bed, CLUSTER_ROLE, |_| true).await;
        promise(limited).await;
    })
    .await;
}

/// Gives a synchronizer an account without rights, and takes that away in the end, whatever came of it: real
/// clusters are shared.
pub(crate) async fn with_account(bed: &Bed, work: impl AsyncFnOnce(&Account, &Bed)) {
    let account = Account::make(bed).await;
    let limited = Bed::with(bed, account.kubeconfig.clone());
    let result = AssertUnwindSafe(work(&account, &limited)).catch_unwind().await;
    account.remove(bed).await;
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

impl Account {
    /// An account without rights.
    async fn make(bed: &Bed) -> Self {
        let name = unique("dcm-test");
        let accounts = format!("/api/v1/namespaces/{ACCOUNT_NAMESPACE}/serviceaccounts");
        let account = rights::objects(CLUSTER_ROLE, &name).swap_remove(0);
        bed.post(&accounts, account).await;
        let token = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let token = bed.post(&format!("{accounts}/{name}/token"), token).await;
        let kubeconfig = rights::kubeconfig(&bed.kubeconfig, token["status"]["token"].as_str().unwrap());
        Self { client: client(&kubeconfig).await, kubeconfig, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives it the roles of a file that are wanted, and waits until the cluster knows of them.
    pub(crate) async fn grant(&self, bed: &Bed, file: &str, mut wanted: impl FnMut(&Value) -> bool) {
        let objects = rights::objects(file, &self.name).into_iter().filter(|object| wanted(object));
        let objects: Vec<Value> = objects.filter(|object| object["kind"] != "ServiceAccount").collect();
        self.give(bed, &objects).await;
    }

    /// Gives it roles by their bindings.
    pub(crate) async fn give(&self, bed: &Bed, objects: &[Value]) {
        for object in objects {
            bed.post(&collection(object), object.clone()).await;
        }
        for role in objects.iter().filter(|object| object["kind"] == "ClusterRole") {
            for rule in role["rules"].as_array().unwrap() {
                self.wait_for(rule).await;
            }
        }
    }

    /// The API server's own cache of roles and bindings takes a moment.
    async fn wait_for(&self, rule: &Value) {
        let (resource, sub) = rule["resources"][0].as_str().map(|r| r.split_once('/').unwrap_or((r, ""))).unwrap();
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "group": rule["apiGroups"][0], "resource": resource, "subresource": sub,
                "verb": rule["verbs"][0], "name": rule["resourceNames"][0].as_str().unwrap_or_default(),
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        until_so(Duration::from_secs(60), format_args!("given what {rule} says"), async || {
            let answer = call(&self.client, "POST", path, "application/json", &review).await;
            answer.is_ok_and(|answer| answer["status"]["allowed"] == true)
        })
        .await;
    }

    /// Takes away the account and whatever it may have been given.
    async fn remove(&self, bed: &Bed) {
        let files = [CLUSTER_ROLE, CEILING].into_iter().flat_map(|file| rights::objects(file, &self.name));
        for object in files {
            let path = format!("{}/{}", collection(&object), object["metadata"]["name"].as_str().unwrap());
            if bed.get(&path).await.is_some() {
                bed.delete(&path).await;
            }
        }
    }
}

fn collection(object: &Value) -> String {
    match object["kind"].as_str().unwrap() {
        "ServiceAccount" => format!("/api/v1/namespaces/{ACCOUNT_NAMESPACE}/serviceaccounts"),
        "ClusterRole" => format!("{RBAC}/clusterroles"),
        "ClusterRoleBinding" => format!("{RBAC}/clusterrolebindings"),
        kind => panic!("what is a {kind}?"),
    }
}
