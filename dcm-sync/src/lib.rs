#![doc = include_str!("../README.md")]

#[cfg(feature = "grpc")]
pub mod grpc;
pub mod kube;
pub mod layer;
