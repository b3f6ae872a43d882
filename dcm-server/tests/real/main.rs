//! The whole of DCM, over REST, on real API servers, judged by `kubectl`. DCM has the rights of
//! `deploy/cluster-role.yaml` there and no more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails loudly")]

mod access;
mod backup;
mod ceiling;
mod clock;
mod clusters;
mod drift;
mod escalation;
mod known;
mod limits;
mod neighbours;
mod permissions;
mod references;
mod signing;
mod support;
mod terminate;
