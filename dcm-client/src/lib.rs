#![doc = include_str!("../README.md")]

mod client;
mod error;
mod page;
mod problem;
mod reply;
mod retry;
mod services;
mod status;
mod watch;

pub use client::{Client, endpoint};
pub use dcm_proto::v1;
pub use error::Error;
pub use page::Pages;
pub use problem::{Fault, Kind, Problem};
pub use reply::Reply;
pub use retry::Retry;
pub use services::{Clusters, Controllers, LogicalClouds, Projects};
pub use watch::{Event, Watch};
