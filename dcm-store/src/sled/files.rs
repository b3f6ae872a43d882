//! The directory: making, locking, recovering and checking it.

use std::{
    fs::{DirBuilder, File},
    io::{self, ErrorKind, Write},
    path::Path,
    thread,
    time::Duration,
};

use ::sled::{Db, Error};

use super::{
    holder,
    record::{self, META, SEGMENT},
};
use crate::{OpenError, SledConfig};

/// How often sled looks after its log by itself. It must be set: it is also what frees space.
const FLUSH_EVERY_MS: u64 = 500;

/// For how long another process may still be busy with ending; sled's own threads too let go of a store that
/// was dropped a moment later only.
const LOCK_ATTEMPTS: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A file that says that the directory holds a store, so that a log that holds nothing any more is noticed.
const MARKER: &str = "dcm-store";
const MARKER_TEXT: &[u8] = b"This directory is a store of DCM. Do not change anything in it by hand.\n";

/// sled's log.
const LOG: &str = "db";

pub(super) struct Opened {
    pub(super) db: Db,
    /// Our own descriptor of sled's log, to sync it.
    pub(super) file: File,
    /// No write has reached this number yet.
    pub(super) counter: u64,
}

pub(super) fn open(config: &SledConfig) -> Result<Opened, OpenError> {
    let path = config.path.as_path();
    let failed = |error| explain(path, error);
    let io_failed = |error| explain(path, Error::Io(error));

    let log = path.join(LOG);
    // What may not be looked at is told when it is opened.
    if config.existing && matches!(log.try_exists(), Ok(false)) {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let missing = path.ancestors().take_while(|p| !exists(p)).count();
    make_directory(path).map_err(io_failed)?;
    if exists(&log) {
        // What a killed process left in the system's cache is now taken for stored, so it has to be.
        File::open(&log).and_then(|file| file.sync_all()).map_err(io_failed)?;
    }
    let db = open_locked(config).map_err(failed)?;
    let counter = counter(&db, path)?;
    db.flush().map_err(failed)?;
    let file = File::options().read(true).write(true).open(&log).map_err(io_failed)?;
    sync(path, &file, missing).map_err(io_failed)?;
    Ok(Opened { db, file, counter })
}

fn exists(path: &Path) -> bool {
    // The empty path is where a relative one starts.
    path.as_os_str().is_empty() || path.exists()
}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_locked(config: &SledConfig) -> Result<Db, Error> {
    let settings = ::sled::Config::new()
        .path(&config.path)
        .segment_size(SEGMENT)
        .cache_capacity(config.cache_bytes)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
        .use_compression(false);
    let mut attempt = 1;
    loop {
        match settings.open() {
            Err(error) if is_locked(&error) && attempt < LOCK_ATTEMPTS => attempt += 1,
            opened => return opened,
        }
        thread::sleep(LOCK_PAUSE);
    }
}

/// Reads up to where numbers may have been given out; writes it down for a new store.
fn counter(db: &Db, path: &Path) -> Result<u64, OpenError> {
    let unsupported = |reason: &str| OpenError::Unsupported { path: path.to_owned(), source: reason.into() };
    match db.get(META).map_err(|e| explain(path, e))? {
        Some(meta) => record::read_meta(&meta)
            .ok_or_else(|| unsupported("it was written by a newer release of DCM, or not by DCM at all")),
        None if path.join(MARKER).exists() => {
            Err(OpenError::Corrupt { path: path.to_owned(), source: "its log holds nothing that can be read".into() })
        }
        None if db.is_empty() => {
            db.insert(META, record::write_meta(0)).map_err(|e| explain(path, e))?;
            Ok(0)
        }
        None => Err(unsupported("it was not written by DCM")),
    }
}

/// Syncs the log, the settings, and the directory entries of everything that was made.
fn sync(path: &Path, log: &File, missing: usize) -> io::Result<()> {
    log.sync_all()?;
    File::open(path.join("conf"))?.sync_all()?;
    // After the log: it says that there is something in it.
    let marker = path.join(MARKER);
    if !marker.exists() {
        let mut file = File::create(&marker)?;
        file.write_all(MARKER_TEXT)?;
        file.sync_all()?;
    }
    for directory in path.ancestors().take(missing + 1) {
        let here = directory.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { directory })?.sync_all()?;
    }
    Ok(())
}

fn is_locked(error: &Error) -> bool {
    // sled wraps the system's WouldBlock into a text of its own.
    matches!(error, Error::Io(e) if e.kind() == ErrorKind::WouldBlock
        || e.to_string().starts_with("could not acquire lock"))
}

/// No room on the disk, none for its user, or none in a single file.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn explain(path: &Path, error: Error) -> OpenError {
    let locked = is_locked(&error);
    // Its log is what sled locks.
    let holder = if locked { holder::of(&path.join(LOG)) } else { None };
    let path = path.to_owned();
    match error {
        _ if locked => OpenError::Locked { path, holder },
        Error::Io(source) if source.kind() == ErrorKind::PermissionDenied => OpenError::Permission { path, source },
        Error::Io(source) if is_full(&source) => OpenError::Full { path, source },
        Error::Io(source) => OpenError::Io { path, source },
        Error::Unsupported(reason) => OpenError::Unsupported { path, source: reason.into() },
        error => OpenError::Corrupt { path, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_to_open_says_what_to_do() {
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        let full = io::Error::from(ErrorKind::StorageFull);
        let broken = io::Error::other("Input/output error");
        let locked = io::Error::other("could not acquire lock on \"x/db\": WouldBlock");
        let cases = [
            (Error::Io(locked), "another dcm-server may have it open"),
            (Error::Io(denied), "must belong to the user"),
            (Error::Io(full), "make room"),
            (Error::Io(broken), "check the disk"),
            (Error::Unsupported("version 0.12".into()), "export"),
            (Error::Corruption { at: None, bt: () }, "restore a backup"),
        ];
        for (error, advice) in cases {
            let text = explain(Path::new("/some/where"), error).to_string();
            assert!(text.contains("/some/where") && text.contains(advice), "{text}");
        }
    }
}
