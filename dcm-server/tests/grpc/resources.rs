//! Each resource: made over one edge, it is the same over the other, field for field.

use dcm_proto::v1 as pb;
use serde_json::{Value, json};

use crate::{
    asked, same,
    support::{CLOUDS, CLUSTERS, Dcm, LC, cloud, kubeconfig},
};

/// What each of the calls of a resource is.
macro_rules! resource {
    (
        $dcm:ident.$client:ident, $list:expr, parent { $($parent:ident: $of:literal),* },
        $field:ident, $plural:ident, $name_field:ident, $to:path, $from:path,
        create $create:ident $create_request:ident, get $get:ident $get_request:ident,
        list $list_call:ident $list_request:ident, update $update:ident $update_request:ident,
        delete $delete:ident $delete_request:ident, bodies $first:expr, $second:expr,
    ) => {{
        let (first, second): (Value, Value) = ($first, $second);
        let list: String = $list;
        let name = |body: &Value| {
            let named = body["metadata"]["name"].as_str().or(body["name"].as_str()).or(body["label-name"].as_str());
            named.unwrap().to_owned()
        };
        // Made over gRPC, it is the same over REST.
        let asked = pb::$create_request { $($parent: $of.to_owned(),)* $field: $from(&first) };
        let made = $dcm.$client().$create(asked).await.unwrap().into_inner().$field.unwrap();
        let path = format!("{list}/{}", name(&first));
        let read = $dcm.get(&path).await;
        assert_eq!(read.header("etag"), made.etag, "{path}");
        assert_eq!(read.expect(200), $to(&made));
        // Made over REST, it is the same over gRPC.
        let posted = $dcm.post(&list, &second).await;
        assert!(matches!(posted.status, 200 | 201), "{}", posted.body);
        let get = |body: &Value| pb::$get_request { $($parent: $of.to_owned(),)* $name_field: name(body), ..Default::default() };
        let found = $dcm.$client().$get(get(&second)).await.unwrap().into_inner();
        assert!(!found.not_modified);
        assert_eq!(posted.body, $to(&found.$field.unwrap()));
        // Both are in both lists.
        let asked = pb::$list_request { $($parent: $of.to_owned(),)* ..Default::default() };
        let listed = $dcm.$client().$list_call(asked).await.unwrap().into_inner();
        let rest = $dcm.get(&list).await.expect(200);
        let rest = rest.get("permissions").unwrap_or(&rest);
        let all: Vec<Value> = listed.$plural.iter().map($to).collect();
        let names = |list: &[Value]| list.iter().map(name).collect::<Vec<_>>();
        assert_eq!(names(rest.as_array().unwrap()), names(&all));
        assert_eq!(listed.next_page_token, "");
        // What PUT makes of a body, an update makes of the same message; the name may be left out.
        let mut body = second.clone();
        for place in ["metadata", ""] {
            let object = if place.is_empty() { &mut body } else { &mut body[place] };
            if let Some(object) = object.as_object_mut() {
                object.remove("name");
                object.remove("label-name");
            }
        }
        let request = pb::$update_request {
            $($parent: $of.to_owned(),)* $name_field: name(&first), $field: $from(&body), ..Default::default()
        };
        let updated = $dcm.$client().$update(request).await.unwrap().into_inner().$field.unwrap();
        assert_ne!(updated.etag, made.etag);
        let mut put = $dcm.put(&path, &body).await;
        assert!(matches!(put.status, 200 | 201), "{}", put.body);
        let mut updated = $to(&updated);
        // What REST calls the user's name in the answer to PUT, and what another write changes.
        for differing in ["user", "user-name", "health", "generation"] {
            put.body.as_object_mut().unwrap().remove(differing);
            updated.as_object_mut().unwrap().remove(differing);
        }
        assert_eq!(put.body, updated);
        // What one deletes is gone for the other.
        let request = pb::$delete_request { $($parent: $of.to_owned(),)* $name_field: name(&first), ..Default::default() };
        $dcm.$client().$delete(request).await.unwrap();
        assert_eq!($dcm.get(&path).await.status, 404);
        let gone = $dcm.delete(&format!("{list}/{}", name(&second))).await;
        assert_eq!(gone.status, 204, "{}", gone.body);
        let status = $dcm.$client().$get(get(&second)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
    }};
}

#[tokio::test]
async fn a_logical_cloud_is_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    let mut other = cloud();
    other["metadata"]["name"] = json!("lc-2");
    other["spec"] = json!({
        "namespace": "ns-2", "trust-domain": "td.example.com", "mesh": "none", "adoption-policy": "if-identical", "delete-policy": "keep",
        "user": { "user-name": "u@example.com", "type": "token" },
    });
    resource! {
        dcm.clouds, CLOUDS.to_owned(), parent { project: "p" }, logical_cloud, logical_clouds, name, same::cloud, asked::cloud_of,
        create create_logical_cloud CreateLogicalCloudRequest, get get_logical_cloud GetLogicalCloudRequest,
        list list_logical_clouds ListLogicalCloudsRequest, update update_logical_cloud UpdateLogicalCloudRequest,
        delete delete_logical_cloud DeleteLogicalCloudRequest, bodies cloud(), other,
    }
    dcm.stop().await;
}

