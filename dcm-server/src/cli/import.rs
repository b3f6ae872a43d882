use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::Context as _;
use clap::Args;
use dcm_core::{
    clock::Clock as _,
    store::BoxError,
    transfer::{self, Input, Mode, Progress, Stage},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use indicatif::HumanBytes;

use super::{LogOptions, command, open, progress::Shown, summary};
use crate::{assemble::SystemClock, config::StoreOptions};

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
    let imported = transfer::import(&*store, &source, options.mode(), SystemClock.now(), tell).await;
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
struct Source(File);

impl Source {
    fn new(file: &Path) -> io::Result<Self> {
        if file == Path::new("-") {
            // It has no name, so it is gone with this process.
            let mut spooled = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut spooled)?;
            return Ok(Self(spooled));
        }
        let opened = File::open(file)?;
        if !opened.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file; pipe what is none into `import -`"));
        }
        Ok(Self(opened))
    }

    fn piece(&self, rewind: bool) -> io::Result<Vec<u8>> {
        let mut file = &self.0;
        if rewind {
            file.rewind()?;
        }
        let mut piece = Vec::new();
        file.take(PIECE as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }
}

impl Input for Source {
    fn open(&self) -> BoxStream<'_, Result<Vec<u8>, BoxError>> {
        let read = move |first: bool| async move {
            match tokio::task::block_in_place(|| self.piece(first)) {
                Ok(piece) if piece.is_empty() => None,
                Ok(piece) => Some((Ok(piece), false)),
                Err(error) => Some((Err(error.into()), false)),
            }
        };
        stream::unfold(true, read).boxed()
    }
}
