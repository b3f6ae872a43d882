//! Who holds a lock on a file, as Linux tells it.

use std::path::Path;
#[cfg(target_os = "linux")]
use std::{fs, os::unix::fs::MetadataExt};

use crate::open::Holder;

/// The other process that holds a lock on the whole of a file, where the system tells.
///
/// It does not tell of processes in containers that this one cannot see into.
pub(super) fn of(file: &Path) -> Option<Holder> {
    #[cfg(target_os = "linux")]
    {
        let file = fs::metadata(file).ok()?;
        let process = locked_by(&fs::read_to_string("/proc/locks").ok()?, file.dev(), file.ino())?;
        if process == std::process::id() {
            return None;
        }
        let program = fs::read(format!("/proc/{process}/comm")).ok()?;
        Some(Holder { process, program: printable(&program) })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}

/// Finds the holder in a text such as `1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`.
///
/// One that waits for the lock has `->` behind the first number.
#[cfg(target_os = "linux")]
fn locked_by(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = ((device >> 8 & 0xfff) | (device >> 32 & !0xfff), (device & 0xff) | (device >> 12 & !0xff));
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_held = words.next() == Some("FLOCK");
        let process = words.nth(2)?.parse().ok()?;
        // 0 and -1 stand for a process that this one cannot see.
        (is_held && words.next() == Some(&place) && process > 0).then_some(process)
    })
}

/// Another user may have chosen the name.
#[cfg(target_os = "linux")]
fn printable(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.trim_end().chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const LOCKS: &str = "1: POSIX  ADVISORY  WRITE 7 fd:101:99 0 EOF\n\
        2: FLOCK  ADVISORY  WRITE 8 fd:101:98 0 EOF\n\
        3: FLOCK  ADVISORY  WRITE 0 fd:101:97 0 EOF\n\
        4: FLOCK  ADVISORY  WRITE 9 fd:101:99 0 EOF\n\
        4: -> FLOCK  ADVISORY  WRITE 10 fd:101:96 0 EOF\n\
        5: LEASE  ACTIVE\n";

    #[test]
    fn the_holder_is_found_by_device_and_file() {
        let device = 0xfd << 8 | 0x1 | 0x100 << 12;
        assert_eq!(locked_by(LOCKS, device, 99), Some(9));
        assert_eq!(locked_by(LOCKS, device, 98), Some(8));
        assert_eq!(locked_by(LOCKS, device + 1, 99), None);
    }

    #[test]
    fn nobody_is_named_who_cannot_be_seen_or_only_waits() {
        let device = 0xfd << 8 | 0x1 | 0x100 << 12;
        assert_eq!(locked_by(LOCKS, device, 97), None);
        assert_eq!(locked_by(LOCKS, device, 96), None);
        assert_eq!(locked_by("", device, 99), None);
    }

    #[test]
    fn a_name_cannot_break_the_line_that_shows_it() {
        assert_eq!(printable(b"dcm-server\n"), "dcm-server");
        assert_eq!(printable(b"a\nb\x1b[1m\xff\n"), "a?b?[1m?");
    }
}
