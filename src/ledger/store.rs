//! The ledger's one writer: opens or makes the file, and appends facts.
//!
//! An append is one `IMMEDIATE` transaction: the entry, the head, and the tables derived from it,
//! in WAL mode with `synchronous = FULL`, so that it is on the disk when [`Ledger::append`]
//! returns. A new file is made under another name and moved into place whole; a ledger is never
//! half there. After a write that failed nothing more is written: what reached the disk is only
//! known when the file is opened again. A full disk is no such failure: SQLite takes the transaction
//! back, and the space that was held back is given up, so that the end of the run finds room.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::chain::{self, Hash, Link};
use super::error::LedgerError;
use super::fact::{Fact, Recorded};
use super::fault::Fault;
use super::lock::{Lock, beside};
use super::projection;
use super::reader::{Reader, head_of};
use super::reserve::Reserve;
use super::schema;
use super::unrecorded::Place;
use super::verify;
use crate::failpoint::{self, Point};
use crate::ids::{RunId, random_hex};

/// How many entries are checked before anything is written.
const TAIL: u64 = 1000;

/// A fact, and the run that it is of.
pub type Of = (Option<RunId>, Fact);

/// The ledger, open for writing. Also a [`Reader`].
#[derive(Debug)]
pub struct Ledger {
    pub(super) reader: Reader,
    pub(super) head: (u64, Hash),
    pub(super) stopped: bool,
    pub(super) place: Place,
    /// Absent in memory.
    reserve: Option<Reserve>,
    // Given back last, after the connection is closed.
    _lock: Lock,
}

