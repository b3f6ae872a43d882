//! Files that are damaged: a store says so or returns what was written; it returns nothing else, and takes nobody along.
//!
//! `DCM_TEST_DAMAGES` sets how many damaged copies are looked at, `DCM_TEST_SEED` which.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use dcm_core::store::{Body, Error, Precondition, Scan};

use super::{chain, child, document, key, open, try_open, variable};

/// How many damaged copies there are where nothing else is said.
const DAMAGES: u64 = 40;

const DOCUMENTS: u64 = 300;

/// How long opening and reading one copy may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an error of a damaged store tells people to do.
const ADVICE: [&str; 5] = [
    "restore a backup",
    "check the disk and the path",
    "choose another directory",
    "must belong to the user",
    "start the server again",
];

fn size(n: u64) -> usize {
    [10, 200, 3000, 16_000, 20_000, 200][(n % 6) as usize] * if n.is_multiple_of(50) { 12 } else { 1 }
}

/// A number that depends on what it is for and on nothing else.
fn chance(of: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(of)
}

/// Opens a copy, reads all of it, writes once, and says what happened. Runs in a process of its own.
pub(crate) async fn look(place: &Path) {
    let store = match try_open(place).await {
        Ok(store) => store,
        Err(error) => return child::say(&format!("refused {}", chain(&error))),
    };
    for n in 0..DOCUMENTS {
        let found = match store.get(&key(&format!("damage/{n}"))).await {
            Ok(None) => "lost".to_owned(),
            Ok(Some(found)) if found.body == document(1, n, size(n)) => "right".to_owned(),
            Ok(Some(found)) if found.body == document(0, n, size(n)) => "old".to_owned(),
            Ok(Some(found)) => format!("WRONG {n} {:?}", found.body),
            Err(error) => format!("failed {}", chain(&error)),
        };
        child::say(&found);
    }
    match store.scan(Scan::everything(usize::MAX)).await {
        Ok(found) => {
            for found in found {
                let n = found.key.last().parse().expect("a number");
                let known = [0, 1].iter().any(|writer| found.body == document(*writer, n, size(n)));
                child::say(&if known { "scanned".to_owned() } else { format!("WRONG {n} in a scan") });
            }
        }
        Err(error) => child::say(&format!("failed {}", chain(&error))),
    }
    match store.put(&key("damage/new"), document(1, 0, 20_000), Precondition::Absent).await {
        Ok(_) => child::say("wrote"),
        Err(error) => child::say(&format!("failed {}", chain(&error))),
    }
    drop(store);
    child::say("closed");
}

#[tokio::test]
async fn a_damaged_store_says_so_or_returns_what_was_written() {
    let number = |name: &str, otherwise| variable(name).map_or(otherwise, |n| n.parse().expect("a number"));
    let (damages, seed) = (number("DCM_TEST_DAMAGES", DAMAGES), number("DCM_TEST_SEED", 7));
    let places = tempfile::tempdir().expect("a directory");
    let (old, whole) = (places.path().join("old"), places.path().join("whole"));
    write(&whole, 0).await;
    copy(&whole, &old).expect("a copy");
    write(&whole, 1).await;
    let mut seen: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for round in 0..damages {
        let place = places.path().join(format!("copy-{round}"));
        copy(&whole, &place).expect("a copy");
        let kind = (round % DAMAGE.len() as u64) as usize;
        let (name, damage) = DAMAGE[kind];
        damage(&Copy { place: place.clone(), old: old.clone(), seed: (seed, round) }).expect("damage");
        let outcome = judge(&format!("{name}, DCM_TEST_SEED={seed}, round {round}"), &run(&place));
        *seen.entry((name, outcome)).or_default() += 1;
        fs::remove_dir_all(&place).expect("the copy goes");
    }
    for ((name, outcome), count) in seen {
        println!("{name:32} {outcome:48} {count:5}");
    }
}

