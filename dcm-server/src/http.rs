//! The REST edge: `/v2` over HTTP/1.1 and HTTP/2.

mod accept;
mod api;
mod body;
mod cloud_status;
mod cluster_kv_pairs;
mod cluster_labels;
mod clusters;
mod compression;
mod condition;
mod contract;
mod controllers;
mod docs;
pub(crate) mod dto;
mod edge;
mod encryption;
mod health;
mod kubeconfigs;
mod kv_pairs;
mod logical_clouds;
mod metrics;
mod orders;
mod page;
mod patch;
mod path;
mod permissions;
mod previews;
mod problem;
mod projects;
mod providers;
mod quality;
mod query;
mod quotas;
mod record;
mod references;
mod reply;
mod request_id;
mod room;
mod router;
mod routes;
mod trust;
mod waiting;
mod watch;

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use dcm_core::service::Dcm;

pub(crate) use edge::Edge;
pub(crate) use metrics::HttpMetrics;
pub(crate) use router::Surface;
pub(crate) use trust::Trust;

use crate::{metrics::Metrics, readiness::Readiness};
pub(crate) use body::read_whole;
pub(crate) use condition::Conditions;
use patch::Turns;
pub(crate) use problem::Problem;
pub(crate) use request_id::{RequestIds, X_REQUEST_ID};
pub(crate) use room::Held;
use watch::Watches;
pub(crate) use watch::{Place, Shown, rest};

/// What a handler answers.
type Answer = Result<Response, Problem>;

/// What handlers work with.
pub(crate) type App = Arc<Shared>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dcm: Dcm,
    pub(crate) limits: Limits,
    /// The room for bodies.
    pub(crate) room: room::Room,
    /// The room for answers.
    pub(crate) answers: room::Room,
    pub(crate) watches: Watches,
    /// Where patches wait that lost against others.
    pub(crate) turns: Turns,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
}

impl Shared {
    pub(crate) fn new(dcm: Dcm, limits: Limits, metrics: Metrics, readiness: Readiness) -> Self {
        let room = room::Room::new(limits.bodies_in_memory);
        let answers = room::Room::new(limits.answers_in_memory);
        let watches = Watches::at_most(limits.watches);
        Self { dcm, limits, room, answers, watches, turns: Turns::default(), metrics, readiness }
    }

    /// On a store in memory, with bounds that a test meets soon.
    #[cfg(test)]
    pub(crate) async fn for_tests() -> App {
        use crate::metrics::Counted;
        let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        let dcm = dcm_test_utils::builders::Fixture::new(store).await.unwrap().dcm;
        let second = Duration::from_secs(1);
        let limits = Limits {
            connections: 1,
            watches: 1,
            requests: 1,
            body_size: 1024,
            bodies_in_memory: 1024,
            answers_in_memory: 1024,
            json_depth: 64,
            header_size: 4096,
            header_timeout: second,
            body_timeout: second,
            request_timeout: second / 10,
            write_timeout: second,
            stop_timeout: second,
        };
        let metrics = Metrics::new(&Counted::default(), jiff::Timestamp::UNIX_EPOCH);
        Arc::new(Self::new(dcm, limits, metrics, Readiness::default()))
    }
}

/// Bounds that the edge keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How many connections there may be; more of them wait.
    pub(crate) connections: usize,
    /// How many requests may be served at once; more of them are turned away.
    pub(crate) requests: usize,
    /// How many watches there may be; more of them are turned away.
    pub(crate) watches: usize,
    /// How many bytes a body may have.
    pub(crate) body_size: usize,
    /// How many bytes all bodies together may have in memory.
    pub(crate) bodies_in_memory: usize,
    /// How many bytes all answers that are not small may have in memory together, until their clients take them.
    pub(crate) answers_in_memory: usize,
    /// How many levels JSON may have.
    pub(crate) json_depth: usize,
    /// How many bytes the header fields of a request may have.
    pub(crate) header_size: usize,
    /// How long the header of a request may take.
    pub(crate) header_timeout: Duration,
    /// How long its body may take.
    pub(crate) body_timeout: Duration,
    /// How long its answer may take.
    pub(crate) request_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub(crate) write_timeout: Duration,
    /// How long requests in flight may take at the end.
    pub(crate) stop_timeout: Duration,
}
