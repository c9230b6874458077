//! The orchestrator's durable state: one SQLite file in a folder that is ours alone.
//!
//! Law: a transition is one transaction, synced to disk before anybody hears of it (WAL,
//! `synchronous = FULL`). Opening takes a lock on the folder, so two orchestrators never share a
//! state; the kernel drops it with the process, so nothing is left to clean up by hand.
//!
//! SQL lives in this folder and in `migrations/`, nowhere else.

mod armed;
mod folder;
mod health;
pub mod inbox;
mod migrate;
mod read;
mod snapshot;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction};

use self::folder::Lock;
pub(crate) use self::folder::inspect;
pub use self::folder::prepare;
pub use self::health::{Observed, Round};
pub use self::snapshot::Snapshot;
use crate::failpoint::{self, Point};

/// The name of the database within the state folder.
const FILE: &str = "orchestrator.sqlite3";

/// Why the store cannot be used, or could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another orchestrator is using the state in `{0}`")]
    Locked(PathBuf),
    #[error("failed to {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("`{path}` can be read by others (mode {mode:o})")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("`{path}` {what}")]
    Strange { path: PathBuf, what: &'static str },
    #[error("the store has schema {found}, and this ctx knows only up to {known}")]
    Newer { found: i64, known: i64 },
    #[error("migration {version} of the store is not the one this ctx has")]
    Altered { version: i64 },
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// What reached the disk is only known when the store is opened again.
    #[error("nothing more is written after the disk failed; restart the orchestrator")]
    Stopped,
}

impl StoreError {
    /// Whether the disk is full or fails, and the store is not known to be damaged.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
            ),
            _ => false,
        }
    }
}

/// An open store. Dropping it gives the state folder free.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// The disk failed in a write.
    stopped: bool,
    folder: PathBuf,
    _lock: Lock,
}

impl Store {
    /// Opens the store in `folder`, making both where they are missing.
    ///
    /// # Errors
    /// When the folder is in use, open to others or not writable, or when the database is
    /// damaged or newer than this ctx.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        folder::prepare(folder)?;
        let lock = Lock::take(folder)?;
        failpoint::hit(Point::StoreOpened);
        folder::sweep(folder)?;
        let file = folder.join(FILE);
        folder::inspect_database(&file)?;
        folder::create_private(&file)?;
        let mut connection = connect(&file)?;
        migrate::run(&mut connection)?;
        let damage: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if damage != "ok" {
            return Err(StoreError::Damaged(damage));
        }
        Ok(Self { connection, stopped: false, folder: folder.to_path_buf(), _lock: lock })
    }

    /// Writes in one transaction: all of it, synced to the disk, or nothing.
    ///
    /// After the disk failed, not even SQLite knows what reached it, and asking the same
    /// connection again could build on what is not there: nothing more is written then. A full
    /// disk is no such failure; the next write may find room.
    fn write<T>(
        &mut self,
        perform: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped);
        }
        let written = self.connection.transaction().map_err(StoreError::from).and_then(|t| {
            let done = perform(&t)?;
            t.commit()?;
            Ok(done)
        });
        if let Err(StoreError::Sqlite(error)) = &written
            && matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt)
            )
        {
            self.stopped = true;
            tracing::error!(%error, "the disk failed: nothing more is written until a restart");
        }
        written
    }

    /// Another connection to the same database, for a reader that takes its time.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn snapshots(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::new(connect(&self.folder.join(FILE))?, self.folder.clone()))
    }
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    // Nobody else writes; a stranger who holds the file must not hold up the control API.
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// SQLite's integers are signed; ours are counts that stay below 2^63.
fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Damaged(format!("{value} is beyond 2^63")))
}

fn unsigned(column: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Damaged(format!("`{column}` is {value}")))
}

#[cfg(test)]
mod tests;
