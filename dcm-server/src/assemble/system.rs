//! The clock, the chance and the threads of this machine.

use std::time::Duration;

use aws_lc_rs::rand;
use dcm_core::{
    clock::{Clock, Entropy},
    credential::{CertificateFacts, CredentialMaker, Error, KeyAlgorithm, KeyAndRequest, SigningCa, Subject},
    secret::Secret,
};
use jiff::Timestamp;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the port's one home")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The machine's source of random bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        if rand::fill(&mut bytes).is_err() {
            // Ids that can be guessed or repeated are worse than none.
            tracing::error!("the system gave no random bytes");
            std::process::abort();
        }
        bytes
    }
}

/// Makes keys and signatures, which may take long, where no other task has to wait for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffWorkers<M>(pub(super) M);

impl<M: CredentialMaker> CredentialMaker for OffWorkers<M> {
    fn request(&self, subject: &Subject, algorithm: KeyAlgorithm) -> Result<KeyAndRequest, Error> {
        match algorithm {
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa4096 => off_workers(|| self.0.request(subject, algorithm)),
            // Made faster than a thread is changed; and each further thread keeps memory of its own.
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::Ed25519 => self.0.request(subject, algorithm),
        }
    }

    fn sign(
        &self,
        csr_pem: &str,
        subject: &Subject,
        ca: &SigningCa<'_>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, Error> {
        off_workers(|| self.0.sign(csr_pem, subject, ca, now, lifetime))
    }

    fn inspect(&self, certificate_pem: &str, key_pem: &Secret) -> Result<CertificateFacts, Error> {
        self.0.inspect(certificate_pem, key_pem)
    }

    fn check_ca(&self, ca: &SigningCa<'_>) -> Result<(), Error> {
        self.0.check_ca(ca)
    }
}

/// Gives the runtime's other tasks to another thread meanwhile, where it may have several.
fn off_workers<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A number that tells this process's request ids from others'.
pub(super) fn process_id(entropy: &dyn Entropy) -> u32 {
    let [a, b, c, d, ..] = entropy.bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    };

    use super::*;

    /// Is as slow as whoever sends to it.
    #[derive(Debug)]
    struct Slow(Mutex<Receiver<()>>);

    impl Slow {
        fn wait<T>(&self) -> Result<T, Error> {
            let waited = self.0.lock().unwrap().recv_timeout(Duration::from_secs(20));
            Err(waited.map_or_else(|error| Error::Crypto(error.into()), |()| Error::KeyMismatch))
        }
    }

    impl CredentialMaker for Slow {
        fn request(&self, _: &Subject, _: KeyAlgorithm) -> Result<KeyAndRequest, Error> {
            self.wait()
        }

        fn sign(&self, _: &str, _: &Subject, _: &SigningCa<'_>, _: Timestamp, _: Duration) -> Result<String, Error> {
            self.wait()
        }

        fn inspect(&self, _: &str, _: &Secret) -> Result<CertificateFacts, Error> {
            Err(Error::KeyMismatch)
        }

        fn check_ca(&self, _: &SigningCa<'_>) -> Result<(), Error> {
            Ok(())
        }
    }

    fn subject() -> Subject {
        Subject { common_name: "u".to_owned(), organization: "o".to_owned() }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_slow_key_or_signature_keeps_no_other_task_waiting() {
        let (done, wait) = channel();
        let maker = Arc::new(OffWorkers(Slow(Mutex::new(wait))));
        for signs in [false, true] {
            let (maker, done) = (Arc::clone(&maker), done.clone());
            let task = tokio::spawn(async move {
                tokio::spawn(async move { done.send(()).unwrap() });
                let secret = Secret::new(String::new());
                let ca = SigningCa { certificate_pem: "", key_pem: &secret };
                if signs {
                    maker.sign("", &subject(), &ca, SystemClock.now(), Duration::ZERO).err()
                } else {
                    maker.request(&subject(), KeyAlgorithm::Rsa4096).err()
                }
            });
            assert!(matches!(task.await.unwrap(), Some(Error::KeyMismatch)));
        }
    }

    #[tokio::test]
    async fn keys_are_made_where_there_is_one_thread_too() {
        let (done, wait) = channel();
        done.send(()).unwrap();
        let error = OffWorkers(Slow(Mutex::new(wait))).request(&subject(), KeyAlgorithm::default()).err();
        assert!(matches!(error, Some(Error::KeyMismatch)));
    }
}
