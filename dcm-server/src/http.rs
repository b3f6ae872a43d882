//! The REST edge: `/v2` over HTTP/1.1 and HTTP/2.

mod body;
mod cloud_status;
mod clusters;
mod compression;
mod condition;
mod dto;
mod edge;
mod encryption;
mod health;
mod kubeconfigs;
mod kv_pairs;
mod logical_clouds;
mod metrics;
mod orders;
mod page;
mod path;
mod permissions;
mod previews;
mod problem;
mod projects;
mod providers;
mod quality;
mod query;
mod quotas;
mod references;
mod reply;
mod request_id;
mod router;
mod routes;
mod server;
mod trust;

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use dcm_core::service::Dcm;

pub(crate) use edge::Edge;
pub(crate) use metrics::HttpMetrics;
pub(crate) use server::Server;
pub(crate) use trust::Trust;

use crate::metrics::Metrics;
use problem::Problem;

/// What a handler answers.
type Answer = Result<Response, Problem>;

/// What handlers work with.
type App = Arc<Shared>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dcm: Dcm,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
}

/// Bounds that the edge keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many connections there may be; more of them wait.
    pub(crate) connections: usize,
    /// How many requests may be served at once; more of them are turned away.
    pub(crate) requests: usize,
    /// How long the header of a request may take.
    pub(crate) header_timeout: Duration,
    /// How long its body may take.
    pub(crate) body_timeout: Duration,
    /// How long its answer may take.
    pub(crate) request_timeout: Duration,
    /// How long requests in flight may take at the end.
    pub(crate) stop_timeout: Duration,
}
