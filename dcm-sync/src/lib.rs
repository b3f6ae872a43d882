#![doc = include_str!("../README.md")]

pub mod kube;
pub mod layer;
