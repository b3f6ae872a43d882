//! The suite notices: CAs that break a promise, and the tests that fail for them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use async_trait::async_trait;
use dcm_core::{
    ca::{
        Bundle, CaProvider, CaSigner, Cloud, Error, Generation, Intermediate, IntermediateParameters,
        IntermediateRequest, RequestedKey, Revoked, RootKey, RootParameters, Rotation, SignedIntermediate, SignerError,
        SigningRoot,
    },
    model::Uid,
    name::ClusterIdentity,
    store::{Store, StoreExt as _},
};
use dcm_mesh::ca::{IntermediateKey, Signer};
use dcm_store::memory::MemoryStore;
use dcm_test_utils::ca::{promises, requester::generation};
use jiff::SignedDuration;
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair, SerialNumber};

use crate::conformance::open_with;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A repeat gets another certificate.
    IssuesAnew,
    /// A generation is given to any key.
    TakesAnyKey,
    /// All logical clouds have one root.
    SharesItsRoot,
    /// A logical cloud may change its trust domain.
    TakesAnyDomain,
    /// A refused request makes a root.
    LeavesARoot,
    /// What is introduced signs at once.
    SwitchesEarly,
    /// What signed before is not trusted any more.
    RetiresEarly,
    /// What is revoked is given out all the same.
    ForgetsRevocations,
    /// It says that it has forgotten, and has not.
    ForgetsNothing,
    /// What is forgotten is made anew.
    BeginsAnew,
    /// The request says what is in the certificate.
    GrantsWishes,
    /// What cannot be checked is signed all the same.
    ChecksNothing,
}

/// A signer that is careless.
#[derive(Debug)]
struct CarelessSigner(Fault);

impl CaSigner for CarelessSigner {
    fn make_root(&self, parameters: &RootParameters<'_>) -> Result<RootKey, SignerError> {
        Signer.make_root(parameters)
    }

    fn read_request(&self, csr_pem: &str) -> Result<RequestedKey, SignerError> {
        match Signer.read_request(csr_pem) {
            Err(_) if self.0 == Fault::ChecksNothing => {
                Ok(RequestedKey { digest: format!("{:?}", csr_pem.as_bytes()) })
            }
            other => other,
        }
    }

    fn sign_intermediate(
        &self,
        csr_pem: &str,
        root: &SigningRoot<'_>,
        parameters: &IntermediateParameters<'_>,
    ) -> Result<SignedIntermediate, SignerError> {
        if self.0 == Fault::ChecksNothing && Signer.read_request(csr_pem).is_err() {
            let other = IntermediateKey::default().make()?;
            return Signer.sign_intermediate(&other.csr_pem, root, parameters);
        }
        if self.0 != Fault::GrantsWishes {
            return Signer.sign_intermediate(csr_pem, root, parameters);
        }
        let mut wish = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        let at = |time: jiff::Timestamp| time::OffsetDateTime::from_unix_timestamp(time.as_second()).unwrap();
        wish.params.not_before = at(parameters.validity.not_before);
        wish.params.not_after = at(parameters.validity.not_after);
        wish.params.serial_number = Some(SerialNumber::from_slice(&[0x40; 16]));
        let key = KeyPair::from_pem(root.key_pem.expose_str().unwrap()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(root.certificate_pem, key).unwrap();
        let certificate_pem = wish.signed_by(&issuer).unwrap().pem();
        Ok(SignedIntermediate { certificate_pem, serial: "40".repeat(16) })
    }
}

#[derive(Debug)]
struct BrokenCa {
    ca: Arc<dyn CaProvider>,
    store: Arc<dyn Store>,
    fault: Fault,
    domain: std::sync::OnceLock<Cloud>,
}

impl BrokenCa {
    /// The same under a number that nobody has.
    async fn under_another_number(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let other = IntermediateRequest { generation: generation(fastrand::u32(1_000..)), ..request.clone() };
        let issued = self.ca.issue_intermediate(&other).await?;
        Ok(Intermediate { generation: request.generation, ..issued })
    }
}

#[async_trait]
impl CaProvider for BrokenCa {
    async fn issue_intermediate(&self, request: &IntermediateRequest) -> Result<Intermediate, Error> {
        let first = self.domain.get_or_init(|| request.cloud.clone());
        match self.fault {
            Fault::IssuesAnew => return self.under_another_number(request).await,
            Fault::SharesItsRoot => {
                let cluster = format!("{}-{}", &request.cloud.uid.as_str()[..8], request.cluster).parse().unwrap();
                let request = IntermediateRequest { cloud: first.clone(), cluster, ..request.clone() };
                return self.ca.issue_intermediate(&request).await;
            }
            Fault::TakesAnyDomain => {
                let cloud = Cloud { trust_domain: first.trust_domain.clone(), ..request.cloud.clone() };
                return self.ca.issue_intermediate(&IntermediateRequest { cloud, ..request.clone() }).await;
            }
            _ => {}
        }
        match self.ca.issue_intermediate(request).await {
            Err(Error::OtherKey { .. }) if self.fault == Fault::TakesAnyKey => self.under_another_number(request).await,
            Err(error) if self.fault == Fault::LeavesARoot => {
                let csr_pem = IntermediateKey::default().make().unwrap().csr_pem;
                let cluster = "nobody".parse().unwrap();
                let other = IntermediateRequest { csr_pem, cluster, ..request.clone() };
                drop(self.ca.issue_intermediate(&other).await);
                Err(error)
            }
            other => other,
        }
    }

