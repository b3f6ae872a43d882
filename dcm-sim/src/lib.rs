#![doc = include_str!("../README.md")]

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
