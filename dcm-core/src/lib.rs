#![doc = include_str!("../README.md")]

pub mod ca;
pub mod clock;
pub mod credential;
pub mod error;
pub mod fault;
pub mod gateway;
pub mod keys;
pub mod lifecycle;
pub mod model;
pub mod name;
pub mod secret;
pub mod service;
pub mod store;
pub mod sync;
pub mod tenancy;
pub mod transfer;