/// A disk that fails for a while. A batch that sled gives up half way stays half done in its log.
#[tokio::test]
async fn a_document_that_cannot_be_read_is_not_deleted_by_halves() {
    let (at, broken) = (key("damage/large"), "this is where the disk breaks");
    let text = format!("{{\"text\":\"{}{broken}{}\"}}", "1".repeat(600_000), "2".repeat(400_000));
    let body = Body::from_json(text.into_bytes());
    // Where the damaged part comes to lie decides whether sled meets it when it opens the store: then there is nothing to see.
    for _ in 0..50 {
        let place = tempfile::tempdir().expect("a directory");
        let store = open(place.path()).await;
        let revision = store.put(&at, body.clone(), Precondition::Absent).await.expect("a write");
        drop(store);
        // Writes down where all lies: damage in what comes after would pass for a write that was cut off.
        drop(open(place.path()).await);
        let log = place.path().join("db");
        let healthy = fs::read(&log).expect("the log");
        let mut damaged = healthy.clone();
        let found: Vec<_> = (0..damaged.len()).filter(|at| damaged[*at..].starts_with(broken.as_bytes())).collect();
        assert_ne!(found.len(), 0);
        found.iter().for_each(|at| damaged[*at] ^= 1);
        fs::write(&log, &damaged).expect("damage");
        let Ok(store) = try_open(place.path()).await else { continue };
        let error = store.delete(&at, &revision).await.expect_err("a part of it cannot be read");
        println!("{}", chain(&error));
        if matches!(error, Error::Conflict { .. }) {
            continue;
        }
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        // Nobody else suffers from it.
        store.put(&key("damage/small"), document(1, 1, 10), Precondition::Absent).await.expect("a write");
        drop(store);
        // What was appended since stays.
        let file = File::options().write(true).open(&log).expect("the log");
        found.iter().for_each(|at| file.write_all_at(&healthy[*at..=*at], *at as u64).expect("the disk is well again"));
        let store = open(place.path()).await;
        assert!(store.get(&at).await.expect("a read").is_some_and(|found| found.body == body));
        return;
    }
    panic!("sled met the damage each time");
}

/// Writes every document, or writes it anew.
async fn write(place: &Path, writer: u64) {
    let store = open(place).await;
    for n in 0..DOCUMENTS {
        let at = key(&format!("damage/{n}"));
        let before = store.get(&at).await.expect("a read");
        let before = before.map_or(Precondition::Absent, |found| Precondition::AtRevision(found.revision));
        store.put(&at, document(writer, n, size(n)), before).await.expect("a write");
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// Looks at a copy in a process of its own.
fn run(place: &Path) -> Output {
    let mut child = child::command("damage", place, &[]);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the child starts");
    let id = child.id();
    let (ended, end) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        let hangs = end.recv_timeout(PATIENCE).is_err();
        if hangs {
            let _ = std::process::Command::new("kill").args(["-9", &id.to_string()]).status();
        }
        hangs
    });
    let began = Instant::now();
    let output = child.wait_with_output().expect("its output");
    let _ = ended.send(());
    assert!(!watch.join().expect("the watch"), "it hung for {:?}", began.elapsed());
    output
}

/// Names what became of a copy.
fn judge(what: &str, output: &Output) -> &'static str {
    let (lines, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{lines}\n{errors}", output.status);
    assert!(!lines.contains("WRONG"), "{what}: {lines}");
    let count = |word: &str| lines.lines().filter(|line| line.split(' ').next() == Some(word)).count() as u64;
    for said in lines.lines().filter(|line| line.starts_with("refused ") || line.starts_with("failed ")) {
        assert!(ADVICE.iter().any(|advice| said.contains(advice)), "{what}: no advice in: {said}");
    }
    let panicked = errors.contains("panicked");
    if count("refused") > 0 {
        return if panicked { "refused after a panic" } else { "refused" };
    }
    assert_eq!(count("closed"), 1, "{what}: {lines}\n{errors}");
    if count("failed") > 0 {
        return if panicked { "an error after a panic" } else { "an error" };
    }
    assert!(!panicked, "{what}: a panic that nobody was told of: {errors}");
    match (count("right"), count("lost")) {
        (DOCUMENTS, _) => "whole",
        (_, 0) => "older states",
        _ => "documents are missing",
    }
}

