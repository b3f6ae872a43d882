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
//! `docs/simulator.md` in the repository lists it, and where a simulated cluster departs from real ones.

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
