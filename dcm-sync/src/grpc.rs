//! Clusters behind another process, over gRPC (`dcm.sync.v1.ClusterGateway`): [`GrpcClusterGateway`] asks it, and
//! [`ClusterGatewayService`] serves any [`ClusterGateway`].
//!
//! Both sides of the contract are total maps of [`dcm_core::error::Error`], so that a caller gets the meaning that the other side gave.
//!
//! [`ClusterGateway`]: dcm_core::gateway::ClusterGateway

mod client;
mod message;
mod server;
mod status;

pub use client::GrpcClusterGateway;
pub use server::ClusterGatewayService;
