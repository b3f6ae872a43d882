//! DCM's gRPC interfaces: messages, clients and servers, generated from the files in `proto/`.
//!
//! | module | package | who serves it |
//! |---|---|---|
//! | [`v1`] | `dcm.v1` | every main server, to everybody who may use DCM |
//! | [`sync_v1`] | `dcm.sync.v1` | the synchronizer role, to main servers |
//! | [`ca_v1`] | `dcm.ca.v1` | the CA role, to main servers |
//! | [`statusnotify`] | none | every main server, to clients of EMCO |
//!
//! The generated files are checked in; `.ci/protos` makes them anew and shows where they differ. Names and numbers that were released
//! stay: it holds the files against `baseline.binpb`, too.
//!
//! ```
//! use dcm_proto::v1::{GetLogicalCloudRequest, logical_clouds_server};
//!
//! let asked = GetLogicalCloudRequest { project: "p".into(), name: "lc-1".into(), ..Default::default() };
//! assert_eq!(logical_clouds_server::SERVICE_NAME, "dcm.v1.LogicalClouds");
//! # let _ = asked;
//! ```

mod codec;
mod secrets;

/// Declares a generated module. What a generator writes follows rules of its own.
macro_rules! generated {
    ($(#[$doc:meta])* $name:ident = $file:literal) => {
        $(#[$doc])*
        #[allow(missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
        pub mod $name {
            include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated/", $file));
        }
    };
}

/// The packages as the generated files see each other.
mod dcm {
    generated! {
        /// `dcm.v1`: logical clouds, projects, clusters and controllers.
        v1 = "dcm.v1.rs"
    }

    pub(crate) mod sync {
        generated! {
            /// `dcm.sync.v1`: the resource synchronizer.
            v1 = "dcm.sync.v1.rs"
        }
    }

    pub(crate) mod ca {
        generated! {
            /// `dcm.ca.v1`: the CA key distribution controller.
            v1 = "dcm.ca.v1.rs"
        }
    }
}

pub use dcm::{ca::v1 as ca_v1, sync::v1 as sync_v1, v1};

generated! {
    /// EMCO's `StatusNotify`, which has no package.
    statusnotify = "statusnotify.rs"
}

/// The descriptors of all files, those of imports included: a `google.protobuf.FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.binpb");