impl Deref for Ledger {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Ledger {
    /// Opens the ledger at `path` for writing, or makes a new one.
    ///
    /// # Errors
    /// When another process writes to it, or it is damaged, newer than this ctx, or no ledger.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let io = |doing| move |source| LedgerError::Io { path: path.to_path_buf(), doing, source };
        make_folder(path)?;
        let lock = Lock::take(path)?;
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => {
                let why = "it is not a regular file".to_owned();
                return Err(LedgerError::NotALedger { path: path.to_path_buf(), why });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path, &random_hex::<16>(), |_, _| Ok(()))?;
            }
            Err(error) => return Err(io("open the ledger")(error)),
        }
        let connection = connect(path)?;
        let head = checked(&connection, path)?;
        let reader = Reader::over(path, connection);
        failpoint::hit(Point::LedgerOpened);
        let reserve = Some(Reserve::keep(path));
        Ok(Self { reserve, ..Self::over(reader, head, Place::File, lock) })
    }

    /// A ledger that was opened and checked, without a reserve.
    pub(super) fn over(reader: Reader, head: (u64, Hash), place: Place, lock: Lock) -> Self {
        Self { reader, head, stopped: false, place, reserve: None, _lock: lock }
    }

    /// Makes a ledger at `path` that begins with these facts. It is there with all of them, or not
    /// at all.
    ///
    /// # Errors
    /// When there is a file already, another process makes one, or the disk fails.
    pub fn begin(path: &Path, facts: &[Of], at: DateTime<Utc>) -> Result<(), LedgerError> {
        let facts: Vec<_> = facts.iter().map(|(run, fact)| (run.as_ref(), fact)).collect();
        Self::begin_with(path, &random_hex::<16>(), |connection, head| {
            insert_all(connection, path, head, &facts, at).map(|_| ())
        })
    }

    /// Makes a ledger at `path` with the uuid and the content that `fill` gives it, or none at all.
    ///
    /// # Errors
    /// When there is a file already, another process makes one, `fill` refuses, or the disk fails.
    pub(super) fn begin_with(
        path: &Path,
        uuid: &str,
        fill: impl FnOnce(&Connection, (u64, Hash)) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        make_folder(path)?;
        let _lock = Lock::take(path)?;
        if fs::symlink_metadata(path).is_ok() {
            return Err(LedgerError::Exists(path.to_path_buf()));
        }
        create(path, uuid, fill)
    }

    /// Opens the ledger at `path` for writing, if there is one.
    ///
    /// # Errors
    /// As [`Ledger::open`]; and when there is none.
    pub fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            return Err(LedgerError::Missing(path.to_path_buf()));
        }
        Self::open(path)
    }

    /// Opens the ledger at `path` for reading only. Nothing is locked and nothing is changed.
    ///
    /// # Errors
    /// When there is none, or it is damaged, newer than this ctx, or no ledger.
    pub fn read(path: &Path) -> Result<Reader, LedgerError> {
        Reader::open(path)
    }

    /// Appends a fact and brings the derived tables up to date. It is durable when this returns,
    /// unless a rollback goes on in memory.
    ///
    /// On a full disk the reserve is given up: what ends or undoes a run is then recorded all the
    /// same; and of a run that goes forward, that it was interrupted.
    ///
    /// # Errors
    /// When the disk is full or fails, or somebody else changed the file. After the disk failed,
    /// the fact may or may not be there, and every further append is refused.
    pub fn append(
        &mut self,
        run: Option<&RunId>,
        fact: &Fact,
        at: DateTime<Utc>,
    ) -> Result<Recorded, LedgerError> {
        let appended = match self.write_one(run, fact, at) {
            Err(full @ LedgerError::Full { .. }) => self.spend_reserve(run, fact, at, full),
            other => other,
        };
        match appended {
            Err(error) if matches!(self.place, Place::FileOrMemory) && error.is_of_the_disk() => {
                self.leave_the_file(&error)?;
                self.write_one(run, fact, at)
            }
            Err(error) => {
                self.stopped |= error.is_disk_failure();
                Err(error)
            }
            recorded => recorded,
        }
    }

    /// Tries again on a full disk, with the space that was held back.
    fn spend_reserve(
        &mut self,
        run: Option<&RunId>,
        fact: &Fact,
        at: DateTime<Utc>,
        full: LedgerError,
    ) -> Result<Recorded, LedgerError> {
        let released = self.reserve.take().is_some_and(|reserve| reserve.release());
        if !released {
            return Err(full);
        }
        if fact.leads_back() || matches!(self.place, Place::FileOrMemory) {
            return self.write_one(run, fact, at);
        }
        // A run that did not even begin has nothing to say.
        if run.is_some() && !matches!(fact, Fact::RunBegun(_)) {
            let interrupted = Fact::Interrupted { by: "a full disk".to_owned() };
            // That the disk is full is what the caller must hear of, recorded or not.
            if let Err(error) = self.write_one(run, &interrupted, at) {
                self.stopped |= error.is_disk_failure();
            }
        }
        Err(full)
    }

    /// Appends facts that belong together: all of them, or none.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn append_together(&mut self, facts: &[Of], at: DateTime<Utc>) -> Result<(), LedgerError> {
        let facts: Vec<_> = facts.iter().map(|(run, fact)| (run.as_ref(), fact)).collect();
        let written = self.write(&facts, at);
        self.stopped |= written.as_ref().is_err_and(LedgerError::is_disk_failure);
        written.map(|_| ())
    }

    fn write_one(
        &mut self,
        run: Option<&RunId>,
        fact: &Fact,
        at: DateTime<Utc>,
    ) -> Result<Recorded, LedgerError> {
        self.write(&[(run, fact)], at).map(|mut recorded| recorded.remove(0))
    }

    /// Appends facts in one transaction.
    fn write(
        &mut self,
        facts: &[(Option<&RunId>, &Fact)],
        at: DateTime<Utc>,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let path = self.reader.path();
        if self.stopped {
            return Err(LedgerError::Stopped(path.to_path_buf()));
        }
        let head = self.head;
        let (recorded, head) = self.reader.connection(|connection| {
            let transaction =
                Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
                    .map_err(failed(path, "begin a transaction"))?;
            let found = head_of(&transaction).map_err(failed(path, "read the head"))?;
            if found != head {
                let fault = Fault::Head { says: found.0, found: head.0 };
                return Err(LedgerError::Damaged { path: path.to_path_buf(), fault });
            }
            let appended = insert_all(&transaction, path, head, facts, at)?;
            failpoint::hit(Point::LedgerInserted);
            transaction.commit().map_err(failed(path, "append an entry"))?;
            Ok(appended)
        })?;
        self.head = head;
        if let Place::Memory { unrecorded, .. } = &mut self.place {
            unrecorded.extend_from_slice(&recorded);
        }
        failpoint::hit(Point::LedgerCommitted);
        Ok(recorded)
    }

    /// Makes the derived tables again from the entries.
    ///
    /// # Errors
    /// When an entry cannot be read, or the disk fails; the tables are then as before.
    pub fn rebuild(&mut self) -> Result<(), LedgerError> {
        let path = self.reader.path();
        self.reader.connection(|connection| {
            let transaction =
                Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
                    .map_err(failed(path, "begin a transaction"))?;
            projection::clear(&transaction).map_err(failed(path, "empty the derived tables"))?;
            verify::replay(&transaction, &transaction, path)?;
            failpoint::hit(Point::LedgerRebuilt);
            transaction.commit().map_err(failed(path, "rebuild the derived tables"))?;
            failpoint::hit(Point::LedgerRebuiltDurably);
            Ok(())
        })
    }
}

