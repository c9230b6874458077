//! The writer's lock: an exclusive `flock` on a file beside the ledger.
//!
//! The kernel gives the lock back when its holder dies, however it dies, so there is nothing to
//! clean up. The file says who holds it, for the message that a second writer gets.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
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
