use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::Arc,
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
use tempfile::{NamedTempFile, TempPath};

use super::{LogOptions, command, open, progress::Shown, summary};
use crate::{assemble::SystemClock, config::StoreOptions};

/// How an export is made.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// Where records are kept.
    #[command(flatten)]
    pub storage: StoreOptions,

    /// The file to write, readable for its owner only; behind a symbolic link, the file that it leads to. What is no file, such
    /// as a device or a pipe, is refused: redirect standard output there [default: standard output].
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
    let (file, force) = (options.output.clone(), options.force);
    let mut target = tokio::task::spawn_blocking(move || Target::new(file.as_deref(), force)).await??;
    let store = open(&options.storage, true).await?;
    let about = About { release: env!("CARGO_PKG_VERSION").to_owned(), at: SystemClock.now() };
    let mut shown = Shown::new(options.quiet);
    let exported = transfer::export(&*store, &about, &mut target, &mut |progress| shown.tell(progress)).await;
    shown.finish();
    let exported = exported.context("nothing was exported")?;
    // Every server writes some when it starts.
    if exported.documents == 0 {
        anyhow::bail!("nothing was exported: the store holds no documents; check that --store names the right one");
    }
    let place = options.output.as_ref().map_or("standard output".into(), |file| file.display().to_string());
    target.finish().await.with_context(|| format!("{place} cannot be written"))?;
    let (documents, bytes, seconds) = (exported.documents, HumanBytes(exported.bytes), start.elapsed().as_secs_f64());
    let mut text = format!("exported {documents} documents, {bytes}, in {seconds:.1} s to {place}");
    if !exported.key_ids.is_empty() {
        let keys = summary::list(&exported.key_ids);
        text += &format!("\nits secrets are sealed with {keys}, which is not in it: keep the key file too");
    }
    summary::say(&text, options.quiet);
    Ok(())
}

/// What is written to.
struct Target {
    lines: Arc<File>,
    /// `None` for standard output.
    file: Option<Draft>,
}

/// A file that appears under its name when it is whole.
struct Draft {
    path: TempPath,
    name: PathBuf,
    force: bool,
}

impl Target {
    fn new(file: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(file) = file else {
            return Ok(Self { lines: Arc::new(io::stdout().as_fd().try_clone_to_owned()?.into()), file: None });
        };
        let name = named(file, force)?;
        // Only the owner reads what tempfile makes.
        let draft = NamedTempFile::new_in(folder(&name));
        let (lines, path) =
            draft.with_context(|| format!("--output {} cannot be written", file.display()))?.into_parts();
        Ok(Self { lines: Arc::new(lines), file: Some(Draft { path, name, force }) })
    }

    async fn finish(self) -> anyhow::Result<()> {
        let Some(Draft { path, name, force }) = self.file else { return Ok(()) };
        let lines = self.lines;
        tokio::task::spawn_blocking(move || lines.sync_all()).await??;
        // At once: who is told that nothing was exported finds nothing.
        if force {
            path.persist(&name)?
        } else {
            path.persist_noclobber(&name)?
        }
        Ok(File::open(folder(&name))?.sync_all()?)
    }
}

/// Where the file is, or will be. A link stays one, also where it leads to another disk.
fn named(file: &Path, force: bool) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    if fs::symlink_metadata(file).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(file.to_owned());
    }
    let name = fs::canonicalize(file).with_context(|| format!("--output {shown} leads to no file"))?;
    let found = fs::metadata(&name).with_context(|| format!("--output {shown} cannot be looked at"))?;
    if found.is_dir() {
        anyhow::bail!("--output {shown} is a directory: name a file");
    }
    if !found.is_file() {
        anyhow::bail!("--output {shown} is no file: leave --output out, and redirect standard output there");
    }
    if !force {
        anyhow::bail!("--output {shown} is there already: name another file, or replace it with --force");
    }
    Ok(name)
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[async_trait]
impl Output for Target {
    async fn write(&mut self, lines: Vec<u8>) -> Result<(), BoxError> {
        let file = Arc::clone(&self.lines);
        // Nobody may be reading, or the disk not answer.
        tokio::task::spawn_blocking(move || (&*file).write_all(&lines)).await?.map_err(Into::into)
    }
}