#[tokio::test]
async fn an_admin_cloud_and_what_it_may_do_are_the_same_over_both() {
    let dcm = Dcm::start(&[
        "--allow-admin-clouds",
        "--allow-cluster-wide-permissions",
        "--allow-foreign-namespace-permissions",
    ])
    .await;
    let admin = json!({ "metadata": { "name": "lc-0" }, "spec": { "level": "0" } });
    let asked = pb::CreateLogicalCloudRequest { project: "p".to_owned(), logical_cloud: asked::cloud_of(&admin) };
    let made = dcm.clouds().create_logical_cloud(asked).await.unwrap().into_inner().logical_cloud.unwrap();
    assert_eq!(dcm.get(&format!("{CLOUDS}/lc-0")).await.expect(200), same::cloud(&made));
    dcm.with_cloud().await;
    for (name, namespace) in [("wide", ""), ("elsewhere", "ns-9")] {
        let rule =
            json!({ "name": name, "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "namespace": namespace });
        let asked = pb::CreateUserPermissionRequest {
            project: "p".to_owned(),
            logical_cloud: "lc-1".to_owned(),
            user_permission: asked::permission_of(&rule),
        };
        let made = dcm.clouds().create_user_permission(asked).await.unwrap().into_inner().user_permission.unwrap();
        let read = dcm.get(&format!("{LC}/user-permissions/{name}")).await.expect(200);
        assert_eq!((&read, &read["namespace"]), (&same::permission(&made), &json!(namespace)));
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_cluster_reference_is_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    for name in ["c1", "c2"] {
        let body = json!({ "metadata": { "name": name }, "spec": { "kubeconfig": kubeconfig() } });
        dcm.post(CLUSTERS, &body).await.expect(201);
    }
    let reference = |name: &str, cluster: &str, ip: &str| json!({ "metadata": { "name": name, "description": "d" }, "spec": { "cluster-provider": "default", "cluster-name": cluster, "loadbalancer-ip": ip } });
    // A reference cannot be moved, so both are to one cluster, one after the other.
    for (first, second) in [(reference("r1", "c1", "10.0.0.1"), reference("r2", "c2", "2001:db8::1"))] {
        let path = format!("{LC}/cluster-references");
        let parents = || ("p".to_owned(), "lc-1".to_owned());
        let (project, logical_cloud) = parents();
        let asked = pb::CreateClusterReferenceRequest {
            project,
            logical_cloud,
            cluster_reference: asked::reference_of(&first),
        };
        let made = dcm.clouds().create_cluster_reference(asked).await.unwrap().into_inner().cluster_reference.unwrap();
        let read = dcm.get(&format!("{path}/r1")).await;
        assert_eq!(read.header("etag"), made.etag);
        assert_eq!(read.expect(200), same::reference(&made));
        let posted = dcm.post(&path, &second).await.expect(200);
        // By the name of its cluster, too.
        for name in ["r2", "c2"] {
            let (project, logical_cloud) = parents();
            let asked =
                pb::GetClusterReferenceRequest { project, logical_cloud, name: name.to_owned(), ..Default::default() };
            let found =
                dcm.clouds().get_cluster_reference(asked).await.unwrap().into_inner().cluster_reference.unwrap();
            assert_eq!(posted, same::reference(&found));
        }
        let (project, logical_cloud) = parents();
        let asked = pb::ListClusterReferencesRequest { project, logical_cloud, ..Default::default() };
        let listed = dcm.clouds().list_cluster_references(asked).await.unwrap().into_inner().cluster_references;
        let listed: Vec<Value> = listed.iter().map(same::reference).collect();
        assert_eq!(dcm.get(&path).await.expect(200), json!(listed));
        let (project, logical_cloud) = parents();
        let body = reference("r1", "c1", "10.0.0.9");
        let asked = pb::UpdateClusterReferenceRequest {
            project,
            logical_cloud,
            name: "r1".to_owned(),
            cluster_reference: asked::reference_of(&body),
            ..Default::default()
        };
        let updated =
            dcm.clouds().update_cluster_reference(asked).await.unwrap().into_inner().cluster_reference.unwrap();
        assert_eq!(dcm.put(&format!("{path}/r1"), &body).await.expect(200), same::reference(&updated));
        let (project, logical_cloud) = parents();
        let asked =
            pb::DeleteClusterReferenceRequest { project, logical_cloud, name: "r1".to_owned(), ..Default::default() };
        assert!(!dcm.clouds().delete_cluster_reference(asked).await.unwrap().into_inner().accepted);
        assert_eq!(dcm.get(&format!("{path}/r1")).await.status, 404);
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_user_permission_is_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let rule = |name: &str| json!({ "name": name, "apiGroups": ["", "apps"], "resources": ["pods", "pods/log"], "verbs": ["get", "list"], "resourceNames": ["a", "b"] });
    resource! {
        dcm.clouds, format!("{LC}/user-permissions"), parent { project: "p", logical_cloud: "lc-1" },
        user_permission, user_permissions, name, same::permission, asked::permission_of,
        create create_user_permission CreateUserPermissionRequest, get get_user_permission GetUserPermissionRequest,
        list list_user_permissions ListUserPermissionsRequest, update update_user_permission UpdateUserPermissionRequest,
        delete delete_user_permission DeleteUserPermissionRequest,
        bodies rule("one"), json!({ "name": "two", "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }),
    }
    let listed = pb::ListUserPermissionsRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        ..Default::default()
    };
    let listed = dcm.clouds().list_user_permissions(listed).await.unwrap().into_inner();
    let flat: Vec<Value> = listed.user_permissions.iter().map(same::flat_permission).collect();
    assert_eq!(dcm.get(&format!("{LC}/user-permissions")).await.expect(200), json!({ "permissions": flat }));
    dcm.stop().await;
}

#[tokio::test]
async fn a_quota_is_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let quota = |name: &str, spec: Value| json!({ "metadata": { "name": name, "description": "of it" }, "spec": spec });
    resource! {
        dcm.clouds, format!("{LC}/cluster-quotas"), parent { project: "p", logical_cloud: "lc-1" },
        quota, quotas, name, same::quota, asked::quota_of,
        create create_quota CreateQuotaRequest, get get_quota GetQuotaRequest,
        list list_quotas ListQuotasRequest, update update_quota UpdateQuotaRequest, delete delete_quota DeleteQuotaRequest,
        bodies quota("one", json!({ "limits.cpu": "400", "pods": "", "count/jobs.batch": "5" })), quota("two", json!({ "memory": "1Gi" })),
    }
    dcm.stop().await;
}

/// All that JSON has, and the integers that fit into 64 bits and no floating-point number.
fn pairs(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "kv": [
        { "k": "v" }, { "n": 7 }, { "large": u64::MAX }, { "small": i64::MIN }, { "f": 1.5 }, { "null": null }, { "k": { "a.b": [1, { "$c": "ä\n\"" }] } },
        { "": true }, { "object": {} }, { "list": [] },
    ] } })
}

#[tokio::test]
async fn a_kv_pair_holds_any_json_over_both() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    resource! {
        dcm.clouds, format!("{LC}/kv-pairs"), parent { project: "p", logical_cloud: "lc-1" },
        kv_pair, kv_pairs, name, same::kv_pair, asked::kv_pair_of,
        create create_kv_pair CreateKvPairRequest, get get_kv_pair GetKvPairRequest,
        list list_kv_pairs ListKvPairsRequest, update update_kv_pair UpdateKvPairRequest, delete delete_kv_pair DeleteKvPairRequest,
        bodies pairs("one"), json!({ "metadata": { "name": "two" }, "spec": { "kv": [] } }),
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_project_a_provider_and_a_controller_are_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    let record = |name: &str| json!({ "metadata": { "name": name, "description": "d", "userData1": name } });
    resource! {
        dcm.projects, "/v2/projects".to_owned(), parent {}, project, projects, name, same::project, asked::project_of,
        create create_project CreateProjectRequest, get get_project GetProjectRequest, list list_projects ListProjectsRequest,
        update update_project UpdateProjectRequest, delete delete_project DeleteProjectRequest, bodies record("one"), record("two"),
    }
    resource! {
        dcm.clusters, "/v2/cluster-providers".to_owned(), parent {}, cluster_provider, cluster_providers, name, same::provider, asked::provider_of,
        create create_cluster_provider CreateClusterProviderRequest, get get_cluster_provider GetClusterProviderRequest,
        list list_cluster_providers ListClusterProvidersRequest, update update_cluster_provider UpdateClusterProviderRequest,
        delete delete_cluster_provider DeleteClusterProviderRequest, bodies record("one"), record("two"),
    }
    let controller = |name: &str, spec: Value| json!({ "metadata": { "name": name }, "spec": spec });
    resource! {
        dcm.controllers, "/v2/controllers".to_owned(), parent {}, controller, controllers, name, same::controller, asked::controller_of,
        create create_controller CreateControllerRequest, get get_controller GetControllerRequest,
        list list_controllers ListControllersRequest, update update_controller UpdateControllerRequest,
        delete delete_controller DeleteControllerRequest,
        bodies controller("ca", json!({ "host": "ca.example.com", "port": 9078 })),
            controller("placement", json!({ "host": "::1", "port": 1, "type": "placement", "priority": 0 })),
    }
    dcm.stop().await;
}

#[tokio::test]
async fn a_cluster_its_labels_and_kv_pairs_are_the_same_over_both() {
    let dcm = Dcm::start(&[]).await;
    let cluster = |name: &str, labels: Value, config: Value| json!({ "metadata": { "name": name }, "spec": { "kubeconfig": config, "labels": labels } });
    let mut istio = cluster("two", json!({ "region": "north" }), kubeconfig());
    istio["spec"]["istio-version"] = json!("1.28.0");
    resource! {
        dcm.clusters, CLUSTERS.to_owned(), parent { cluster_provider: "default" }, cluster, clusters, name, same::cluster, asked::cluster_of,
        create create_cluster CreateClusterRequest, get get_cluster GetClusterRequest, list list_clusters ListClustersRequest,
        update update_cluster UpdateClusterRequest, delete delete_cluster DeleteClusterRequest,
        // A kubeconfig is a text, of YAML or JSON.
        bodies cluster("one", json!({}), json!(kubeconfig().to_string())), istio,
    }
    dcm.post(CLUSTERS, &cluster("c", json!({ "a": "b" }), kubeconfig())).await.expect(201);
    let label = |name: &str, value: &str| json!({ "label-name": name, "value": value });
    resource! {
        dcm.clusters, format!("{CLUSTERS}/c/labels"), parent { cluster_provider: "default", cluster: "c" },
        cluster_label, cluster_labels, label_name, same::label, asked::label_of,
        create create_cluster_label CreateClusterLabelRequest, get get_cluster_label GetClusterLabelRequest,
        list list_cluster_labels ListClusterLabelsRequest, update update_cluster_label UpdateClusterLabelRequest,
        delete delete_cluster_label DeleteClusterLabelRequest, bodies label("one", "1"), label("two", ""),
    }
    resource! {
        dcm.clusters, format!("{CLUSTERS}/c/kv-pairs"), parent { cluster_provider: "default", cluster: "c" },
        kv_pair, kv_pairs, name, same::kv_pair, asked::kv_pair_of,
        create create_cluster_kv_pair CreateClusterKvPairRequest, get get_cluster_kv_pair GetClusterKvPairRequest,
        list list_cluster_kv_pairs ListClusterKvPairsRequest, update update_cluster_kv_pair UpdateClusterKvPairRequest,
        delete delete_cluster_kv_pair DeleteClusterKvPairRequest,
        bodies pairs("one"), json!({ "metadata": { "name": "two" }, "spec": { "kv": [{ "x": 1 }] } }),
    }
    dcm.stop().await;
}

#[tokio::test]
async fn what_is_to_be_known_although_it_was_served_comes_along() {
    let dcm = Dcm::start(&[]).await;
    dcm.with_cloud().await;
    let rule =
        |name: &str| json!({ "name": name, "apiGroups": ["apps"], "resources": ["deploymentz"], "verbs": ["gett"] });
    let rest = dcm.post(&format!("{LC}/user-permissions"), &rule("one")).await;
    let warnings = |values: Vec<String>| values.into_iter().map(|text| text.replace("one", "two")).collect::<Vec<_>>();
    let told = rest.headers.get_all("warning").iter().map(|value| {
        let text = value.to_str().unwrap().strip_prefix("299 - \"").unwrap().strip_suffix('"').unwrap();
        text.replace("\\\"", "\"").replace("\\\\", "\\")
    });
    let told = warnings(told.collect());
    let asked = pb::CreateUserPermissionRequest {
        project: "p".to_owned(),
        logical_cloud: "lc-1".to_owned(),
        user_permission: asked::permission_of(&rule("two")),
    };
    let made = dcm.clouds().create_user_permission(asked).await.unwrap();
    let values = made.metadata().get_all("dcm-warning").iter().map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(values.collect::<Vec<_>>(), told);
    assert!(!told.is_empty());
    dcm.stop().await;
}
