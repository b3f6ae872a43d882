use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use clap::Args;
use dcm_core::{
    clock::{Clock as _, Entropy as _},
    model::Uid,
    store::BoxError,
    transfer::{self, Input, Mode, Progress, Run, Stage},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use indicatif::HumanBytes;

use super::{LogOptions, command, open, progress::Shown, summary};
use crate::{
    assemble::{OsEntropy, SystemClock},
    config::StoreOptions,
};

/// How many bytes of the file are read at once.
const PIECE: usize = 1024 * 1024;

/// How an import is made.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// Where records are kept.
    #[command(flatten)]
    pub storage: StoreOptions,

    /// The file that an export wrote; - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Add what is missing to a store that is not empty; where documents differ, nothing is imported.
    #[arg(long)]
    pub merge: bool,

    /// With --merge: where documents differ, the store's stay.
    #[arg(long, requires = "merge", conflicts_with = "overwrite")]
    pub keep_existing: bool,

    /// With --merge: where documents differ, the file's replace them.
    #[arg(long, requires = "merge")]
    pub overwrite: bool,

    /// Show no progress and no summary.
    #[arg(long, short)]
    pub quiet: bool,

    /// What is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

impl ImportOptions {
    const fn mode(&self) -> Mode {
        match (self.merge, self.keep_existing, self.overwrite) {
            (_, true, _) => Mode::MergeKeeping,
            (_, _, true) => Mode::MergeOverwriting,
            (true, ..) => Mode::Merge,
            _ => Mode::IntoEmpty,
        }
    }
}

pub(super) fn run(options: &ImportOptions) -> anyhow::Result<()> {
    let writing = AtomicBool::new(false);
    command(&options.log, import(options, &writing), || {
        if writing.load(Ordering::SeqCst) {
            "what was written is still there, and no server starts on the store: run the import again with the same file and \
             options, and it goes on; or empty the store"
                .to_owned()
        } else {
            "the store is as it was before".to_owned()
        }
    })
}

async fn import(options: &ImportOptions, writing: &AtomicBool) -> anyhow::Result<()> {
    let start = Instant::now();
    let place = options.file.display();
    let file = options.file.clone();
    let source = tokio::task::spawn_blocking(move || Source::new(&file)).await?;
    let source = source.with_context(|| format!("{place} cannot be read"))?;
    let store = open(&options.storage, false).await?;
    let mut shown = Shown::new(options.quiet);
    let tell = &mut |progress: Progress| {
        writing.fetch_or(matches!(progress.stage, Stage::Writing | Stage::Undoing), Ordering::SeqCst);
        shown.tell(progress);
    };
    let run = Run { id: Uid::from_random(OsEntropy.bytes()), at: SystemClock.now() };
    let imported = transfer::import(&*store, &source, options.mode(), &run, tell).await;
    shown.finish();
    let imported = imported.with_context(|| format!("{place} was not imported"))?;
    let (documents, bytes, seconds) = (imported.documents, HumanBytes(imported.bytes), start.elapsed().as_secs_f64());
    let (added, same) = (imported.added, imported.same);
    let mut text = format!("imported {place}: {documents} documents, {bytes}, in {seconds:.1} s; {added} added");
    for (count, what) in [(same, "the same"), (imported.kept, "kept"), (imported.overwritten, "overwritten")] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    summary::say(&text, options.quiet);
    summary::warn_of_keys(&options.storage, &imported.key_ids);
    Ok(())
}

/// A file that can be read from its start again.
struct Source(Arc<File>);

impl Source {
    fn new(file: &Path) -> io::Result<Self> {
        if file == Path::new("-") {
            // It has no name, so it is gone with this process.
            let mut spooled = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut spooled)?;
            return Ok(Self(Arc::new(spooled)));
        }
        let opened = File::open(file)?;
        if !opened.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file; pipe what is none into `import -`"));
        }
        Ok(Self(Arc::new(opened)))
    }

    async fn piece(&self, rewind: bool) -> io::Result<Vec<u8>> {
        let file = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            let mut file = &*file;
            if rewind {
                file.rewind()?;
            }
            let mut piece = Vec::new();
            file.take(PIECE as u64).read_to_end(&mut piece)?;
            Ok(piece)
        });
        let piece = read.await?;
        // A signal is heard between two pieces: nothing else may wait until the store is marked.
        tokio::task::yield_now().await;
        piece
    }
}

impl Input for Source {
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
        let read = move |first: bool| async move {
            match self.piece(first).await {
                Ok(piece) if piece.is_empty() => None,
                Ok(piece) => Some((Ok(piece), false)),
                Err(error) => Some((Err(error.into()), false)),
            }
        };
        stream::unfold(true, read).boxed()
    }
}

#[cfg(test)]
#[cfg(feature = "sled")]
mod tests {
    use std::{fs, future::poll_fn, task::Poll};

    use async_trait::async_trait;
    use dcm_core::{
        store::{Body, Precondition, Scan},
        transfer::{About, Output},
    };

    use super::*;

    struct Lines(Vec<u8>);

    #[async_trait]
    impl Output for Lines {
        async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
            self.0.extend(lines);
            Ok(())
        }
    }

    /// A file with more documents than a check takes until it first says how far it is.
    async fn write(file: &Path) {
        let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        for n in 0..1_500 {
            let key = format!("a/{n}").parse().unwrap();
            store.put(&key, Body::from_json(*b"{}"), Precondition::Absent).await.unwrap();
        }
        let about = About { release: "test".to_owned(), at: SystemClock.now() };
        let mut lines = Lines(Vec::new());
        transfer::export(&*store, &about, &mut lines, &mut |_| {}).await.unwrap();
        fs::write(file, lines.0).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_signal_while_the_file_is_checked_leaves_the_store_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file).await;
        let source = Source::new(&file).unwrap();
        let sled = dcm_store::SledConfig::new(folder.path().join("to"));
        let store = dcm_store::open(dcm_store::Config::Sled(sled)).await.unwrap();
        let run = Run { id: Uid::from_random(OsEntropy.bytes()), at: SystemClock.now() };
        let checking = AtomicBool::new(false);
        let tell = &mut |progress: Progress| checking.store(progress.stage == Stage::Checking, Ordering::SeqCst);
        // It is asked before the import whenever that waits, as the true one is.
        let signal = poll_fn(|_| if checking.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending });
        tokio::select! {
            biased;
            () = signal => {}
            done = transfer::import(&*store, &source, Mode::IntoEmpty, &run, tell) => panic!("{done:?}"),
        }
        assert!(store.scan(Scan::everything(1)).await.unwrap().is_empty(), "something was written");
    }
}
