//! The bodies of the design's examples, word for word, with their comments, which are no JSON. Only the placeholder
//! `<name>` is filled in: no record may be called that.

use serde_json::Value;

pub(crate) const LOGICAL_CLOUD: &str = r#"{
  "metadata" : {
    "name": "lc-1", //unique name for the record
    "description": "logical cloud for walmart finance department", //description for the logical cloud
    "userData1":"<user data>",
    "userData2":"<user data>"
  },
  "spec" : {
    "namespace" : "ns-1", // one namespace per logical cloud
    "user" : {
      "user-name" : "user-1", //name of user for this cloud (username and logical cloud name would be used as subject for the user key)
      "type" : "certificate", //type of authentication credentials used by user (certificate, Token, UNPW)
      "user-permissions" : [
        { "permission-name" : "permission-1",
          "apiGroups" : ["stable.example.com"],
          "resources" : ["secrets", "pods"],
          "verbs" : ["get", "watch", "list", "create"]
        },
        { "permission-name" : "permission-2",
          "apiGroups" : [""],
          "resources" : ["configmaps"],
          "verbs" : ["*"]
        }
      ]
    }
  }
}"#;

/// Of the call that changes it: without a name.
pub(crate) const LOGICAL_CLOUD_CHANGED: &str = r#"{
  "metadata" : {
    "description": "logical cloud for walmart finance department", //description for the logical cloud
    "userData1":"<user data>",
    "userData2":"<user data>"
  },
  "spec" : {
    "namespace" : "ns-1", // one namespace per logical cloud
    "user" : {
      "user-name" : "user-1", //name of user for this cloud (username and logical cloud name would be used as subject for the user key)
      "type" : "certificate", //type of authentication credentials used by user (certificate, Token, UNPW)
      "user-permissions" : [
        { "permission-name" : "permission-1",
          "apiGroups" : ["stable.example.com"],
          "resources" : ["secrets", "pods"],
          "verbs" : ["get", "watch", "list", "create"]
        },
        { "permission-name" : "permission-2",
          "apiGroups" : [""],
          "resources" : ["configmaps"],
          "verbs" : ["*"]
        }
      ]
    }
  }
}"#;

pub(crate) const CLUSTER_REFERENCE: &str = r#"{
  "cluster-reference": "cluster-name", //name of the cluster
  "loadbalancer-ip" : "0.0.0.0" //IP address of the istio loadbalancer for the logical cloud control plane in the cluster
}"#;

/// Of the later revision.
pub(crate) const CLUSTER_REFERENCE_LONG: &str = r#"{
  "metadata" : {
    "name": "lc-cl-1",
    "description": "desc",
    "userData1":"<user data>",
    "userData2":"<user data>"
  },
  "spec" : {
    "cluster-provider": "cp-1",
    "cluster-name": "c1", //name of the cluster,
    "loadbalancer-ip" : "0.0.0.0" //IP address of the istio loadbalancer for the logical cloud control plane in the cluster
  }
}"#;

pub(crate) const USER_PERMISSION: &str =
    r#"{ "name" : "permission-3", "apiGroups" : [""], "resources" : ["jobs"], "verbs" : ["list"] }"#;

pub(crate) const USER_PERMISSION_CHANGED: &str = r#"{ "apiGroups" : [""], "resources" : ["pvc"], "verbs" : ["list"] }"#;

pub(crate) const QUOTA: &str = r#"{
  "metadata" : { "name" : "quota-1", "description": "desc" },
  "spec" : {
    "limits.cpu": "400", "limits.memory": "1000Gi", "requests.cpu": "300", "requests.memory": "900Gi",
    "requests.storage" : "500Gi", "requests.ephemeral-storage": "", "limits.ephemeral-storage": "",
    "persistentvolumeclaims" : " ", "pods": "500", "configmaps" : "", "replicationcontrollers": "",
    "resourcequotas" : "", "services": "", "services.loadbalancers" : "", "services.nodeports" : "", "secrets" : "",
    "count/replicationcontrollers" : "", "count/deployments.apps" : "", "count/replicasets.apps" : "",
    "count/statefulsets.apps" : "", "count/jobs.batch" : "", "count/cronjobs.batch" : "",
    "count/deployments.extensions" : ""
  }
}"#;

pub(crate) const QUOTA_CHANGED: &str =
    r#"{ "metadata" : { "description": "desc" }, "spec" : { "cpu": "400", "memory": "1000Gi", "pods": "500" } }"#;

pub(crate) const KV_PAIR: &str = r#"{
  "metadata":{ "name":"kv-1", "description":"<description>", "userData1":"<user data>", "userData2":"<user data>" },
  "spec":{ "kv":[ { "key1":"val1" }, { "key2":"val2" } ] }
}"#;

pub(crate) const KV_PAIR_CHANGED: &str = r#"{
  "metadata":{ "description":"<description>", "userData1":"<user data>", "userData2":"<user data>" },
  "spec":{ "kv":[ { "key1":"val3" }, { "key2":"val4" } ] }
}"#;

/// An example without its comments.
pub(crate) fn example(text: &str) -> Value {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(json, _)| json));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

pub(crate) fn logical_cloud() -> Value {
    example(LOGICAL_CLOUD)
}
