use std::{
    fmt::{self, Write as _},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use aws_lc_rs::{digest, rand};
use data_encoding::{BASE64, HEXLOWER};
use zeroize::{Zeroize, Zeroizing};

const LINE: &str = "dcm-key-v1:";
const KEY_LEN: usize = 32;
/// More than any sensible number of keys; what is larger is not a key file.
const FILE_LIMIT: u64 = 64 * 1024;

/// The keys that secrets are encrypted with: the current one and older ones.
///
/// Written as text, one line `dcm-key-v1:<base64 of 32 bytes>` for each key, the current one first. The memory
/// is wiped on drop, and debug output shows the keys' ids only.
pub struct Keyring(Vec<OneKey>);

struct OneKey {
    id: String,
    bytes: Zeroizing<[u8; KEY_LEN]>,
}

/// Why there is no keyring, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no key in it.
    #[error("there is no encryption key: give at least one line dcm-key-v1:<base64 of 32 bytes>")]
    Empty,
    /// A line is not a key. Its text is not shown.
    #[error(
        "line {line} is not an encryption key: it must be dcm-key-v1:<base64 of 32 bytes>, as `echo \"dcm-key-v1:$(head -c 32 /dev/urandom | base64)\"` writes it"
    )]
    Line {
        /// The line's number, from 1.
        line: usize,
    },
    /// One key stands there twice.
    #[error("line {line} repeats the encryption key {id} of an earlier line: remove one of them")]
    Repeated {
        /// The line's number, from 1.
        line: usize,
        /// The key's id.
        id: String,
    },
    /// There is no key of that id.
    #[error("there is no encryption key {id}; there are {known}")]
    NoSuchKey {
        /// The id that was asked for.
        id: String,
        /// The ids that there are.
        known: String,
    },
    /// There are more keys than are ever read.
    #[error("a key file has at most {FILE_LIMIT} bytes: remove lines of keys that are not in use any more")]
    TooLong,
    /// Others could read the file.
    #[error(
        "the key file {} can be used by its group or by others (mode {mode:03o}): run chmod 600 on it, and replace the key if somebody may have read it", path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key file.
    #[error("the key file {} cannot be used", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeyringError>,
    },
    /// The file cannot be read or made.
    #[error(
        "the key file {} cannot be {doing}: check that its directory exists and belongs to the user that runs this process", path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "read", "created", "locked" or "replaced".
        doing: &'static str,
        /// The system's own error.
        source: io::Error,
    },
    /// There is no randomness for a new key.
    #[error("the system gave no random bytes for a new encryption key")]
    Random,
}

