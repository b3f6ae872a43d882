//! What a simulated cluster promises, seen through a real TLS socket by kube and by kubectl.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests fail as tests do")]

mod apply;
mod collections;
mod credentials;
mod dry_run;
mod faults;
mod kubectl;
mod namespaces;
mod objects;
mod quotas;
mod rbac;
mod simulation;
mod support;
mod tokens;
mod watch;
