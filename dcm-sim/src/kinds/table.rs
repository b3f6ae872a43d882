//! The table itself. Rows with a name stand first, so that their numbers can be constants.

use super::{Kind, KindId, Naming, Review, Subresource};

const READ_WRITE: &[&str] = &["get", "patch", "update"];

/// A row to start from: a namespaced kind of the core group without anything special.
const PLAIN: Kind = Kind {
    api_version: "v1",
    kind: "",
    plural: "",
    short: &[],
    namespaced: true,
    naming: Naming::Subdomain,
    status: false,
    generation: false,
    in_all: false,
    istio: false,
    subresources: &[],
};

/// A row to start from: a custom resource of Istio.
const ISTIO: Kind =
    Kind { api_version: "networking.istio.io/v1", status: true, generation: true, istio: true, ..PLAIN };

const fn sub(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Subresource {
    Subresource { name, kind, api_version: None, verbs }
}

pub(crate) const NAMESPACES: KindId = KindId(0);
pub(crate) const CONFIGMAPS: KindId = KindId(1);
pub(crate) const SECRETS: KindId = KindId(2);
pub(crate) const PODS: KindId = KindId(3);
pub(crate) const SERVICEACCOUNTS: KindId = KindId(4);
pub(crate) const RESOURCEQUOTAS: KindId = KindId(5);
pub(crate) const SERVICES: KindId = KindId(6);
pub(crate) const PERSISTENTVOLUMECLAIMS: KindId = KindId(7);
pub(crate) const REPLICATIONCONTROLLERS: KindId = KindId(8);
pub(crate) const ROLES: KindId = KindId(9);
pub(crate) const ROLEBINDINGS: KindId = KindId(10);
pub(crate) const CLUSTERROLES: KindId = KindId(11);
pub(crate) const CLUSTERROLEBINDINGS: KindId = KindId(12);
pub(crate) const SIGNINGREQUESTS: KindId = KindId(13);

pub(crate) static KINDS: [Kind; 32] = [
    Kind {
        kind: "Namespace",
        plural: "namespaces",
        short: &["ns"],
        namespaced: false,
        naming: Naming::Label,
        status: true,
        subresources: &[sub("status", "Namespace", READ_WRITE), sub("finalize", "Namespace", &["update"])],
        ..PLAIN
    },
    Kind { kind: "ConfigMap", plural: "configmaps", short: &["cm"], ..PLAIN },
    Kind { kind: "Secret", plural: "secrets", ..PLAIN },
    Kind {
        kind: "Pod",
        plural: "pods",
        short: &["po"],
        status: true,
        in_all: true,
        subresources: &[sub("status", "Pod", READ_WRITE), sub("log", "Pod", &["get"])],
        ..PLAIN
    },
    Kind {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short: &["sa"],
        subresources: &[Subresource {
            api_version: Some("authentication.k8s.io/v1"),
            ..sub("token", "TokenRequest", &["create"])
        }],
        ..PLAIN
    },
    Kind {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        short: &["quota"],
        status: true,
        subresources: &[sub("status", "ResourceQuota", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        kind: "Service",
        plural: "services",
        short: &["svc"],
        naming: Naming::Service,
        status: true,
        in_all: true,
        subresources: &[sub("status", "Service", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        short: &["pvc"],
        status: true,
        subresources: &[sub("status", "PersistentVolumeClaim", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        kind: "ReplicationController",
        plural: "replicationcontrollers",
        short: &["rc"],
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "ReplicationController", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        plural: "roles",
        naming: Naming::PathSegment,
        ..PLAIN
    },
    Kind {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        plural: "rolebindings",
        naming: Naming::PathSegment,
        ..PLAIN
    },
    Kind {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        plural: "clusterroles",
        namespaced: false,
        naming: Naming::PathSegment,
        ..PLAIN
    },
    Kind {
        api_version: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        namespaced: false,
        naming: Naming::PathSegment,
        ..PLAIN
    },
    Kind {
        api_version: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        plural: "certificatesigningrequests",
        short: &["csr"],
        namespaced: false,
        status: true,
        subresources: &[
            sub("status", "CertificateSigningRequest", READ_WRITE),
            sub("approval", "CertificateSigningRequest", READ_WRITE),
        ],
        ..PLAIN
    },
    Kind { kind: "Event", plural: "events", short: &["ev"], ..PLAIN },
    Kind { kind: "LimitRange", plural: "limitranges", short: &["limits"], ..PLAIN },
    Kind {
        api_version: "apps/v1",
        kind: "Deployment",
        plural: "deployments",
        short: &["deploy"],
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "Deployment", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        api_version: "apps/v1",
        kind: "ReplicaSet",
        plural: "replicasets",
        short: &["rs"],
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "ReplicaSet", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        api_version: "apps/v1",
        kind: "StatefulSet",
        plural: "statefulsets",
        short: &["sts"],
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "StatefulSet", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        api_version: "batch/v1",
        kind: "Job",
        plural: "jobs",
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "Job", READ_WRITE)],
        ..PLAIN
    },
    Kind {
        api_version: "batch/v1",
        kind: "CronJob",
        plural: "cronjobs",
        short: &["cj"],
        status: true,
        generation: true,
        in_all: true,
        subresources: &[sub("status", "CronJob", READ_WRITE)],
        ..PLAIN
    },
    Kind { api_version: "coordination.k8s.io/v1", kind: "Lease", plural: "leases", ..PLAIN },
    Kind {
        kind: "Gateway",
        plural: "gateways",
        short: &["gw"],
        subresources: &[sub("status", "Gateway", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        kind: "VirtualService",
        plural: "virtualservices",
        short: &["vs"],
        subresources: &[sub("status", "VirtualService", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        kind: "DestinationRule",
        plural: "destinationrules",
        short: &["dr"],
        subresources: &[sub("status", "DestinationRule", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        kind: "ServiceEntry",
        plural: "serviceentries",
        short: &["se"],
        subresources: &[sub("status", "ServiceEntry", READ_WRITE)],
        ..ISTIO
    },
    Kind { kind: "Sidecar", plural: "sidecars", subresources: &[sub("status", "Sidecar", READ_WRITE)], ..ISTIO },
    Kind {
        kind: "WorkloadEntry",
        plural: "workloadentries",
        short: &["we"],
        subresources: &[sub("status", "WorkloadEntry", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        api_version: "networking.istio.io/v1alpha3",
        kind: "EnvoyFilter",
        plural: "envoyfilters",
        subresources: &[sub("status", "EnvoyFilter", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        api_version: "security.istio.io/v1",
        kind: "PeerAuthentication",
        plural: "peerauthentications",
        short: &["pa"],
        subresources: &[sub("status", "PeerAuthentication", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        api_version: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        plural: "authorizationpolicies",
        short: &["ap"],
        subresources: &[sub("status", "AuthorizationPolicy", READ_WRITE)],
        ..ISTIO
    },
    Kind {
        api_version: "security.istio.io/v1",
        kind: "RequestAuthentication",
        plural: "requestauthentications",
        short: &["ra"],
        subresources: &[sub("status", "RequestAuthentication", READ_WRITE)],
        ..ISTIO
    },
];

pub(crate) static REVIEWS: [Review; 6] = [
    Review {
        api_version: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        namespaced: false,
    },
    Review {
        api_version: "authorization.k8s.io/v1",
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        namespaced: false,
    },
    Review {
        api_version: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        namespaced: false,
    },
    Review {
        api_version: "authorization.k8s.io/v1",
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        namespaced: true,
    },
    Review {
        api_version: "authentication.k8s.io/v1",
        kind: "SelfSubjectReview",
        plural: "selfsubjectreviews",
        namespaced: false,
    },
    Review { api_version: "authentication.k8s.io/v1", kind: "TokenReview", plural: "tokenreviews", namespaced: false },
];