/// A copy of a store that is about to be damaged.
struct Copy {
    place: PathBuf,
    /// An earlier state of the store.
    old: PathBuf,
    seed: (u64, u64),
}

type Damage = fn(&Copy) -> io::Result<()>;

const DAMAGE: [(&str, Damage); 16] = [
    ("a bit of the log flips", |copy| copy.flip("db", 1)),
    ("a bit of another file flips", |copy| copy.flip(&copy.other("db")?, 1)),
    ("16 bytes of the log change", |copy| copy.overwrite("db", 16, 0x5a)),
    ("a page of the log is zero", |copy| copy.overwrite("db", 4096, 0)),
    ("64 KiB of the log are zero", |copy| copy.overwrite("db", 65_536, 0)),
    ("a MiB of the log is other data", |copy| copy.overwrite("db", 1 << 20, 0xa5)),
    ("the log is cut off", |copy| copy.cut("db")),
    ("another file is cut off", |copy| copy.cut(&copy.other("db")?)),
    ("the log goes on with other data", |copy| {
        File::options().append(true).open(copy.place.join("db"))?.write_all(&[0x77; 10_000])
    }),
    ("a file is missing", |copy| fs::remove_file(copy.place.join(copy.any()?))),
    ("a file is empty", |copy| File::create(copy.place.join(copy.any()?)).map(drop)),
    ("a directory is where a file was", |copy| {
        let file = copy.place.join(copy.any()?);
        fs::remove_file(&file)?;
        fs::create_dir(file)
    }),
    ("two files are exchanged", |copy| {
        let (one, aside) = (copy.place.join("db"), copy.place.join("aside"));
        let other = copy.place.join(copy.other("db")?);
        fs::rename(&one, &aside)?;
        fs::rename(&other, &one)?;
        fs::rename(&aside, &other)
    }),
    ("the log is an older one", |copy| fs::copy(copy.old.join("db"), copy.place.join("db")).map(drop)),
    ("all but the log is older", |copy| {
        let log = copy.place.join("db");
        let aside = copy.place.with_extension("log");
        fs::rename(&log, &aside)?;
        fs::remove_dir_all(&copy.place)?;
        self::copy(&copy.old, &copy.place)?;
        fs::rename(&aside, &log)
    }),
    ("the blobs are no directory", |copy| {
        fs::remove_dir_all(copy.place.join("blobs"))?;
        File::create(copy.place.join("blobs")).map(drop)
    }),
];

impl Copy {
    fn draw(&self, what: &str, below: u64) -> u64 {
        chance((self.seed, what)) % below.max(1)
    }

    fn files(&self) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.place)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        files.sort();
        Ok(files)
    }

    fn any(&self) -> io::Result<String> {
        let files = self.files()?;
        Ok(files[self.draw("file", files.len() as u64) as usize].clone())
    }

    fn other(&self, than: &str) -> io::Result<String> {
        let mut files = self.files()?;
        files.retain(|file| file != than);
        Ok(files[self.draw("file", files.len() as u64) as usize].clone())
    }

    /// Somewhere in a file, such that so many bytes follow.
    fn somewhere(&self, file: &str, bytes: u64) -> io::Result<(File, u64)> {
        let file = File::options().read(true).write(true).open(self.place.join(file))?;
        let room = file.metadata()?.len().saturating_sub(bytes);
        Ok((file, self.draw("place", room)))
    }

    fn flip(&self, file: &str, bytes: u64) -> io::Result<()> {
        let (file, at) = self.somewhere(file, bytes)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ 1 << self.draw("bit", 8)], at)
    }

    fn overwrite(&self, file: &str, bytes: u64, with: u8) -> io::Result<()> {
        let (file, at) = self.somewhere(file, bytes)?;
        let end = file.metadata()?.len();
        file.write_all_at(&vec![with; bytes.min(end - at) as usize], at)
    }

    fn cut(&self, file: &str) -> io::Result<()> {
        let (file, at) = self.somewhere(file, 1)?;
        file.set_len(at)
    }
}
