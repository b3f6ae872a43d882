//! Simulated Kubernetes clusters: an HTTPS server that speaks the part of the Kubernetes API that DCM and kubectl need.
//!
//! A [`Cluster`] is a server on a loopback port with a CA of its own and its state in memory; a [`Simulation`] is a set
//! of them, made when they are first asked for. kube, kubectl and `curl` can't tell it from a real API server as long as
//! they stay within what is listed here, and each cluster can be made slow, faulty or absent while it runs ([`Faults`]).
//!
//! ```
//! use dcm_sim::{Cluster, ClusterOptions, Fault};
//!
//! # async fn example() -> Result<(), dcm_sim::Error> {
//! let cluster = Cluster::start(ClusterOptions::named("edge-1")).await?;
//! let kubeconfig = cluster.admin_kubeconfig(); // for kube, or written to a file for kubectl
//! cluster.faults().add(Fault::status(503).times(3).on_method("PATCH"));
//! assert_eq!(kubeconfig["clusters"][0]["cluster"]["server"], cluster.server());
//! assert!(cluster.objects().get("namespaces", "", "kube-system").is_some());
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # What it does
//!
//! Get, list (selectors, pages), watch (with bookmarks and 410), create, replace, delete (preconditions, finalizers,
//! collections) and patch (server-side apply with field ownership, merge, strategic merge, JSON patch), each with
//! dry run, on the core kinds, workloads, RBAC, signing requests and leases, and Istio's where
//! [`ClusterOptions::istio`] is set. Full RBAC with its escalation check, resource quotas, terminating namespaces,
//! signed client certificates, ServiceAccount tokens, access reviews, discovery. Its answers were compared with those of
//! Kubernetes 1.36.
//!
//! # What it does not do
//!
//! | not there | instead |
//! |---|---|
//! | kubelets, schedulers, workload controllers | pods stay `Pending`; a Deployment makes no pods, a Service gets no address |
//! | garbage collection by owner references, `propagationPolicy` | accepted and ignored |
//! | the ConfigMap `kube-root-ca.crt` in each namespace | only the ServiceAccount `default` is made |
//! | schemas | unknown fields are kept, `fieldValidation` is accepted and ignored, `kubectl explain` finds nothing; an apply checks maps of text and quotas only |
//! | associative lists in server-side apply | every list is one field, `finalizers` and containers too; no `"."` entries in `managedFields` |
//! | list types in strategic merge patches | a fixed list of names that are merged (containers, volumes, conditions, …); all others are replaced |
//! | tables | kubectl prints name and age |
//! | protobuf answers | answered in JSON; bodies in protobuf are read for the kinds that kubectl creates, and lose fields that `kubectl create` doesn't set |
//! | aggregated discovery | clients fall back to the plain one |
//! | consistent pages | later pages show the present state; 410 where the first page's revision is forgotten (10,000 changes) |
//! | signers but `kubernetes.io/kube-apiserver-client` | such requests stay approved and unsigned |
//! | tokens bound to pods or secrets, audiences | `boundObjectRef` is ignored, every audience is accepted |
//! | quota on changes | a quota is checked when something is created, not when it grows |
//! | quota scopes, LimitRange, pod security, webhooks, custom resource definitions | stored where there is a kind for it, without effect |
//! | default values beyond names of RBAC groups, Service and Secret types | objects stay as they were sent |
//! | `pods/log`, `exec`, `scale`, `eviction`, `binding` | 400 or 404 |
//!
//! # Where it departs from what was seen
//!
//! - An apply with a bare number in a quota is 500, as with Kubernetes 1.20; 1.36 takes it.
//! - A quota's status is there in the answer of its creation; a real one is filled a moment later, with a new
//!   `resourceVersion`.
//! - Unknown paths are answered with a `Status` object; real servers send plain text for some of them.
//! - Anonymous requests are 401 except for health and version; real servers say 403 to them where they allow any.

mod admission;
mod api;
mod auth;
mod clock;
mod cluster;
mod controller;
mod error;
mod faults;
mod fields;
mod http;
mod json;
mod kinds;
mod pki;
mod protobuf;
mod quantity;
mod requests;
mod selector;
mod server;
mod shared;
mod simulation;
mod state;
mod status;

pub use cluster::{Cluster, ClusterOptions, Objects, Secret};
pub use error::Error;
pub use faults::{Fault, Faults};
pub use requests::RequestRecord;
pub use simulation::Simulation;
