use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{Keyring, KeyringError, keyring::write_draft};

/// How a key file is changed. No line of it is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new random key becomes the current one.
    NewCurrent,
    /// A new random key is put second: it opens, and does not seal yet.
    Prepare,
    /// The key with this id becomes the current one.
    MakeCurrent(String),
}

/// Changes a key file, and answers the keys that it has then.
///
/// # Guarantees
/// The new file takes the place of the old one at once, or not at all, whenever a crash comes; its mode is 0600 and
/// its owner is the old one's. Of several processes that change a file at once, each adds to what the others did. Behind
/// a symbolic link, the file that it leads to is changed.
///
/// # Errors
/// [`KeyringError`], each saying what to do; the file is as it was then.
pub fn rotate(path: &Path, change: &Change) -> Result<Keyring, KeyringError> {
    let failed = |doing: &'static str| move |source| KeyringError::Io { path: path.to_owned(), doing, source };
    let file = fs::canonicalize(path).map_err(failed("read"))?;
    let locked = lock(&file).map_err(failed("locked"))?;
    let mut keyring = Keyring::read(&file, &locked)?;
    match change {
        Change::NewCurrent => keyring.add_random(0)?,
        Change::Prepare => keyring.add_random(1)?,
        Change::MakeCurrent(id) => keyring.make_current(id)?,
    }
    replace(&file, &locked, &keyring.file_text()?).map_err(failed("replaced"))?;
    Ok(keyring)
}

/// Takes the file for this process alone, as long as the answer lives. Who waited for another process opens what that
/// one has put there.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        if fs::symlink_metadata(path)?.is_symlink() {
            return Err(io::Error::other("somebody put a symbolic link in its place"));
        }
        let file = File::open(path)?;
        file.lock()?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// Whether a path is that of an open file, and not of a link to it.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (opened, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((opened.dev(), opened.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn replace(path: &Path, old: &File, text: &str) -> io::Result<()> {
    let (draft, new) = write_draft(path, text)?;
    if let Err(error) = put(path, old, &draft, &new) {
        // The first failure is the one to tell of.
        drop(fs::remove_file(&draft));
        return Err(error);
    }
    super::keyring::sync_directory(path)
}

/// Puts a new file in the place of the old one. Whoever may write to the directory, and root not trust, can put a link under
/// the new one's name at any moment: what is done to the file is done to the open one.
fn put(path: &Path, old: &File, draft: &Path, new: &File) -> io::Result<()> {
    keep_owner(old, new)?;
    if !is_at(new, draft)? {
        return Err(io::Error::other("somebody put another file in the place of the new one"));
    }
    fs::rename(draft, path)
}

/// A file that root made would be out of the reach of the server.
#[cfg(unix)]
fn keep_owner(old: &File, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (old, made) = (old.metadata()?, new.metadata()?);
    if (old.uid(), old.gid()) == (made.uid(), made.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    fn key_file() -> (tempfile::TempDir, std::path::PathBuf, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        let id = Keyring::load_or_create(&path).unwrap().current_id().to_owned();
        (directory, path, id)
    }

    fn ids(path: &Path) -> Vec<String> {
        Keyring::load(path).unwrap().ids().map(str::to_owned).collect()
    }

    #[test]
    fn a_new_key_comes_first_and_the_old_one_stays() {
        let (directory, path, old) = key_file();
        let line = fs::read_to_string(&path).unwrap();
        let rotated = rotate(&path, &Change::NewCurrent).unwrap();
        assert_ne!(rotated.current_id(), old);
        assert_eq!(ids(&path), [rotated.current_id(), old.as_str()]);
        assert!(fs::read_to_string(&path).unwrap().ends_with(&line));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn a_prepared_key_comes_second_until_it_is_made_the_current_one() {
        let (_directory, path, old) = key_file();
        rotate(&path, &Change::Prepare).unwrap();
        let [first, second] = ids(&path).try_into().unwrap();
        assert_eq!(first, old);
        rotate(&path, &Change::MakeCurrent(second.clone())).unwrap();
        assert_eq!(ids(&path), [second.clone(), old.clone()]);
        rotate(&path, &Change::MakeCurrent(second.clone())).unwrap();
        assert_eq!(ids(&path), [second, old]);
    }

    #[test]
    fn refuses_a_key_that_it_has_not_and_files_that_are_none_and_changes_nothing() {
        let (directory, path, old) = key_file();
        let error = rotate(&path, &Change::MakeCurrent("ffff".to_owned())).unwrap_err().to_string();
        assert!(error.contains("ffff") && error.contains(&old), "{error}");
        assert_eq!(ids(&path), [old]);
        let missing = directory.path().join("missing");
        assert!(rotate(&missing, &Change::NewCurrent).unwrap_err().to_string().contains("cannot be read"));
        assert!(!missing.exists());
        fs::write(&path, "no key").unwrap();
        assert!(rotate(&path, &Change::NewCurrent).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "no key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(rotate(&path, &Change::NewCurrent).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn refuses_to_let_a_file_grow_beyond_what_can_be_read() {
        let (_directory, path, _) = key_file();
        let many: String = (0..1_170).map(|_| Keyring::random().unwrap().text().to_string()).collect();
        fs::write(&path, &many).unwrap();
        let error = rotate(&path, &Change::NewCurrent).unwrap_err().to_string();
        assert!(error.contains("remove lines"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), many);
        let more = format!("{many}{}", &*Keyring::random().unwrap().text());
        fs::write(&path, &more).unwrap();
        assert!(matches!(Keyring::load(&path), Err(KeyringError::Content { .. })), "keys were left out");
    }

    #[test]
    fn of_many_that_rotate_at_once_no_key_is_lost() {
        let (_directory, path, old) = key_file();
        let made: Vec<String> = std::thread::scope(|scope| {
            let rotated = || rotate(&path, &Change::NewCurrent).unwrap().current_id().to_owned();
            let all: Vec<_> = (0..8).map(|_| scope.spawn(rotated)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let there = ids(&path);
        assert_eq!(there.len(), 9);
        assert!(made.iter().chain([&old]).all(|id| there.contains(id)));
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let (directory, path, old) = key_file();
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        rotate(&link, &Change::NewCurrent).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(ids(&path).last(), Some(&old));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_that_is_worked_on_is_not_followed() {
        const NOBODY: u32 = 65_534;
        let (directory, path, old) = key_file();
        let victim = directory.path().join("victim");
        fs::write(&victim, "not ours").unwrap();
        let owner = fs::metadata(&victim).unwrap().uid();
        // Only root may give a file away, and only then would the victim be given away too.
        drop(chown(&path, Some(NOBODY), None));
        let locked = lock(&path).unwrap();
        let (draft, new) = write_draft(&path, "new").unwrap();
        fs::remove_file(&draft).unwrap();
        symlink(&victim, &draft).unwrap();
        let error = put(&path, &locked, &draft, &new).unwrap_err();
        assert!(error.to_string().contains("another file"), "{error}");
        assert_eq!(fs::metadata(&victim).unwrap().uid(), owner, "it was given away");
        assert!(is_at(&locked, &path).unwrap(), "the key file was replaced");
        assert_eq!(ids(&path), [old]);

        fs::rename(&draft, &path).unwrap();
        assert!(lock(&path).unwrap_err().to_string().contains("a symbolic link"));
    }
}