    async fn bundle(&self, cloud: &Uid) -> Result<Bundle, Error> {
        self.ca.bundle(cloud).await
    }

    async fn rotate(&self, cloud: &Uid, step: Rotation) -> Result<Bundle, Error> {
        let before = self.ca.bundle(cloud).await?;
        let taken = self.ca.rotate(cloud, step).await?;
        match (self.fault, step) {
            (Fault::SwitchesEarly, Rotation::Introduce(new)) => self.ca.rotate(cloud, Rotation::Switch(new)).await,
            (Fault::RetiresEarly, Rotation::Switch(new)) if before.issuing != new => {
                self.ca.rotate(cloud, Rotation::Retire(before.issuing)).await
            }
            _ => Ok(taken),
        }
    }

    async fn revoke(&self, cloud: &Uid, cluster: &ClusterIdentity, generation: Generation) -> Result<Revoked, Error> {
        if self.fault != Fault::ForgetsRevocations {
            return self.ca.revoke(cloud, cluster, generation).await;
        }
        let now = jiff::Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(1)).unwrap();
        Ok(Revoked { generation, serial: String::new(), revoked_at: now, trusted_until: now })
    }

    async fn forget(&self, cloud: &Uid) -> Result<(), Error> {
        match self.fault {
            Fault::ForgetsNothing => Ok(()),
            Fault::BeginsAnew => {
                let key = dcm_core::keys::certificate_authority(cloud).unwrap();
                self.ca.forget(cloud).await?;
                Ok(self.store.remove(&key).await?)
            }
            _ => self.ca.forget(cloud).await,
        }
    }
}

/// Whether a CA with this fault keeps a promise.
fn keeps(fault: Fault, promise: &str) -> bool {
    let kept = promises().into_iter().find(|(name, _)| *name == promise);
    let (_, holds) = kept.unwrap_or_else(|| panic!("there is no promise {promise}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let ca = open_with(&store, Arc::new(CarelessSigner(fault))).await;
            holds(Arc::new(BrokenCa { ca, store, fault, domain: std::sync::OnceLock::new() })).await;
        });
    }))
    .is_ok()
}

#[test]
fn a_ca_that_breaks_a_promise_is_caught() {
    let caught: [(Fault, &[&str]); 12] = [
        (
            Fault::IssuesAnew,
            &["issuing::a_repeat_gives_the_same_certificate_back", "issuing::repeats_at_once_get_one_certificate"],
        ),
        (
            Fault::TakesAnyKey,
            &["issuing::refuses_another_key_for_the_same_generation", "issuing::of_several_keys_at_once_one_wins"],
        ),
        (Fault::SharesItsRoot, &["issuing::clouds_do_not_trust_each_other"]),
        (Fault::TakesAnyDomain, &["requests::refuses_another_trust_domain_for_a_cloud"]),
        (Fault::LeavesARoot, &["requests::a_refused_request_leaves_nothing_behind"]),
        (Fault::SwitchesEarly, &["rotating::a_rotation_trusts_both_then_switches_then_retires"]),
        (Fault::RetiresEarly, &["rotating::a_rotation_trusts_both_then_switches_then_retires"]),
        (
            Fault::ForgetsRevocations,
            &[
                "revoking::what_is_revoked_is_not_given_out_again",
                "revoking::revoking_what_was_never_issued_is_refused",
            ],
        ),
        (
            Fault::ForgetsNothing,
            &[
                "forgetting::a_forgotten_cloud_is_issued_nothing_and_told_nothing",
                "forgetting::a_cloud_that_nothing_was_issued_for_is_forgotten_too",
                "forgetting::what_is_asked_for_while_it_is_forgotten_does_not_stay",
            ],
        ),
        (
            Fault::BeginsAnew,
            &[
                "forgetting::a_forgotten_cloud_is_issued_nothing_and_told_nothing",
                "forgetting::a_cloud_that_nothing_was_issued_for_is_forgotten_too",
            ],
        ),
        (
            Fault::GrantsWishes,
            &[
                "requests::what_a_request_asks_for_is_ignored",
                "issuing::an_intermediate_says_what_it_must_and_nothing_more",
                "issuing::workloads_below_it_are_trusted_in_its_life_only",
            ],
        ),
        (
            Fault::ChecksNothing,
            &[
                "requests::refuses_a_request_that_its_key_did_not_sign",
                "requests::refuses_a_weak_key",
                "requests::refuses_what_is_no_request",
            ],
        ),
    ];
    for (fault, promises) in caught {
        for promise in promises {
            assert!(!keeps(fault, promise), "{fault:?} is not caught by {promise}");
        }
    }
}

#[test]
fn what_a_fault_does_not_touch_is_kept() {
    for (fault, promise) in [
        (Fault::IssuesAnew, "issuing::what_is_issued_leads_to_the_bundle"),
        (Fault::TakesAnyKey, "issuing::a_repeat_gives_the_same_certificate_back"),
        (Fault::ForgetsRevocations, "rotating::steps_can_be_repeated"),
        (Fault::BeginsAnew, "forgetting::other_clouds_are_not_forgotten"),
        (Fault::ChecksNothing, "issuing::clouds_do_not_trust_each_other"),
    ] {
        assert!(keeps(fault, promise), "{fault:?} breaks {promise}");
    }
}
