//! The conformance suite for synchronizers: what [`Synchronizer`] promises, one test for each promise.
//!
//! It asks through the port alone, so it fits whatever is behind it: an API server, a folder, a message queue. It
//! needs `tokio` with `macros` and `rt-multi-thread` among the dev-dependencies.
//!
//! ```text
//! async fn bed() -> (Bed, Guard) { … }
//! dcm_test_utils::synchronizer_conformance!(bed);
//! ```
//!
//! The factory answers a synchronizer with a cluster that holds nothing of DCM's, and something that is held until the
//! test is over (a temporary folder, or `()`). It is called once for each test. [`Synchronizer::sign`] and
//! [`Synchronizer::token`] are not in it: what a good certificate is, the cluster that judges it says.

#![allow(clippy::expect_used, clippy::panic, reason = "a promise that is not kept ends its test")]

pub mod making;
pub mod owning;
mod tenant;

use std::sync::Arc;

use dcm_core::sync::{ClusterAccess, Synchronizer};

pub use tenant::Tenant;

/// A synchronizer, and a cluster to try it on.
#[derive(Clone, Debug)]
pub struct Bed {
    /// The synchronizer.
    pub synchronizer: Arc<dyn Synchronizer>,
    /// The cluster.
    pub access: ClusterAccess,
}

/// Makes a test of every promise that all synchronizers give.
///
/// `synchronizer_conformance!(bed)` takes an async function that answers `(Bed, impl Any)`.
#[macro_export]
macro_rules! synchronizer_conformance {
    ($bed:path) => {
        $crate::synchronizer_conformance! { @tests $bed,
            making {
                a_cluster_says_who_it_is_and_goes_on_saying_it
                apply_makes_all_that_is_desired
                a_repeat_changes_nothing
                what_was_made_and_never_reported_is_known_again
                an_apply_that_is_dropped_anywhere_is_finished_by_the_next
                an_edit_is_followed_and_what_is_no_longer_wanted_goes
                a_comparison_foretells_an_apply_and_changes_nothing
            }
            owning {
                removal_leaves_nothing_and_may_be_repeated
                a_removal_that_is_dropped_anywhere_is_finished_by_the_next
                what_belongs_to_another_logical_cloud_stays
                a_namespace_of_another_logical_cloud_is_refused_and_left_as_it_is
                a_namespace_that_is_kept_belongs_to_nobody
                a_store_that_is_older_than_the_cluster_changes_nothing
                who_is_cut_off_has_no_binding_and_who_is_kept_has_his
            }
        }
    };
    (@tests $bed:path, $($room:ident { $($promise:ident)* })*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (bed, _guard) = $bed().await;
                $crate::synchronizer::$room::$promise(bed).await;
            }
        )*)*
    };
}