impl Keyring {
    /// A keyring with one new random key.
    ///
    /// # Errors
    /// [`KeyringError::Random`].
    pub fn random() -> Result<Self, KeyringError> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *bytes).map_err(|_| KeyringError::Random)?;
        Ok(Self(vec![OneKey::new(bytes)]))
    }

    /// Reads a key file, or makes one with a new random key where there is none.
    ///
    /// # Guarantees
    /// A file that it makes has mode 0600, is complete from the moment on that it can be seen, survives a
    /// crash of the machine, and never takes the place of a file that another process made meanwhile.
    ///
    /// # Errors
    /// [`KeyringError`], each saying what to do. A file that its group or others may use is refused.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyringError> {
        match Self::load(path) {
            Err(KeyringError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let keyring = Self::random()?;
        match create(path, &keyring.text()) {
            Ok(()) => Ok(keyring),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(source) => Err(KeyringError::Io { path: path.to_owned(), doing: "created", source }),
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyringError`], each saying what to do. A file that its group or others may use is refused.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let file = File::open(path);
        let file = file.map_err(|source| KeyringError::Io { path: path.to_owned(), doing: "read", source })?;
        Self::read(path, &file)
    }

    /// Reads a key file that is open; `path` is for messages.
    pub(super) fn read(path: &Path, file: &File) -> Result<Self, KeyringError> {
        let failed = |source| KeyringError::Io { path: path.to_owned(), doing: "read", source };
        check_mode(path, file)?;
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
        let keyring = if text.len() as u64 > FILE_LIMIT { Err(KeyringError::TooLong) } else { text.parse() };
        keyring.map_err(|source| KeyringError::Content { path: path.to_owned(), source: Box::new(source) })
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current_id(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// The ids of all keys, the current one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Puts a new random key at a place.
    pub(super) fn add_random(&mut self, at: usize) -> Result<(), KeyringError> {
        let Self(new) = Self::random()?;
        self.0.splice(at..at, new);
        Ok(())
    }

    /// Puts a key first.
    pub(super) fn make_current(&mut self, id: &str) -> Result<(), KeyringError> {
        let Some(at) = self.0.iter().position(|key| key.id == id) else {
            let known = self.ids().collect::<Vec<_>>().join(", ");
            return Err(KeyringError::NoSuchKey { id: id.to_owned(), known });
        };
        if let Some(first) = self.0.get_mut(..=at) {
            first.rotate_right(1);
        }
        Ok(())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|key| (key.id.as_str(), &key.bytes[..]))
    }

    /// The text of a key file, which can be read again.
    pub(super) fn file_text(&self) -> Result<Zeroizing<String>, KeyringError> {
        let text = self.text();
        if text.len() as u64 > FILE_LIMIT { Err(KeyringError::TooLong) } else { Ok(text) }
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        // Room for all before, so that no key is left behind where the text would have to move.
        let line = LINE.len() + BASE64.encode_len(KEY_LEN) + 1;
        let mut text = Zeroizing::new(String::with_capacity(line * self.0.len()));
        for key in &self.0 {
            text.push_str(LINE);
            BASE64.encode_append(&*key.bytes, &mut text);
            text.push('\n');
        }
        text
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    fn from_str(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<OneKey> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let key = OneKey::parse(line).ok_or(KeyringError::Line { line: line_number })?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(KeyringError::Repeated { line: line_number, id: key.id });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Self(keys))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}

impl OneKey {
    fn new(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        // The domain keeps the id from being the hash of the key, should anything else ever hash it.
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"dcm-key-id-v1\0");
        context.update(&*bytes);
        let id = HEXLOWER.encode(&context.finish().as_ref()[..8]);
        Self { id, bytes }
    }

    fn parse(line: &str) -> Option<Self> {
        let encoded = line.strip_prefix(LINE)?;
        if encoded.len() != BASE64.encode_len(KEY_LEN) {
            return None;
        }
        let mut decoded = BASE64.decode(encoded.as_bytes()).ok()?;
        let bytes = <[u8; KEY_LEN]>::try_from(decoded.as_slice()).map(Zeroizing::new);
        decoded.zeroize();
        Some(Self::new(bytes.ok()?))
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), KeyringError> {
    use std::os::unix::fs::PermissionsExt;

    let metadata =
        file.metadata().map_err(|source| KeyringError::Io { path: path.to_owned(), doing: "read", source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyringError::Exposed { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &File) -> Result<(), KeyringError> {
    Ok(())
}

/// Writes a file beside the path and links it there, which fails where there is something already.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let (draft, _) = write_draft(path, text)?;
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    linked?;
    removed?;
    sync_directory(path)
}

/// Writes a file beside the path that only its owner can use, and has it on the disk. Leaves none behind where it
/// fails. Answers its path and the file itself: another one may be under the path by then.
pub(super) fn write_draft(path: &Path, text: &str) -> io::Result<(PathBuf, File)> {
    let mut salt = [0; 8];
    rand::fill(&mut salt).map_err(io::Error::other)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    write!(name, ".{}.new", HEXLOWER.encode(&salt)).map_err(io::Error::other)?;
    let draft = path.with_file_name(name);

    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(file)
    });
    match written {
        Ok(file) => Ok((draft, file)),
        Err(error) => {
            // The first failure is the one to tell of.
            drop(fs::remove_file(&draft));
            Err(error)
        }
    }
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ONE: &str = "dcm-key-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn refused(text: &str) -> String {
        text.parse::<Keyring>().unwrap_err().to_string()
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn makes_a_key_file_that_only_the_owner_reads_and_reads_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        let made = Keyring::load_or_create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Keyring::load_or_create(&path).unwrap();
        assert_eq!(made.text(), read.text());
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "a draft was left behind: {names:?}");
    }

    #[test]
    fn many_that_make_one_file_at_once_agree_on_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let make = || Keyring::load_or_create(&path).unwrap().current_id().to_owned();
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn refuses_a_file_that_others_may_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        for mode in [0o640, 0o604, 0o620, 0o660, 0o777] {
            write(&path, ONE, mode);
            let error = Keyring::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{mode:o}: {error}");
        }
        for mode in [0o600, 0o400] {
            write(&path, ONE, mode);
            assert!(Keyring::load_or_create(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn leaves_a_file_alone_that_is_no_key_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dcm.key");
        write(&path, "", 0o600);
        assert!(Keyring::load_or_create(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn says_where_a_missing_directory_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/dcm.key");
        let error = Keyring::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be created"), "{error}");
    }

    #[test]
    fn takes_several_keys_and_blank_lines() {
        let two = Keyring::random().unwrap();
        let text = format!("\n{}\r\n  {ONE}  \n\n", two.text().trim_end());
        let both: Keyring = text.parse().unwrap();
        assert_eq!(both.keys().count(), 2);
        assert_eq!(both.current_id(), two.current_id());
    }

    #[test]
    fn refuses_what_is_no_key_without_quoting_it() {
        assert!(refused("").contains("no encryption key"));
        let short = ONE.replace("Hh8=", "Hg==");
        let long = ONE.replace("Hh8=", "Hh8g");
        let other_version = ONE.replace("v1", "v2");
        for bad in [&short, &long, &other_version, "secret", "dcm-key-v1:"] {
            let error = refused(&format!("{}{bad}", "\n"));
            assert!(error.contains("line 2"), "{bad}: {error}");
            assert!(!error.contains("AAEC") && !error.contains("secret"), "{error}");
        }
        assert!(refused(&format!("{ONE}\n{ONE}")).contains("line 2 repeats"));
    }
}
