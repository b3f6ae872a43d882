#![doc = include_str!("../README.md")]

pub mod ca;
pub mod credential;
#[cfg(feature = "grpc")]
pub mod grpc;
