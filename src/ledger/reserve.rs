//! A file beside the ledger that holds some of the disk back.
//!
//! On a full disk it is given up, so that what ends a run safely can still be recorded. It is made
//! again when the ledger is opened and there is room.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::lock::beside;

/// What it holds back: some hundred facts, and SQLite's log of them.
const BYTES: usize = 1 << 20;

/// The free space from which on holding some back does not itself fill the disk.
const ROOM: u64 = 16 << 20;

/// The reserve of one ledger.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    /// The reserve of the ledger at `path`, made where it is missing and there is room.
    pub(super) fn keep(path: &Path) -> Self {
        let reserve = Self(beside(path, ".reserve"));
        if !reserve.is_whole() && reserve.make().is_err() {
            // A ledger without one works as well, until the disk is full.
            let _ = fs::remove_file(&reserve.0);
        }
        reserve
    }

    /// Gives the space up. Whether there was any.
    pub(super) fn release(&self) -> bool {
        fs::remove_file(&self.0).is_ok()
    }

    fn is_whole(&self) -> bool {
        fs::symlink_metadata(&self.0).is_ok_and(|meta| meta.is_file() && meta.len() == BYTES as u64)
    }

    fn make(&self) -> io::Result<()> {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        let stat = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))?;
        if stat.f_bavail.saturating_mul(stat.f_frsize) < ROOM {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&self.0)?;
        // Written, not only reserved: not every file system can reserve.
        file.write_all(&vec![0; BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_made_given_up_once_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger.sqlite3");
        let file = dir.path().join("ledger.sqlite3.reserve");
        let reserve = Reserve::keep(&ledger);
        assert_eq!(fs::metadata(&file).unwrap().len(), BYTES as u64);
        assert!(reserve.release());
        assert!(!file.exists() && !reserve.release());
        fs::write(&file, "half").unwrap();
        Reserve::keep(&ledger);
        assert_eq!(fs::metadata(&file).unwrap().len(), BYTES as u64);
    }
}