/// Refuses a database that is no ledger of this ctx, or damaged. Its head.
pub(super) fn checked(connection: &Connection, path: &Path) -> Result<(u64, Hash), LedgerError> {
    schema::check(connection, path)?;
    let head = head_of(connection).map_err(failed(path, "read the head"))?;
    let fault = verify::tail(connection, TAIL).map_err(failed(path, "check"))?;
    let fault = match fault {
        None => verify::storage(connection).map_err(failed(path, "check"))?,
        found => found,
    };
    match fault {
        Some(fault) => Err(LedgerError::Damaged { path: path.to_path_buf(), fault }),
        None => Ok(head),
    }
}

/// Writes entries after `head`; gives them, and the new head.
fn insert_all(
    transaction: &Connection,
    path: &Path,
    mut head: (u64, Hash),
    facts: &[(Option<&RunId>, &Fact)],
    at: DateTime<Utc>,
) -> Result<(Vec<Recorded>, (u64, Hash)), LedgerError> {
    let mut all = Vec::with_capacity(facts.len());
    for &(run, fact) in facts {
        let body = chain::canonical(fact);
        // JSON has no NaN. An entry that cannot be read again must never get in.
        if serde_json::from_str::<Fact>(&body).ok().as_ref() != Some(fact) {
            return Err(LedgerError::Unwritable(fact.kind()));
        }
        let (seq, at_ms) = (head.0 + 1, at.timestamp_millis());
        let recorded = Recorded { seq, at_ms, run: run.cloned(), fact: fact.clone() };
        let hash = insert(transaction, head.1, &recorded, &body)
            .map_err(failed(path, "append an entry"))?;
        head = (seq, hash);
        all.push(recorded);
    }
    Ok((all, head))
}

/// Writes an entry, moves the head, and updates the derived tables.
pub(super) fn insert(
    transaction: &Connection,
    previous: Hash,
    recorded: &Recorded,
    body: &str,
) -> rusqlite::Result<Hash> {
    let Recorded { seq, at_ms, run, fact } = recorded;
    let run = run.as_ref().map(RunId::as_str);
    let link = Link {
        seq: *seq,
        at_ms: *at_ms,
        run: run.map(str::as_bytes),
        kind: fact.kind().as_bytes(),
        body: body.as_bytes(),
    };
    let hash = chain::next(previous, &link);
    let seq = projection::int(*seq)?;
    transaction
        .prepare_cached(
            "INSERT INTO entry (seq, at_ms, run, kind, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![seq, at_ms, run, fact.kind(), body, hash.0])?;
    transaction
        .prepare_cached("UPDATE ledger SET head_seq = ?1, head_hash = ?2")?
        .execute(params![seq, hash.0])?;
    projection::apply(transaction, recorded)?;
    Ok(hash)
}

/// Makes the folder of the ledger at `path`.
fn make_folder(path: &Path) -> Result<(), LedgerError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let doing = "make the folder";
    made.map_err(|source| LedgerError::Io { path: path.to_path_buf(), doing, source })
}

