//! The writer's lock: an exclusive `flock` on a file beside the ledger.
//!
//! The kernel gives the lock back when its holder dies, however it dies, so there is nothing to
//! clean up. The file says who holds it, for the message that a second writer gets.
//!
//! An onlooker asks the kernel's list of locks. Trying to lock the file would answer as well, but a
//! writer that comes in this moment would be turned away by somebody who only looks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, Stat, flock, lstat, major, minor};
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use crate::settings;

/// Who holds the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub user: String,
    pub host: String,
}

impl Holder {
    /// This process.
    pub fn this() -> Self {
        Self { pid: std::process::id(), user: settings::user(), host: settings::host() }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} of {}@{}", self.pid, self.user, self.host)
    }
}

/// The kernel's list of who has locked which file.
const LOCKS: &str = "/proc/locks";

/// A lock that somebody has, as an onlooker sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The process that took it.
    pub pid: u32,
    /// What that process wrote about itself; absent in the moment before it does.
    pub holder: Option<Holder>,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.holder {
            Some(holder) => write!(f, "{holder}"),
            None => write!(f, "process {}", self.pid),
        }
    }
}

/// Who writes to the ledger at `path`, if anybody does. Nothing is locked, waited for or written.
///
/// # Errors
/// When this machine does not tell.
pub fn held(path: &Path) -> Result<Option<Held>, LedgerError> {
    let lock_path = beside(path, ".lock");
    let failed = |doing| {
        let path = lock_path.clone();
        move |source| LedgerError::Io { path, doing, source }
    };
    let stat = match lstat(&lock_path) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(failed("look at the ledger's lock")(errno.into())),
    };
    let locks = fs::read_to_string(LOCKS).map_err(failed("find who has locked the ledger"))?;
    let Some(pid) = locks.lines().find_map(|line| holder_of(line, &stat)) else { return Ok(None) };
    let text = fs::read_to_string(&lock_path).map_err(failed("look at the ledger's lock"))?;
    // Left by an earlier holder, if it names another process.
    let holder = serde_json::from_str(&text).ok().filter(|holder: &Holder| holder.pid == pid);
    Ok(Some(Held { pid, holder }))
}

/// The process of a line of the kernel's list, if the line is about an exclusive `flock` on this
/// file: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:10010698 0 EOF`.
fn holder_of(line: &str, file: &Stat) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if (words.next()?, words.next()?, words.next()?) != ("FLOCK", "ADVISORY", "WRITE") {
        return None;
    }
    let pid = words.next()?.parse().ok()?;
    let place = format!("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
    (words.next()? == place).then_some(pid)
}

/// The lock, held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// Absent where there is no lock file and none can be made.
    file: Option<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that was forked this moment shares the
        // lock until it runs its own program.
        if let Some(file) = &self.file {
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

impl Lock {
    /// Takes the lock of the ledger at `path`, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, LedgerError> {
        let lock_path = beside(path, ".lock");
        let failed =
            |source| LedgerError::Io { path: lock_path.clone(), doing: "lock the ledger", source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&lock_path)
            .map_err(failed)?;
        hold(&mut file, path).map_err(failed)??;
        let holder = serde_json::to_string(&Holder::this()).expect("a holder is plain data");
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{holder}").map_err(failed)?;
        Ok(Self { file: Some(file) })
    }

    /// Takes the lock on a disk that takes no writes. Where there is no lock file, nobody who
    /// writes holds it either.
    pub(super) fn take_as_it_is(path: &Path) -> Result<Self, LedgerError> {
        let lock_path = beside(path, ".lock");
        let failed =
            |source| LedgerError::Io { path: lock_path.clone(), doing: "lock the ledger", source };
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&lock_path);
        match opened {
            Ok(mut file) => {
                hold(&mut file, path).map_err(failed)??;
                Ok(Self { file: Some(file) })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { file: None }),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Locks the file, or says who has it.
fn hold(file: &mut File, path: &Path) -> io::Result<Result<(), LedgerError>> {
    match flock(&*file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Ok(())),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text).ok();
            let holder = read.and_then(|_| serde_json::from_str(&text).ok());
            Ok(Err(LedgerError::Locked { path: path.to_path_buf(), holder }))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// The path with `suffix` after its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onlooker_sees_who_holds_the_lock_and_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        assert_eq!(held(&path).unwrap(), None, "there is no lock file yet");
        let lock = Lock::take(&path).unwrap();
        let this = Holder::this();
        assert_eq!(held(&path).unwrap(), Some(Held { pid: this.pid, holder: Some(this) }));
        drop(lock);
        assert!(beside(&path, ".lock").exists(), "the file stays");
        assert_eq!(held(&path).unwrap(), None, "and is nobody's");
        drop(Lock::take(&path).unwrap());
    }

    #[test]
    fn what_an_earlier_holder_wrote_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let _lock = Lock::take(&path).unwrap();
        let other = Holder { pid: 1, ..Holder::this() };
        fs::write(beside(&path, ".lock"), serde_json::to_string(&other).unwrap()).unwrap();
        let held = held(&path).unwrap().unwrap();
        assert_eq!((held.pid, held.holder), (std::process::id(), None));
    }
}
