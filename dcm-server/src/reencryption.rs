//! Encrypts all documents with the current key, behind everything else: it rests as long as it works, and goes on
//! after a restart where it was. What is to be done is `dcm-core`'s to decide.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use dcm_core::{
    error::Error,
    model::{Pass, PassPhase},
    service::{Dcm, ReencryptionStep as Step},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::telemetry::chain;

/// How many documents a step looks at: so many writes, one after the other, at most.
const PAGE: usize = 500;

/// How often the progress is logged.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked whether there is something to do: another process may have brought a key.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long a check waits that follows on one which found another key: somebody still writes with it.
const CHECK_AGAIN: Duration = Duration::from_secs(10);

/// The shortest and the longest rest after a step.
const REST: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(2));

/// The task at work.
#[derive(Debug)]
pub(crate) struct Reencryption {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Reencryption {
    /// Starts it. Must be called in a tokio runtime. `key_file` is what the log tells people to change.
    pub(crate) fn start(dcm: Dcm, key_file: Option<PathBuf>) -> Self {
        let stop = CancellationToken::new();
        let until_stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = run(dcm, Log::new(key_file)) => {}
                () = until_stopped.cancelled() => {}
            }
        });
        Self { stop, task }
    }

    /// Stops it. What is not done goes on at the next start.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "re-encryption ended badly");
        }
    }
}

async fn run(dcm: Dcm, mut log: Log) {
    if let Err(error) = log.unused_keys(&dcm).await {
        log.failed(&error);
    }
    let mut checking = false;
    loop {
        let began = Instant::now();
        let pause = match dcm.reencrypt(PAGE).await {
            Ok(Step::Idle) => LOOK_EVERY,
            Ok(Step::Elsewhere(target)) => {
                log.elsewhere(&dcm, &target).await;
                LOOK_EVERY
            }
            Ok(Step::Missing(ids)) => {
                log.missing(ids);
                LOOK_EVERY
            }
            Ok(Step::Working(pass)) => {
                log.progress(&pass);
                let was_checking = std::mem::replace(&mut checking, pass.phase == PassPhase::Checking);
                let again = was_checking && checking && pass.position.is_none();
                if again { CHECK_AGAIN } else { began.elapsed().clamp(REST.0, REST.1) }
            }
            Ok(Step::Finished(pass)) => {
                checking = false;
                if let Err(error) = log.finished(&dcm, &pass).await {
                    log.failed(&error);
                }
                LOOK_EVERY
            }
            Err(error) => {
                log.failed(&error);
                CHECK_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// What people are told.
struct Log {
    key_file: String,
    /// When the pass at work was last spoken of.
    told: Option<Instant>,
    elsewhere: Option<String>,
    missing: Vec<String>,
}

impl Log {
    fn new(key_file: Option<PathBuf>) -> Self {
        let key_file = key_file.map_or_else(|| "the key file".to_owned(), |file| file.display().to_string());
        Self { key_file, told: None, elsewhere: None, missing: Vec::new() }
    }

    async fn unused_keys(&self, dcm: &Dcm) -> Result<(), Error> {
        let found = dcm.encryption().await?;
        let unused = found.unused();
        if !unused.is_empty() {
            tracing::info!(
                "no document is encrypted with {}: unless they are to come into use, their lines can be removed from {}",
                unused.join(", "),
                self.key_file
            );
        }
        Ok(())
    }

    fn progress(&mut self, pass: &Pass) {
        let Some(told) = self.told else {
            self.told = Some(Instant::now());
            tracing::info!("encrypting all documents that hold secrets with key {}", pass.target);
            return;
        };
        if told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Some(Instant::now());
        let (phase, looked_at) = (pass.phase.as_str(), pass.looked_at);
        match (pass.total, pass.percent()) {
            (Some(total), Some(percent)) => {
                tracing::info!("{phase}: {looked_at} of about {total} documents, {percent} %");
            }
            _ => tracing::info!("{phase}: {looked_at} documents"),
        }
    }

    async fn finished(&mut self, dcm: &Dcm, pass: &Pass) -> Result<(), Error> {
        self.told = None;
        let (target, file) = (&pass.target, &self.key_file);
        if pass.failed > 0 {
            let first: Vec<String> =
                pass.failures.iter().map(|failure| format!("{} ({})", failure.document, failure.reason)).collect();
            tracing::warn!(
                "{} documents could not be encrypted with key {target}, so no line may be removed from {file} yet; \
                 the next start tries again. The first are: {}",
                pass.failed,
                first.join(", ")
            );
            return Ok(());
        }
        if !pass.settled {
            tracing::info!(
                "every document is encrypted with key {target}; in two minutes all are looked at once more, for what other \
                 servers wrote until then: no line may be removed from {file} before"
            );
            return Ok(());
        }
        let found = dcm.encryption().await?;
        let unused = found.unused();
        if unused.is_empty() {
            tracing::info!("every document is still encrypted with key {target}");
        } else {
            tracing::info!(
                "every document is still encrypted with key {target}; the lines of keys {} can be removed from {file}",
                unused.join(", ")
            );
        }
        Ok(())
    }

    /// Another process encrypts with another key: told once for each.
    async fn elsewhere(&mut self, dcm: &Dcm, target: &str) {
        if self.elsewhere.as_deref() == Some(target) {
            return;
        }
        self.elsewhere = Some(target.to_owned());
        let current = dcm.encryption().await.map(|found| found.current).unwrap_or_default();
        tracing::warn!(
            "documents are being encrypted with key {target} by another process, and this one still encrypts with \
             {current}: make {target} the first line of {} here too, and restart",
            self.key_file
        );
    }

    /// Keys came back into use: told once for each.
    fn missing(&mut self, ids: Vec<String>) {
        if self.missing != ids {
            tracing::warn!(
                "documents may still be encrypted with {}, which {} lacks: put the line back, and restart",
                ids.join(", "),
                self.key_file
            );
            self.missing = ids;
        }
    }

    fn failed(&self, error: &Error) {
        tracing::warn!(error = %chain(error), "re-encryption cannot go on now; it is tried again");
    }
}
