//! What DCM may do never becomes a tenant's: attempts through every field that he may write, and with the
//! credential that he gets. Each is refused, or has no effect.

use dcm_core::tenancy::marks;
use serde_json::{Value, json};

use crate::{
    clusters::Cluster,
    support::{Cloud, Fixture, NOT_FOUND, User, permission},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const CLOUDS: &str = "/v2/projects/p/logical-clouds";
const ALL_OPTIONS: [&str; 3] =
    ["--allow-foreign-namespace-permissions", "--allow-cluster-wide-permissions", "--allow-privileged-permissions"];

/// Where a bad field is, of those that a refusal names.
fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect()
}

/// Asserts that a logical cloud is refused for this field, and that nothing came of it.
async fn is_refused(dcm: &Fixture, cloud: &Cloud<'_>, permissions: &Value, spec: &Value, pointer: &str) {
    let body = cloud.body(permissions, spec);
    let problem = dcm.post(CLOUDS, &body).await.expect(400);
    assert_eq!(pointers(&problem), [pointer], "{body:#}\n{problem:#}");
    assert_eq!(dcm.get(&cloud.path).await.status, NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_label_or_namespace_gives_more_than_was_meant() {
    let Some(dcm) = Fixture::start("no_name_label_or_namespace", 1, &[]).await else { return };
    let (cloud, none) = (dcm.known("attempt"), json!([]));
    for namespace in [
        "kube-system",
        "kube-public",
        "kube-anything",
        "default",
        "istio-system",
        "Kube-System",
        "kube-system ",
        "*",
        "",
        "kube-system/pods",
        "../kube-system",
        "a.b",
        "-a",
    ] {
        is_refused(&dcm, &cloud, &none, &json!({ "namespace": namespace }), "/spec/namespace").await;
    }
    for label in [
        "pod-security.kubernetes.io/enforce",
        "kubernetes.io/metadata.name",
        "istio-injection",
        "istio.io/rev",
        "istio.io/dataplane-mode",
        "topology.istio.io/network",
        "admission.gatekeeper.k8s.io/ignore",
        "dcm.onap.org/installation",
        "dcm.onap.org/logical-cloud-uid",
        "dcm.onap.org/adopted",
        "sub.dcm.onap.org/x",
    ] {
        let pointer = format!("/spec/labels/{}", label.replace('/', "~1"));
        is_refused(&dcm, &cloud, &none, &json!({ "labels": { label: "privileged" } }), &pointer).await;
    }
    // In capitals it is no label at all.
    let odd = "Pod-Security.Kubernetes.io/enforce";
    let pointer = format!("/spec/labels/{}", odd.replace('/', "~1"));
    is_refused(&dcm, &cloud, &none, &json!({ "labels": { odd: "privileged" } }), &pointer).await;
    for user in ["system:admin", "system:masters", "dcm:p:other:user:x", "a b", "", "a\nb", "O=system:masters"] {
        let mut body = cloud.body(&none, &json!({}));
        body["spec"]["user"]["user-name"] = user.into();
        assert_eq!(pointers(&dcm.post(CLOUDS, &body).await.expect(400)), ["/spec/user/user-name"], "{user}");
    }
    for name in ["../x", "a/b", "a%2fb", "system:admin", "a b"] {
        let permissions = json!([permission(name, "", &["configmaps"], &["get"])]);
        let pointer = "/spec/user/user-permissions/0/permission-name";
        is_refused(&dcm, &cloud, &permissions, &json!({}), pointer).await;
    }
    for namespace in ["", "kube-system", "default", "somewhere", "real"] {
        let mut wider = permission("p", "", &["configmaps"], &["get"]);
        wider["namespace"] = namespace.into();
        let body = cloud.body(&json!([wider]), &json!({}));
        let problem = dcm.post(CLOUDS, &body).await.expect(400);
        assert!(pointers(&problem).iter().all(|p| *p == "/spec/user/user-permissions/0/namespace"), "{problem:#}");
    }
    let admin = dcm.post(CLOUDS, &cloud.body(&none, &json!({ "level": "0" }))).await.expect(400);
    assert_eq!(pointers(&admin), ["/spec/level"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_permission_lets_its_holder_widen_his_rights() {
    let Some(dcm) = Fixture::start("no_permission_lets_its_holder", 1, &["--allow-cluster-wide-permissions"]).await
    else {
        return;
    };
    let cloud = dcm.known("attempt");
    let refused: &[(&str, &[&str], &[&str])] = &[
        ("*", &["*"], &["*"]),
        ("", &["*"], &["*"]),
        ("", &["*"], &["update"]),
        ("*", &["pods", "*"], &["create"]),
        (RBAC, &["*"], &["create"]),
        (RBAC, &["roles"], &["update"]),
        (RBAC, &["roles"], &["escalate"]),
        (RBAC, &["roles/status"], &["update"]),
        (RBAC, &["rolebindings"], &["deletecollection"]),
        (RBAC, &["clusterroles"], &["bind"]),
        // No such verbs; whatever does not only read is taken for the worst.
        (RBAC, &["roles"], &["Escalate"]),
        (RBAC, &["rolebindings"], &["BIND", "get"]),
        (RBAC, &["clusterrolebindings"], &["create"]),
        ("", &["users"], &["impersonate"]),
        ("", &["serviceaccounts"], &["impersonate"]),
        ("", &["serviceaccounts"], &["*"]),
        ("", &["serviceaccounts/token"], &["create"]),
        ("", &["*/token"], &["create"]),
        ("", &["namespaces"], &["patch"]),
        ("", &["namespaces/finalize"], &["update"]),
        ("", &["namespaces/status"], &["patch"]),
        ("", &["*/status"], &["patch"]),
        ("", &["resourcequotas"], &["delete"]),
        ("", &["resourcequotas/status"], &["update"]),
        ("", &["limitranges"], &["create"]),
        ("certificates.k8s.io", &["certificatesigningrequests/approval"], &["update"]),
        ("certificates.k8s.io", &["signers"], &["approve"]),
        ("admissionregistration.k8s.io", &["mutatingwebhookconfigurations"], &["create"]),
        ("apiregistration.k8s.io", &["apiservices"], &["create"]),
        ("", &["nodes/proxy"], &["get"]),
    ];
    for (group, resources, verbs) in refused {
        for namespace in [None, Some("")] {
            let mut attempt = permission("p", group, resources, verbs);
            if let Some(namespace) = namespace {
                attempt["namespace"] = namespace.into();
            }
            let body = cloud.body(&json!([attempt]), &json!({}));
            let problem = dcm.post(CLOUDS, &body).await.expect(400);
            let allowed = |p: &&str| matches!(p.rsplit('/').next(), Some("verbs" | "resources"));
            assert!(pointers(&problem).iter().all(allowed), "{attempt}: {problem:#}");
        }
    }
    for blank in [" roles", "roles ", "ro les", "roles\t", ""] {
        let attempt = json!([permission("p", RBAC, &[blank], &["create"])]);
        is_refused(&dcm, &cloud, &attempt, &json!({}), "/spec/user/user-permissions/0/resources/0").await;
    }
    // The same by way of a permission of a cloud that is there.
    let cloud = dcm.cloud("there", json!([permission("p", "", &["configmaps"], &["get"])])).await;
    for (group, resources, verbs) in refused {
        let mut attempt = permission("q", group, resources, verbs);
        attempt["name"] = attempt.as_object_mut().unwrap().remove("permission-name").unwrap();
        dcm.post(&format!("{}/user-permissions", cloud.path), &attempt).await.expect(400);
        attempt["name"] = "p".into();
        dcm.put(&format!("{}/user-permissions/p", cloud.path), &attempt).await.expect(400);
    }

    // Kubernetes knows these words in small letters only: they are taken, and give nothing.
    let odd = json!([
        permission("capitals", RBAC, &["Roles", "ROLEBINDINGS"], &["create", "update", "Escalate"]),
        permission("namespaces", "", &["Namespaces", "resourceQuotas"], &["patch", "delete"]),
        permission("versioned", "rbac.authorization.k8s.io/v1", &["roles"], &["create"]),
        permission("half", "", &["serviceaccounts/*", "secrets"], &["create", "get"]),
        permission("exec", "", &["pods/exec", "pods/ephemeralcontainers"], &["create", "get"]),
    ]);
    let body = cloud.body(&odd, &json!({}));
    dcm.put(&cloud.path, &body).await.expect(200);
    cloud.apply().await;
    let user = cloud.user(&dcm.clusters[0]).await;
    nothing_beyond(&user, &dcm.clusters[0], &cloud.namespace, "kube-system");
    cloud.terminate().await;
}

/// A cluster-wide permission to read everything of the core group reaches the kubelets' API, where reading is
/// enough to run commands in any pod.
#[tokio::test(flavor = "multi_thread")]
async fn no_star_reaches_the_kubelets() {
    let Some(dcm) = Fixture::start("no_star_reaches_the_kubelets", 1, &["--allow-cluster-wide-permissions"]).await
    else {
        return;
    };
    let cloud = dcm.known("attempt");
    for resource in ["*/proxy", "*"] {
        let mut attempt = permission("p", "", &[resource], &["get"]);
        attempt["namespace"] = "".into();
        let pointer = "/spec/user/user-permissions/0/resources";
        is_refused(&dcm, &cloud, &json!([attempt]), &json!({}), pointer).await;
    }
}

/// What a user tries who wants more than he has.
fn nothing_beyond(user: &User, cluster: &Cluster, own: &str, others: &str) {
    let attempts: &[&[&str]] = &[
        &["label", "namespace", own, "pod-security.kubernetes.io/enforce=privileged"],
        &["annotate", "namespace", own, "dcm.onap.org/generation=99", "--overwrite"],
        &["delete", "namespace", own],
        &["delete", "quota", "--all"],
        &["delete", "resourcequota", "q"],
        &["create", "quota", "more", "--hard=pods=1000"],
        &["create", "role", "more", "--verb=*", "--resource=pods"],
        &["create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=me"],
        &["create", "clusterrolebinding", "more", "--clusterrole=cluster-admin", "--user=me"],
        &["create", "token", "default"],
        &["create", "token", "default", "-n", "kube-system"],
        &["get", "secrets", "-n", "kube-system"],
        &["get", "secrets", "-A"],
        &["get", "configmaps", "-n", others],
        &["get", "rolebindings", "-n", others],
        &["get", "namespace", others],
        &["get", "certificatesigningrequests"],
        &["get", "nodes", "--as=system:admin"],
        &["get", "nodes", "--as=me", "--as-group=system:masters"],
        &["get", "--raw", "/metrics"],
    ];
    for attempt in attempts {
        let said = user.kubectl(attempt);
        assert!(!said.ok && said.err.to_lowercase().contains("forbidden"), "{attempt:?}: {}{}", said.out, said.err);
    }
    for kind in ["role", "rolebinding"] {
        let mut object = cluster.admin_json(&["get", kind, "-n", own])["items"][0].take();
        object["metadata"] = json!({ "name": object["metadata"]["name"], "namespace": own });
        if kind == "role" {
            object["rules"] = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
        } else {
            object["subjects"] = json!([{ "kind": "Group", "apiGroup": RBAC, "name": "system:authenticated" }]);
        }
        for verb in [["replace", "-f"], ["create", "-f"]] {
            let said = user.kubectl_with(&[verb[0], verb[1], "-"], &object);
            assert!(!said.ok && said.err.contains("forbidden"), "{kind}: {}{}", said.out, said.err);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_his_kubeconfig_gets_nowhere() {
    let Some(dcm) = Fixture::start("a_user_with_his_kubeconfig", 1, &[]).await else { return };
    let cluster = &dcm.clusters[0];
    let own = json!([
        permission(
            "p",
            "",
            &["configmaps", "secrets", "pods", "serviceaccounts"],
            &["get", "list", "create", "delete"]
        ),
        permission("apps", "apps", &["*"], &["*"]),
    ]);
    let (first, second) = (dcm.cloud("first", own.clone()).await, dcm.cloud("second", own).await);
    for cloud in [&first, &second] {
        cloud.quota("q", json!({ "pods": "5" })).await;
        cloud.apply().await;
    }
    let before = cluster.versions(&dcm.installation());
    for (cloud, other) in [(&first, &second), (&second, &first)] {
        nothing_beyond(&cloud.user(cluster).await, cluster, &cloud.namespace, &other.namespace);
    }
    // A secret that asks for the token of an account gets one of his own namespace at the most.
    let user = first.user(cluster).await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": { "name": "token", "annotations": { "kubernetes.io/service-account.name": dcm.clusters.id } },
    });
    user.kubectl_with(&["create", "-f", "-"], &secret).expect();
    crate::support::eventually("swept", || cluster.object("secret", &first.namespace, "token").is_none()).await;
    assert_eq!(cluster.versions(&dcm.installation()), before);
    first.terminate().await;
    second.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_others_stays_theirs() {
    let Some(dcm) = Fixture::start("a_namespace_of_others", 1, &[]).await else { return };
    let cluster = &dcm.clusters[0];
    let own = json!([permission("p", "", &["secrets"], &["*"])]);
    let first = dcm.cloud("first", own.clone()).await;
    first.apply().await;
    // Somebody's, and one of another installation of DCM.
    let (theirs, elsewhere) = (dcm.namespace("theirs"), dcm.namespace("elsewhere"));
    for namespace in [&theirs, &elsewhere] {
        cluster.admin(&["create", "namespace", namespace]).expect();
    }
    let installation = format!("{}=another", marks::INSTALLATION);
    cluster.admin(&["label", "namespace", &elsewhere, &installation]).expect();
    for (n, (namespace, policy)) in
        [(&theirs, "never"), (&theirs, "if-identical"), (&elsewhere, "always"), (&elsewhere, "if-identical")]
            .into_iter()
            .enumerate()
    {
        let before = cluster.object("namespace", "", namespace);
        let spec = json!({ "namespace": namespace, "adoption-policy": policy, "labels": { "team": "ours" } });
        let cloud = dcm.cloud_with(&format!("attempt-{n}"), own.clone(), spec).await;
        cloud.order("apply").await.expect(200);
        let status = cloud.wait_for("Creation Failed").await;
        assert_eq!(status["clusters"][0][&cluster.name]["reason"], "NotOurs", "{namespace} {policy}");
        assert_eq!(dcm.get(&format!("{}/kubeconfig?cluster-reference={}", cloud.path, cluster.name)).await.status, 409);
        cloud.terminate().await;
        assert_eq!(cluster.object("namespace", "", namespace), before);
        assert_eq!(cluster.admin_json(&["get", "roles", "-n", namespace])["items"], json!([]));
    }
    // Another logical cloud's: known by its reservation.
    let same = json!({ "namespace": first.namespace, "adoption-policy": "always" });
    let second = dcm.cloud_with("second", own, same).await;
    second.order("apply").await.expect(409);
    first.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_ours_on_objects_of_others_do_nothing() {
    let Some(dcm) = Fixture::start("labels_of_ours", 1, &ALL_OPTIONS).await else { return };
    let cluster = &dcm.clusters[0];
    let shared = dcm.namespace("shared");
    cluster.admin(&["create", "namespace", &shared]).expect();
    // A tenant whom the operator trusts with roles, in his namespace and in one that he shares with the other.
    let powers = |name: &str, namespace: Option<&str>| {
        let mut powers = permission(name, "*", &["*"], &["*"]);
        if let Some(namespace) = namespace {
            powers["namespace"] = namespace.into();
        }
        powers
    };
    let trusted = dcm.cloud("trusted", json!([powers("own", None), powers("shared", Some(&shared))])).await;
    let mut wide = permission("wide", "", &["nodes"], &["get"]);
    wide["namespace"] = "".into();
    let mut there = permission("there", "", &["pods"], &["get"]);
    there["namespace"] = shared.as_str().into();
    let victim = dcm.cloud("victim", json!([permission("p", "", &["configmaps"], &["get"]), wide, there])).await;
    for cloud in [&trusted, &victim] {
        cloud.quota("q", json!({ "pods": "5" })).await;
        cloud.apply().await;
    }
    let marks_of = async |cloud: &Cloud<'_>| {
        json!({
            (marks::INSTALLATION): dcm.installation(), (marks::CLOUD_UID): cloud.uid().await,
        })
    };
    let (his, theirs) = (marks_of(&trusted).await, marks_of(&victim).await);
    let user = trusted.user(cluster).await;
    let role = |name: &str, namespace: &str, labels: &Value| {
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "Role",
            "metadata": { "name": name, "namespace": namespace, "labels": labels }, "rules": [],
        })
    };
    let config_map = |labels: &Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "marked", "namespace": trusted.namespace, "labels": labels },
        })
    };
    let make = |object: &Value| user.kubectl_with(&["create", "-f", "-"], object).expect();
    // With the other's marks, in his own namespace and in the shared one; and with his own marks elsewhere.
    make(&role("stolen-marks", &trusted.namespace, &theirs));
    make(&role("stolen-marks", &shared, &theirs));
    make(&role("own-marks", &shared, &his));
    make(&config_map(&theirs));
    // With his own marks, where DCM looks after what carries them: that goes.
    make(&role("own-marks", &trusted.namespace, &his));
    let kept = || {
        [
            ("role", "stolen-marks", &trusted.namespace),
            ("role", "stolen-marks", &shared),
            ("role", "own-marks", &shared),
            ("configmap", "marked", &trusted.namespace),
        ]
        .map(|(kind, name, namespace)| {
            cluster.object(kind, namespace, name).map(|o| o["metadata"]["resourceVersion"].clone())
        })
    };
    let before = kept();
    assert!(before.iter().all(Option::is_some));
    let touched = cluster.versions(&dcm.installation());
    victim.apply().await;
    assert_eq!(cluster.versions(&dcm.installation()), touched);
    trusted.apply().await;
    crate::support::eventually("pruned", || cluster.object("role", &trusted.namespace, "own-marks").is_none()).await;
    assert_eq!(kept(), before);

    // He marks the namespace that he shares as the other's, and his own as well.
    for namespace in [&shared, &trusted.namespace] {
        let uid = format!("{}={}", marks::CLOUD_UID, theirs[marks::CLOUD_UID].as_str().unwrap());
        let installation = format!("{}={}", marks::INSTALLATION, dcm.installation());
        user.kubectl(&["label", "namespace", namespace, &uid, &installation, "--overwrite"]).expect();
    }
    victim.terminate().await;
    assert_eq!(kept(), before);
    for namespace in [&shared, &trusted.namespace] {
        assert_eq!(cluster.object("namespace", "", namespace).unwrap()["status"]["phase"], "Active");
    }
    assert_eq!(
        cluster.admin_json(&[
            "get",
            "roles",
            "-n",
            &shared,
            "-l",
            &format!("{}={}", marks::CLOUD_UID, theirs[marks::CLOUD_UID].as_str().unwrap())
        ])["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_named_like_another_clouds_object_is_not_that_object() {
    let Some(dcm) = Fixture::start("a_record_that_is_named", 1, &ALL_OPTIONS).await else { return };
    let cluster = &dcm.clusters[0];
    let mut wide = permission("wide", "", &["nodes"], &["get"]);
    wide["namespace"] = "".into();
    let first = dcm.cloud("first", json!([wide])).await;
    first.apply().await;
    let made = cluster.made_by("clusterroles", &dcm.installation());
    let [role] = &made[..] else { panic!("{made:#?}") };
    let name = role["metadata"]["name"].as_str().unwrap();
    let binding = || cluster.object("clusterrolebinding", "", name).unwrap();
    let before = (role.clone(), binding());

    let mut same = permission(name, "*", &["*"], &["*"]);
    same["namespace"] = "".into();
    let named = |name: &str| permission(name, "", &["configmaps"], &["*"]);
    let second = dcm.cloud("second", json!([same, named("cluster-admin"), named("admin")])).await;
    second.quota(name, json!({ "pods": "1" })).await;
    second.apply().await;
    let user = second.user(cluster).await;
    user.kubectl(&["get", "secrets", "-A"]).expect();
    second.terminate().await;
    user.is_forbidden(&["get", "secrets", "-A"]).await;
    assert_eq!((cluster.object("clusterrole", "", name).unwrap(), binding()), before);
    assert!(cluster.object("clusterrole", "", "cluster-admin").is_some());
    first.terminate().await;
}
