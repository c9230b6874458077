//! A consistent copy of the database, made while the orchestrator goes on working.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use rusqlite::Connection;

use super::{StoreError, folder};
use crate::failpoint::{self, Point};
use crate::ids::random_hex;

/// Makes copies over a connection of its own, so that no transition waits for one.
pub struct Snapshot {
    connection: Connection,
    folder: PathBuf,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(super) fn new(connection: Connection, folder: PathBuf) -> Self {
        Self { connection, folder }
    }

    /// Copies the database into a file that has no name any more when this returns: whatever
    /// happens to its reader, nothing is left behind.
    ///
    /// # Errors
    /// When the database fails or the disk is full.
    pub fn take(&self) -> Result<File, StoreError> {
        let path = self.folder.join(format!("{}{}.sqlite3", folder::SNAPSHOT, random_hex::<8>()));
        // SQLite fills an empty file, and keeps the mode that it was made with.
        folder::create_private(&path)?;
        failpoint::hit(Point::SnapshotBegun);
        let copied = self
            .connection
            .execute("VACUUM INTO ?1", [path.to_string_lossy()])
            .map_err(StoreError::from)
            .and_then(|_| File::open(&path).map_err(|e| folder::failed("open", &path, e)));
        failpoint::hit(Point::SnapshotTaken);
        folder::remove(&path)?;
        copied
    }
}
