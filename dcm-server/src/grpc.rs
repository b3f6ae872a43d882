//! The gRPC edge: `dcm.v1` over HTTP/2, with the rules and the words of REST.

mod call;
mod caught;
mod cloud_status;
mod cluster_kv_pairs;
mod cluster_labels;
mod clusters;
mod controllers;
mod convert;
mod deadline;
mod edge;
mod health;
mod kubeconfigs;
mod kv_pairs;
mod logical_clouds;
mod methods;
mod metrics;
mod names;
mod orders;
mod page;
mod permissions;
mod previews;
mod projects;
mod providers;
mod quotas;
mod references;
mod reply;
mod services;
mod status;
mod status_notify;
mod synchronizer;
mod watch;
mod watches;
mod whole;

pub(crate) use edge::Edge;
pub(crate) use metrics::GrpcMetrics;
pub(crate) use services::Offer;

use crate::http::{App, Problem};
use reply::Reply;

/// What a handler answers.
type Answer<T> = Result<Reply<T>, Problem>;