/// Makes a ledger beside `path` and moves it there when it is whole and on the disk.
fn create(
    path: &Path,
    uuid: &str,
    fill: impl FnOnce(&Connection, (u64, Hash)) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    if beside(path, "-wal").exists() {
        let detail = "its write-ahead log is there, but the ledger is not".to_owned();
        let fault = Fault::Storage { detail };
        return Err(LedgerError::Damaged { path: path.to_path_buf(), fault });
    }
    let new = beside(path, ".new");
    let made = make(path, &new, uuid, fill);
    if made.is_err() {
        // What is half made is no use to anybody, and on a full disk it is in the way.
        let _ = clear(&new);
    }
    made
}

/// Makes a ledger at `new` and moves it to `path`.
fn make(
    path: &Path,
    new: &Path,
    uuid: &str,
    fill: impl FnOnce(&Connection, (u64, Hash)) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let doing = "make the ledger";
    let io = |source| LedgerError::Io { path: path.to_path_buf(), doing, source };
    clear(new).map_err(io)?;
    File::options().write(true).create_new(true).mode(0o600).open(new).map_err(io)?;
    let mut connection = connect(new)?;
    // Persists in the file; a database that somebody else made is never switched over.
    connection
        .execute_batch("PRAGMA journal_mode = WAL;")
        .and_then(|()| schema::create(&mut connection, uuid))
        .map_err(failed(path, "make the tables"))?;
    let head = head_of(&connection).map_err(failed(path, "read the head"))?;
    fill(&connection, head)?;
    // Everything must be in the file before the file gets its name. Closing would see to that too,
    // but does not say when it fails.
    let (busy, left): (i64, i64) = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed(path, "make the tables"))?;
    if (busy, left) != (0, 0) {
        return Err(io(io::Error::other("somebody else has opened it")));
    }
    connection.close().map_err(|(_, error)| failed(path, "make the tables")(error))?;
    File::open(new).and_then(|file| file.sync_all()).map_err(io)?;
    failpoint::hit(Point::LedgerCreated);
    fs::rename(new, path).map_err(io)?;
    failpoint::hit(Point::LedgerRenamed);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(io)?;
    folder.sync_all().map_err(io)
}

/// Removes a database file and those that SQLite keeps beside it.
fn clear(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens an existing database file for writing.
fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(failed(path, "open the database"))?;
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA synchronous = FULL;",
        )
        .map_err(failed(path, "open the database"))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Turns what SQLite says into an error that names the file.
pub(super) fn failed(path: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> LedgerError {
    let path = path.to_path_buf();
    move |source| LedgerError::sqlite(&path, doing, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_the_next_append_may_find_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        let long = Fact::Interrupted { by: "x".repeat(1 << 20) };
        let limit = |pages: u32| {
            let set = |connection: &Connection| {
                connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            };
            ledger.reader.connection(|connection| set(connection).map_err(failed(&path, "limit")))
        };
        limit(100).unwrap();
        let full = ledger.append(None, &long, DateTime::default()).unwrap_err();
        assert!(matches!(&full, LedgerError::Full { .. }), "{full:?}");
        assert!(full.to_string().contains("ledger.sqlite3"), "{full}");
        let short = Fact::Interrupted { by: "a full disk".to_owned() };
        assert_eq!(ledger.append(None, &short, DateTime::default()).unwrap().seq, 1);
        assert!(ledger.verify().unwrap().intact());
    }
}
