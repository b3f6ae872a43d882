//! The messages that are read: field numbers, JSON names and shapes. Fields that are not here are skipped.

pub(super) struct Message(pub(super) &'static [Field]);

pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Text,
    /// Base64 in JSON.
    Bytes,
    Number,
    Bool,
    Time,
    Quantity,
    Message(&'static Message),
    List(&'static Shape),
    Map(&'static Shape),
}

use Shape::{Bool, Bytes, List, Map, Number, Quantity, Text, Time};

const TEXTS: Shape = List(&Text);

const fn f(number: u32, name: &'static str, shape: Shape) -> Field {
    Field { number, name, shape }
}

const fn m(message: &'static Message) -> Shape {
    Shape::Message(message)
}

/// The message of a kind.
pub(super) fn of(kind: &str) -> Option<&'static Message> {
    KINDS.iter().find(|(name, _)| *name == kind).map(|(_, message)| *message)
}

pub(super) static UNKNOWN: Message = Message(&[f(1, "typeMeta", m(&TYPE_META)), f(2, "raw", Bytes)]);
static TYPE_META: Message = Message(&[f(1, "apiVersion", Text), f(2, "kind", Text)]);
pub(super) static QUANTITY: Message = Message(&[f(1, "string", Text)]);
pub(super) static TIME: Message = Message(&[f(1, "seconds", Number)]);

const METADATA: Field = f(1, "metadata", m(&OBJECT_META));
static OBJECT_META: Message = Message(&[
    f(1, "name", Text),
    f(2, "generateName", Text),
    f(3, "namespace", Text),
    f(5, "uid", Text),
    f(6, "resourceVersion", Text),
    f(7, "generation", Number),
    f(8, "creationTimestamp", Time),
    f(9, "deletionTimestamp", Time),
    f(11, "labels", Map(&Text)),
    f(12, "annotations", Map(&Text)),
    f(13, "ownerReferences", List(&m(&OWNER))),
    f(14, "finalizers", TEXTS),
]);
static OWNER: Message = Message(&[
    f(1, "kind", Text),
    f(3, "name", Text),
    f(4, "uid", Text),
    f(5, "apiVersion", Text),
    f(6, "controller", Bool),
    f(7, "blockOwnerDeletion", Bool),
]);

static KINDS: [(&str, &Message); 23] = [
    ("Namespace", &NAMESPACE),
    ("ConfigMap", &CONFIG_MAP),
    ("Secret", &SECRET),
    ("ServiceAccount", &SERVICE_ACCOUNT),
    ("ResourceQuota", &RESOURCE_QUOTA),
    ("Role", &ROLE),
    ("ClusterRole", &ROLE),
    ("RoleBinding", &BINDING),
    ("ClusterRoleBinding", &BINDING),
    ("CertificateSigningRequest", &SIGNING_REQUEST),
    ("TokenRequest", &TOKEN_REQUEST),
    ("TokenReview", &TOKEN_REVIEW),
    ("SelfSubjectReview", &ONLY_METADATA),
    ("SelfSubjectAccessReview", &ACCESS_REVIEW),
    ("SubjectAccessReview", &ACCESS_REVIEW),
    ("LocalSubjectAccessReview", &ACCESS_REVIEW),
    ("SelfSubjectRulesReview", &RULES_REVIEW),
    ("DeleteOptions", &DELETE_OPTIONS),
    ("Pod", &POD),
    ("Deployment", &DEPLOYMENT),
    ("Service", &SERVICE),
    ("Job", &JOB),
    ("CronJob", &CRON_JOB),
];

static ONLY_METADATA: Message = Message(&[METADATA]);
static FINALIZERS: Message = Message(&[f(1, "finalizers", TEXTS)]);
static NAMESPACE: Message = Message(&[METADATA, f(2, "spec", m(&FINALIZERS))]);
static CONFIG_MAP: Message =
    Message(&[METADATA, f(2, "data", Map(&Text)), f(3, "binaryData", Map(&Bytes)), f(4, "immutable", Bool)]);
static SECRET: Message = Message(&[
    METADATA,
    f(2, "data", Map(&Bytes)),
    f(3, "type", Text),
    f(4, "stringData", Map(&Text)),
    f(5, "immutable", Bool),
]);
static SERVICE_ACCOUNT: Message = Message(&[METADATA, f(4, "automountServiceAccountToken", Bool)]);
static QUOTA_SPEC: Message = Message(&[f(1, "hard", Map(&Quantity)), f(2, "scopes", TEXTS)]);
static RESOURCE_QUOTA: Message = Message(&[METADATA, f(2, "spec", m(&QUOTA_SPEC))]);

static RULE: Message = Message(&[
    f(1, "verbs", TEXTS),
    f(2, "apiGroups", TEXTS),
    f(3, "resources", TEXTS),
    f(4, "resourceNames", TEXTS),
    f(5, "nonResourceURLs", TEXTS),
]);
static ROLE: Message = Message(&[METADATA, f(2, "rules", List(&m(&RULE)))]);
static SUBJECT: Message =
    Message(&[f(1, "kind", Text), f(2, "apiGroup", Text), f(3, "name", Text), f(4, "namespace", Text)]);
static ROLE_REF: Message = Message(&[f(1, "apiGroup", Text), f(2, "kind", Text), f(3, "name", Text)]);
static BINDING: Message = Message(&[METADATA, f(2, "subjects", List(&m(&SUBJECT))), f(3, "roleRef", m(&ROLE_REF))]);

static SIGNING_CONDITION: Message = Message(&[
    f(1, "type", Text),
    f(2, "reason", Text),
    f(3, "message", Text),
    f(4, "lastUpdateTime", Time),
    f(5, "lastTransitionTime", Time),
    f(6, "status", Text),
]);
static SIGNING_STATUS: Message =
    Message(&[f(1, "conditions", List(&m(&SIGNING_CONDITION))), f(2, "certificate", Bytes)]);
static SIGNING_SPEC: Message = Message(&[
    f(1, "request", Bytes),
    f(2, "username", Text),
    f(3, "uid", Text),
    f(4, "groups", TEXTS),
    f(5, "usages", TEXTS),
    f(7, "signerName", Text),
    f(8, "expirationSeconds", Number),
]);
static SIGNING_REQUEST: Message =
    Message(&[METADATA, f(2, "spec", m(&SIGNING_SPEC)), f(3, "status", m(&SIGNING_STATUS))]);

static TOKEN_REQUEST_SPEC: Message = Message(&[f(1, "audiences", TEXTS), f(4, "expirationSeconds", Number)]);
static TOKEN_REQUEST: Message = Message(&[METADATA, f(2, "spec", m(&TOKEN_REQUEST_SPEC))]);
static TOKEN_REVIEW_SPEC: Message = Message(&[f(1, "token", Text), f(2, "audiences", TEXTS)]);
static TOKEN_REVIEW: Message = Message(&[METADATA, f(2, "spec", m(&TOKEN_REVIEW_SPEC))]);

static RESOURCE_ATTRIBUTES: Message = Message(&[
    f(1, "namespace", Text),
    f(2, "verb", Text),
    f(3, "group", Text),
    f(4, "version", Text),
    f(5, "resource", Text),
    f(6, "subresource", Text),
    f(7, "name", Text),
]);
static PATH_ATTRIBUTES: Message = Message(&[f(1, "path", Text), f(2, "verb", Text)]);
static ACCESS_SPEC: Message = Message(&[
    f(1, "resourceAttributes", m(&RESOURCE_ATTRIBUTES)),
    f(2, "nonResourceAttributes", m(&PATH_ATTRIBUTES)),
    f(3, "user", Text),
    f(4, "groups", TEXTS),
    f(6, "uid", Text),
]);
static ACCESS_REVIEW: Message = Message(&[METADATA, f(2, "spec", m(&ACCESS_SPEC))]);
static RULES_SPEC: Message = Message(&[f(1, "namespace", Text)]);
static RULES_REVIEW: Message = Message(&[METADATA, f(2, "spec", m(&RULES_SPEC))]);

static PRECONDITIONS: Message = Message(&[f(1, "uid", Text), f(2, "resourceVersion", Text)]);
static DELETE_OPTIONS: Message = Message(&[
    f(1, "gracePeriodSeconds", Number),
    f(2, "preconditions", m(&PRECONDITIONS)),
    f(4, "propagationPolicy", Text),
    f(5, "dryRun", TEXTS),
]);

static PORT: Message = Message(&[f(1, "name", Text), f(3, "containerPort", Number), f(4, "protocol", Text)]);
static RESOURCES: Message = Message(&[f(1, "limits", Map(&Quantity)), f(2, "requests", Map(&Quantity))]);
static VARIABLE: Message = Message(&[f(1, "name", Text), f(2, "value", Text)]);
static CONTAINER: Message = Message(&[
    f(1, "name", Text),
    f(2, "image", Text),
    f(3, "command", TEXTS),
    f(4, "args", TEXTS),
    f(6, "ports", List(&m(&PORT))),
    f(7, "env", List(&m(&VARIABLE))),
    f(8, "resources", m(&RESOURCES)),
]);
static POD_SPEC: Message =
    Message(&[f(2, "containers", List(&m(&CONTAINER))), f(3, "restartPolicy", Text), f(8, "serviceAccountName", Text)]);
static POD: Message = Message(&[METADATA, f(2, "spec", m(&POD_SPEC))]);
static LABEL_SELECTOR: Message = Message(&[f(1, "matchLabels", Map(&Text))]);
static DEPLOYMENT_SPEC: Message =
    Message(&[f(1, "replicas", Number), f(2, "selector", m(&LABEL_SELECTOR)), f(3, "template", m(&POD))]);
static DEPLOYMENT: Message = Message(&[METADATA, f(2, "spec", m(&DEPLOYMENT_SPEC))]);
static SERVICE_PORT: Message = Message(&[f(1, "name", Text), f(2, "protocol", Text), f(3, "port", Number)]);
static SERVICE_SPEC: Message =
    Message(&[f(1, "ports", List(&m(&SERVICE_PORT))), f(2, "selector", Map(&Text)), f(4, "type", Text)]);
static SERVICE: Message = Message(&[METADATA, f(2, "spec", m(&SERVICE_SPEC))]);
static JOB_SPEC: Message = Message(&[f(6, "template", m(&POD))]);
static JOB: Message = Message(&[METADATA, f(2, "spec", m(&JOB_SPEC))]);
static CRON_JOB_SPEC: Message = Message(&[f(1, "schedule", Text), f(5, "jobTemplate", m(&JOB))]);
static CRON_JOB: Message = Message(&[METADATA, f(2, "spec", m(&CRON_JOB_SPEC))]);
