//! Carries logical clouds to Kubernetes clusters.
//!
//! [`kube`] talks to the clusters' API servers; the [`layer`]s are synchronizers around a synchronizer.

pub mod kube;
pub mod layer;
