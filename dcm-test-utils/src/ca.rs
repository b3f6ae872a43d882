//! The conformance suite for CAs: what [`CaProvider`] promises, one test for each promise.
//!
//! A provider runs it with three lines in one of its `tests/*.rs`; it needs `tokio` with `macros` and
//! `rt-multi-thread`, and this crate's feature `ca`, among its dev-dependencies.
//!
//! ```text
//! async fn fresh() -> (Arc<dyn CaProvider>, Guard) { … }
//! dcm_test_utils::ca_conformance!(fresh);
//! ```
//!
//! The factory answers a provider, and something that is held until the test is over (a temporary directory, or `()`). It is
//! called once for each test. Logical clouds are new in each test, so all tests may share one CA. Certificates are judged by
//! rustls-webpki and x509-parser. A provider that does not support rotation or revocation says so and what to do instead; the
//! promises about them then hold.

#![allow(clippy::expect_used, clippy::panic, reason = "a promise that is not kept ends its test")]

pub mod forgetting;
pub mod issuing;
pub mod judge;
pub mod requester;
pub mod requests;
pub mod revoking;
pub mod rotating;
pub mod sharing;

use std::{sync::Arc, time::Duration};

use dcm_core::ca::{CaProvider, Error, Intermediate, IntermediateRequest};
use futures_util::future::LocalBoxFuture;

/// Makes a test of every promise that all CAs give.
///
/// `ca_conformance!(fresh)` takes an async function that answers `(Arc<dyn CaProvider>, impl Any)`.
#[macro_export]
macro_rules! ca_conformance {
    ($fresh:path) => {
        $crate::ca_promises!(ca_conformance @rooms $fresh,);
    };
    (@rooms $fresh:path, $($room:ident { $($promise:ident)* })*) => {
        $( $crate::ca_conformance!(@tests $fresh, $room, $($promise)*); )*
    };
    (@tests $fresh:path, $room:ident, $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let (ca, _guard) = $fresh().await;
                $crate::ca::in_time($crate::ca::$room::$promise(ca)).await;
            }
        )*
    };
}

/// Makes a test of every promise of a CA that several processes serve together, or that goes on after a restart.
///
/// `shared_ca_conformance!(place, open)` takes an async function that answers a place for a CA, and an async function that
/// opens a CA in a place (`&P`) as `Arc<dyn CaProvider>`, several at once.
#[macro_export]
macro_rules! shared_ca_conformance {
    ($place:path, $open:path) => {
        $crate::shared_ca_conformance!(@tests $place, $open,
            instances_make_one_root
            instances_issue_one_certificate
            instances_let_one_key_win
            what_one_issued_all_others_give_back
            a_rotation_and_a_revocation_through_one_are_seen_by_all
            what_one_has_forgotten_all_others_have
        );
    };
    (@tests $place:path, $open:path, $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                let place = $place().await;
                let open = async || $open(&place).await;
                $crate::ca::in_time($crate::ca::sharing::$promise(open)).await;
            }
        )*
    };
}

/// Hands the names of the promises that all CAs give to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! ca_promises {
    ($then:ident $($to:tt)*) => {
        $crate::$then! {
            $($to)*
            issuing {
                what_is_issued_leads_to_the_bundle
                an_intermediate_says_what_it_must_and_nothing_more
                workloads_below_it_are_trusted_in_its_life_only
                no_ca_below_it_is_trusted
                a_repeat_gives_the_same_certificate_back
                refuses_another_key_for_the_same_generation
                repeats_at_once_get_one_certificate
                of_several_keys_at_once_one_wins
                each_generation_and_cluster_has_names_and_a_number_of_its_own
                clouds_do_not_trust_each_other
                clusters_at_once_get_one_root
                a_cloud_that_nothing_was_issued_for_is_unknown
            }
            requests {
                what_a_request_asks_for_is_ignored
                refuses_a_request_that_its_key_did_not_sign
                refuses_a_weak_key
                refuses_what_is_no_request
                a_refused_request_leaves_nothing_behind
                refuses_another_trust_domain_for_a_cloud
            }
            rotating {
                a_rotation_trusts_both_then_switches_then_retires
                steps_can_be_repeated
                refuses_steps_out_of_order
                what_a_retired_root_signed_is_not_given_out
                the_rotation_of_an_unknown_cloud_is_refused
            }
            revoking {
                what_is_revoked_is_not_given_out_again
                a_revoked_key_is_not_certified_again
                revoking_what_was_never_issued_is_refused
                other_intermediates_stay
            }
            forgetting {
                a_forgotten_cloud_is_issued_nothing_and_told_nothing
                forgetting_can_be_repeated
                a_cloud_that_nothing_was_issued_for_is_forgotten_too
                what_is_asked_for_while_it_is_forgotten_does_not_stay
                other_clouds_are_not_forgotten
            }
        }
    };
}

/// A promise that all CAs give: its room and name, and what holds a CA to it.
pub type Promise = (&'static str, fn(Arc<dyn CaProvider>) -> LocalBoxFuture<'static, ()>);

/// A list of the promises that it is handed.
#[doc(hidden)]
#[macro_export]
macro_rules! list_of_ca_promises {
    ($($room:ident { $($promise:ident)* })*) => {
        vec![$($((
            concat!(stringify!($room), "::", stringify!($promise)),
            |ca| Box::pin($crate::ca::$room::$promise(ca)),
        ),)*)*]
    };
}

/// All promises that all CAs give, for whoever wants to run them otherwise than as tests.
#[must_use]
pub fn promises() -> Vec<Promise> {
    crate::ca_promises!(list_of_ca_promises)
}

/// Ends a test of a CA that does not answer.
#[doc(hidden)]
pub async fn in_time(promise: impl Future<Output = ()>) {
    let kept = tokio::time::timeout(Duration::from_secs(300), promise).await;
    kept.expect("the CA answers in time");
}

/// How often is asked again where the CA says that this is worth it.
const ATTEMPTS: usize = 20;

/// Asks again where the CA says so: who lost a race may be told to.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..ATTEMPTS {
        match ask().await {
            Err(error) if error.retry_after().is_some() => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other,
        }
    }
    ask().await
}

async fn ask(ca: &dyn CaProvider, request: &IntermediateRequest) -> Result<Intermediate, Error> {
    patiently(async || ca.issue_intermediate(request).await).await
}

async fn issue(ca: &dyn CaProvider, request: &IntermediateRequest) -> Intermediate {
    ask(ca, request).await.expect("an intermediate")
}

/// The answer; `None` where the CA cannot do that, and says what to do instead.
fn supported<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => Some(answer),
        Err(Error::Unsupported { what, instead }) => {
            assert!(!what.is_empty() && !instead.is_empty(), "it says what is not supported, and what to do instead");
            None
        }
        Err(error) => panic!("refused: {error:?}"),
    }
}

fn faulty_fields<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Invalid(faults)) => faults.as_slice().iter().map(|fault| fault.pointer.clone()).collect(),
        other => panic!("not an invalid request: {other:?}"),
    }
}
