//! The CA over gRPC (`dcm.ca.v1`): [`GrpcCa`] asks a CA in another process, and [`CaService`] serves any [`CaProvider`].
//!
//! Both sides of the contract are total maps of [`dcm_core::ca::Error`], so that a caller gets the meaning that the provider gave,
//! whatever lies between.
//!
//! [`CaProvider`]: dcm_core::ca::CaProvider

mod client;
mod message;
mod server;
mod status;

pub use client::{GrpcCa, Patience};
pub use server::CaService;
