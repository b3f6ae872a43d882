//! Files that are taken again when they have changed, while the server runs.

use std::{
    error::Error as _,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{FileError, files, metrics::TlsMetrics};
use dcm_core::secret::Secret;

/// How often files are looked at. All of them are read each time: links are swapped, volumes keep no times, and it is a few kilobytes.
const PERIOD: Duration = Duration::from_secs(5);

/// How long files have to be as they are before they are taken: who writes several certificates into one may be half done, and
/// what is there then can be used, but is not what he means.
const AT_REST: Duration = Duration::from_millis(200);

/// How often that is waited for in one look.
const TRIES: usize = 10;

/// What is made of files.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    /// What is made of them.
    type Made: fmt::Debug + Send + Sync;

    /// What it is called in the log.
    const NAME: &'static str;

    /// Reads all of them.
    fn read(&self) -> Result<Vec<Secret>, FileError>;

    /// Makes it of what was read, in the same order.
    fn make(&self, files: &[Secret]) -> Result<Self::Made, FileError>;

    /// Tells what is new, or what is becoming old.
    fn tell(&self, made: &Self::Made, is_new: bool);
}

/// What is made of files, as it is in force.
#[derive(Debug)]
pub(super) struct Reloaded<S: Source> {
    source: S,
    made: RwLock<Arc<S::Made>>,
    seen: Mutex<Seen>,
    metrics: TlsMetrics,
}

#[derive(Debug)]
struct Seen {
    /// What is in force.
    digest: Vec<u8>,
    /// What was found instead and cannot be used, and whether that was told.
    wrong: Option<(String, bool)>,
}

/// What can be looked at again.
pub(super) trait Look: Send + Sync {
    /// Takes files that have changed and stay as they are for a moment; blocks as long. Two files of a pair are seldom written at
    /// one moment, so what cannot be used is told when it is found a second time, or `at_once`.
    fn look(&self, at_once: bool);
}

impl<S: Source> Reloaded<S> {
    pub(super) fn open(source: S, metrics: TlsMetrics) -> Result<Self, FileError> {
        let files = source.read()?;
        let made = source.make(&files)?;
        source.tell(&made, true);
        let seen = Seen { digest: files::digest(&files), wrong: None };
        Ok(Self { source, made: RwLock::new(Arc::new(made)), seen: Mutex::new(seen), metrics })
    }

    /// What is in force.
    pub(super) fn get(&self) -> Arc<S::Made> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They are what is in force.
    fn keep(&self, seen: &mut Seen) {
        if let Some((_, true)) = seen.wrong.take() {
            tracing::info!("the files for {} are again what is in force", S::NAME);
            self.metrics.reloaded(true);
        }
        self.source.tell(&self.get(), false);
    }

    fn take(&self, seen: &mut Seen, digest: Vec<u8>, made: S::Made) {
        self.source.tell(&made, true);
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
        *seen = Seen { digest, wrong: None };
        self.metrics.reloaded(true);
    }

    fn refuse(&self, seen: &mut Seen, found: String, error: &FileError, at_once: bool) {
        let before = seen.wrong.take().filter(|(wrong, _)| *wrong == found);
        let was_told = before.as_ref().is_some_and(|(_, told)| *told);
        let tells = !was_told && (at_once || before.is_some());
        if tells {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, why, "new files for {} cannot be used: what was there before stays in force", S::NAME);
            self.metrics.reloaded(false);
        }
        seen.wrong = Some((found, was_told || tells));
    }
}

impl<S: Source> Look for Reloaded<S> {
    fn look(&self, at_once: bool) {
        let mut seen = self.seen();
        let mut before = None;
        for _ in 0..TRIES {
            let files = match self.source.read() {
                Ok(files) => files,
                Err(error) => return self.refuse(&mut seen, error.to_string(), &error, at_once),
            };
            let digest = files::digest(&files);
            if digest == seen.digest {
                return self.keep(&mut seen);
            }
            match self.source.make(&files) {
                Ok(made) if before.as_ref() == Some(&digest) => return self.take(&mut seen, digest, made),
                Ok(_) => before = Some(digest),
                Err(error) => return self.refuse(&mut seen, format!("{digest:?}"), &error, at_once),
            }
            std::thread::sleep(AT_REST);
        }
        tracing::warn!("the files for {} do not come to rest: what was there before stays in force", S::NAME);
    }
}

/// Looks at files again and again, until it is stopped.
#[derive(Debug)]
pub(crate) struct Looks {
    all: Vec<Arc<dyn Look>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for dyn Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

impl Looks {
    /// Must be called in a tokio runtime.
    pub(super) fn start(all: Vec<Arc<dyn Look>>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, looked_at) = (stop.clone(), all.clone());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = tokio::time::sleep(PERIOD) => look(&looked_at, false).await,
                }
            }
        });
        tasks.close();
        Self { all, stop, tasks }
    }

    /// Looks now.
    pub(crate) async fn now(&self) {
        look(&self.all, true).await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A file system may take its time.
async fn look(all: &[Arc<dyn Look>], at_once: bool) {
    let all = all.to_vec();
    let looked = tokio::task::spawn_blocking(move || all.iter().for_each(|one| one.look(at_once)));
    if let Err(error) = looked.await {
        tracing::error!(%error, "certificates could not be looked at");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that say something else at each look.
    #[derive(Debug)]
    struct Written(Mutex<Vec<&'static str>>);

    impl Source for Written {
        type Made = String;

        const NAME: &'static str = "a test";

        fn read(&self) -> Result<Vec<Secret>, FileError> {
            let mut left = self.0.lock().unwrap();
            let next = if left.len() > 1 { left.remove(0) } else { left[0] };
            Ok(vec![Secret::new(next)])
        }

        fn make(&self, files: &[Secret]) -> Result<String, FileError> {
            Ok(files.iter().map(|file| file.expose_str().unwrap()).collect())
        }

        fn tell(&self, _: &String, _: bool) {}
    }

    #[test]
    fn what_is_half_written_is_not_taken() {
        let looks = vec!["one", "o", "on", "one two", "one two"];
        let files = Reloaded::open(Written(Mutex::new(looks)), TlsMetrics::default()).unwrap();
        files.look(true);
        assert_eq!(*files.get(), "one two");
        // What comes back to what it was costs nothing.
        *files.source.0.lock().unwrap() = vec!["one", "one two"];
        files.look(true);
        assert_eq!(*files.get(), "one two");
        // Who never stops is not waited for without end.
        *files.source.0.lock().unwrap() = ["1", "2"].repeat(TRIES);
        files.look(true);
        assert_eq!(*files.get(), "one two");
    }
}
