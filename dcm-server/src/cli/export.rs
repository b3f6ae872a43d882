use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;
use async_trait::async_trait;
use clap::Args;
use dcm_core::{
    clock::Clock as _,
    store::BoxError,
    transfer::{self, About, Output},
};
use indicatif::HumanBytes;
use tempfile::NamedTempFile;

use super::{LogOptions, command, open, progress::Shown, summary};
use crate::{assemble::SystemClock, config::StoreOptions};

/// How an export is made.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Where records are kept.
    #[command(flatten)]
    pub storage: StoreOptions,

    /// The file to write, readable for its owner only [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the file where it is there already.
    #[arg(long, requires = "output")]
    pub force: bool,

    /// Show no progress and no summary.
    #[arg(long, short)]
    pub quiet: bool,

    /// What is logged.
    #[command(flatten)]
    pub log: LogOptions,
}

pub(super) fn run(options: &ExportOptions) -> anyhow::Result<()> {
    command(&options.log, export(options), || match options.output {
        Some(_) => "nothing was exported".to_owned(),
        None => "what was written is no whole export, and no import takes it".to_owned(),
    })
}

async fn export(options: &ExportOptions) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut target = Target::new(options.output.as_deref(), options.force)?;
    let store = open(&options.storage, true).await?;
    let about = About { release: env!("CARGO_PKG_VERSION").to_owned(), at: SystemClock.now() };
    let mut shown = Shown::new(options.quiet);
    let exported = transfer::export(&*store, &about, &mut target, &mut |progress| shown.tell(progress)).await;
    shown.finish();
    let exported = exported.context("nothing was exported")?;
    let place = options.output.as_ref().map_or("standard output".into(), |file| file.display().to_string());
    target.finish(options.output.as_deref(), options.force).with_context(|| format!("{place} cannot be written"))?;
    let (documents, bytes, seconds) = (exported.documents, HumanBytes(exported.bytes), start.elapsed().as_secs_f64());
    let mut text = format!("exported {documents} documents, {bytes}, in {seconds:.1} s to {place}");
    if !exported.key_ids.is_empty() {
        let keys = summary::list(&exported.key_ids);
        text += &format!("\nits secrets are sealed with {keys}, which is not in it: keep the key file too");
    }
    summary::say(&text, options.quiet);
    Ok(())
}

/// What is written to; a file appears under its name when it is whole.
enum Target {
    Out,
    File(NamedTempFile),
}

impl Target {
    fn new(file: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(file) = file else { return Ok(Self::Out) };
        if file.is_dir() {
            anyhow::bail!("--output {} is a directory: name a file", file.display());
        }
        if file.exists() && !force {
            anyhow::bail!(
                "--output {} is there already: name another file, or replace it with --force",
                file.display()
            );
        }
        // Only the owner reads what tempfile makes.
        let draft = NamedTempFile::new_in(folder(file));
        Ok(Self::File(draft.with_context(|| format!("--output {} cannot be written", file.display()))?))
    }

    fn finish(self, file: Option<&Path>, force: bool) -> anyhow::Result<()> {
        let (Self::File(draft), Some(file)) = (self, file) else { return Ok(()) };
        draft.as_file().sync_all()?;
        if force {
            draft.persist(file)?
        } else {
            draft.persist_noclobber(file)?
        };
        Ok(File::open(folder(file))?.sync_all()?)
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[async_trait]
impl Output for Target {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        tokio::task::block_in_place(|| match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(&lines).and_then(|()| out.flush())
            }
            Self::File(file) => file.write_all(&lines),
        })
        .map_err(Into::into)
    }
}
