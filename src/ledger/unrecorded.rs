//! A ledger on a disk that takes no writes, for a rollback.
//!
//! A rollback must not depend on a disk. Where the ledger cannot be written to, it is read into
//! memory and goes on there: everything that was recorded can be asked for, facts are appended to
//! the chain as ever, and [`Ledger::unrecorded`] lists those that are gone with the process. The
//! file stays as it is. Nothing that goes forward may use this.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::error::LedgerError;
use super::fact::Recorded;
use super::lock::{Lock, beside};
use super::reader::{self, Reader, head_of};
use super::store::{Ledger, checked, failed};
use crate::ids::random_hex;

/// Where facts are appended.
#[derive(Debug)]
pub(super) enum Place {
    /// To the file; what cannot be written is an error.
    File,
    /// To the file as long as it takes them.
    FileOrMemory,
    /// To a copy in memory.
    Memory { why: String, unrecorded: Vec<Recorded> },
}

impl Ledger {
    /// Opens the ledger at `path` for a rollback: for writing where that is possible, and else in
    /// memory. An append that the disk refuses later on goes over into memory, too.
    ///
    /// # Errors
    /// When another process writes to it, or it is missing, damaged, newer than this ctx, or no
    /// ledger.
    pub fn open_for_rollback(path: &Path) -> Result<Self, LedgerError> {
        match Self::open_existing(path) {
            Ok(mut ledger) => {
                ledger.place = Place::FileOrMemory;
                Ok(ledger)
            }
            Err(error) if error.is_of_the_disk() => {
                let lock = Lock::take_as_it_is(path)?;
                let connection = copy_of(path)?;
                let head = checked(&connection, path)?;
                let place = Place::Memory { why: error.with_cause(), unrecorded: Vec::new() };
                Ok(Self::over(Reader::over(path, connection), head, place, lock))
            }
            Err(error) => Err(error),
        }
    }

    /// The facts that could not be written, oldest first.
    pub fn unrecorded(&self) -> &[Recorded] {
        match &self.place {
            Place::Memory { unrecorded, .. } => unrecorded,
            Place::File | Place::FileOrMemory => &[],
        }
    }

    /// Why the ledger takes no more entries, when they are kept in memory.
    pub fn why_unrecorded(&self) -> Option<&str> {
        match &self.place {
            Place::Memory { why, .. } => Some(why),
            Place::File | Place::FileOrMemory => None,
        }
    }

    /// Goes on in memory, after the file has refused an entry.
    pub(super) fn leave_the_file(&mut self, error: &LedgerError) -> Result<(), LedgerError> {
        let path = self.reader.path().to_path_buf();
        let memory = self.reader.connection(|connection| copy(connection, &path))?;
        self.head = head_of(&memory).map_err(failed(&path, "read the head"))?;
        self.reader = Reader::over(&path, memory);
        self.place = Place::Memory { why: error.with_cause(), unrecorded: Vec::new() };
        self.stopped = false;
        Ok(())
    }
}

/// A copy in memory of a ledger that cannot be written to.
fn copy_of(path: &Path) -> Result<Connection, LedgerError> {
    let log = fs::metadata(beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0);
    if !log {
        return copy(&reader::connect(path, true)?, path);
    }
    // What is in the log counts. SQLite reads it where its index is there, too; where it is not,
    // it can be made only in another place.
    match reader::connect(path, false).and_then(|connection| copy(&connection, path)) {
        Ok(memory) => Ok(memory),
        Err(first) => elsewhere(path).map_err(|_| first),
    }
}

/// Copies the file and its log to a folder for temporary files, and reads them there.
fn elsewhere(path: &Path) -> Result<Connection, LedgerError> {
    use std::os::unix::fs::DirBuilderExt;
    let io = |source| LedgerError::Io { path: path.to_path_buf(), doing: "copy it", source };
    let folder = std::env::temp_dir().join(format!("ctx-{}", random_hex::<8>()));
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(io)?;
    let file = folder.join("ledger.sqlite3");
    let copied = fs::copy(path, &file)
        .and_then(|_| fs::copy(beside(path, "-wal"), beside(&file, "-wal")))
        // The copies of read-only files are read-only, too.
        .and_then(|_| writable(&file).and_then(|()| writable(&beside(&file, "-wal"))))
        .map_err(io)
        .and_then(|()| Connection::open(&file).map_err(failed(path, "open the database")))
        .and_then(|connection| copy(&connection, path));
    let _ = fs::remove_dir_all(&folder);
    copied
}

fn writable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Copies everything that is committed into memory.
fn copy(from: &Connection, path: &Path) -> Result<Connection, LedgerError> {
    let failed = failed(path, "read it into memory");
    let mut memory = Connection::open_in_memory().map_err(&failed)?;
    let step = Backup::new(from, &mut memory).and_then(|backup| backup.step(-1));
    match step.map_err(&failed)? {
        StepResult::Done => {}
        _ => return Err(LedgerError::Locked { path: path.to_path_buf(), holder: None }),
    }
    memory.execute_batch("PRAGMA trusted_schema = OFF;").map_err(&failed)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rusqlite::Connection;

    use super::*;
    use crate::ledger::fact::Fact;

    fn fact(by: &str) -> Fact {
        Fact::Interrupted { by: by.to_owned() }
    }

    /// A ledger with one entry whose file takes no more pages from now on.
    fn full(path: &Path, open: fn(&Path) -> Result<Ledger, LedgerError>) -> Ledger {
        Ledger::open(path).unwrap();
        let mut ledger = open(path).unwrap();
        ledger.append(None, &fact("one"), DateTime::default()).unwrap();
        let set = |connection: &Connection| {
            connection.query_row("PRAGMA max_page_count = 1", [], |_| Ok(()))
        };
        let limited = ledger.reader.connection(|c| set(c).map_err(failed(path, "limit")));
        limited.unwrap();
        ledger
    }

    #[test]
    fn a_rollback_goes_on_in_memory_when_the_file_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite3");
        let mut ledger = full(&path, Ledger::open_for_rollback);
        assert_eq!((ledger.unrecorded().len(), ledger.why_unrecorded()), (0, None));
        let long = "x".repeat(1 << 16);
        ledger.append(None, &fact(&long), DateTime::default()).unwrap();
        ledger.append(None, &fact("three"), DateTime::default()).unwrap();
        assert!(ledger.why_unrecorded().unwrap().contains("no space is left"));
        let seqs: Vec<u64> = ledger.unrecorded().iter().map(|recorded| recorded.seq).collect();
        assert_eq!(seqs, [2, 3]);
        assert_eq!(ledger.head().unwrap().0, 3, "what is in memory can be read");
        assert!(ledger.verify().unwrap().intact());
        drop(ledger);
        assert_eq!(Ledger::read(&path).unwrap().head().unwrap().0, 1, "the file is as it was");
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.append(None, &fact("two"), DateTime::default()).unwrap();
        assert!(ledger.verify().unwrap().intact());
    }

    #[test]
    fn what_goes_forward_stops_when_the_file_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite3");
        let mut ledger = full(&path, Ledger::open);
        let refused = ledger.append(None, &fact(&"x".repeat(1 << 16)), DateTime::default());
        assert!(matches!(refused, Err(LedgerError::Full { .. })), "{refused:?}");
        assert!(ledger.unrecorded().is_empty());
    }
}
