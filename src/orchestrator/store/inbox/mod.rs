//! The inbox's own database: events that are acknowledged and not handled yet.
//!
//! It is a file beside the orchestrator's, because events come by the hundred each second and a
//! revision must not wait behind them. A batch ([`Batch`]) is one transaction, synced to the disk
//! before anybody hears of it. The folder's lock is the orchestrator's.

mod batch;
mod event;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

pub use self::batch::{Batch, Mark, Put};
pub use self::event::{Census, Event, Kept, Line, Returned};
use super::{Snapshot, StoreError, connect, folder, migrate, signed, unsigned};
use crate::clock::WallMs;

/// The name of the database within the state folder.
const FILE: &str = "inbox.sqlite3";

/// How long another process may be writing.
const BUSY: Duration = Duration::from_secs(10);

const FILES: [&str; 1] = [include_str!("../../../../migrations/inbox/0001_init.sql")];

/// An open inbox.
#[derive(Debug)]
pub struct Inbox {
    connection: Connection,
}

impl Inbox {
    /// Opens the inbox in the state `folder`, making it where it is missing. Twice is allowed: one
    /// writes, the other reads.
    ///
    /// # Errors
    /// When it is damaged, newer than this ctx, or the disk does not allow it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(FILE);
        folder::inspect_database(&file)?;
        folder::create_private(&file)?;
        let mut connection = connect(&file)?;
        // At a hand-over two processes write: one that finishes, and one that has begun.
        connection.busy_timeout(BUSY)?;
        migrate::apply(&mut connection, &FILES)?;
        Ok(Self { connection })
    }

    /// Something that copies the inbox in the state `folder` while it is used.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn snapshots(folder: &Path) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::new(connect(&folder.join(FILE))?, folder.to_path_buf()))
    }

    /// Writes in one transaction: all of it, synced to the disk, or nothing.
    ///
    /// # Errors
    /// When the disk is full or fails; then nothing of it was written.
    pub fn write<T>(
        &mut self,
        perform: impl FnOnce(&Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // A transaction that begins by reading could not wait for another's end.
        let behavior = TransactionBehavior::Immediate;
        let batch = Batch::begin(self.connection.transaction_with_behavior(behavior)?);
        let done = perform(&batch)?;
        batch.commit()?;
        Ok(done)
    }

    /// The numbers of pending events that are due, the longest due first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn due(&self, now_ms: WallMs, limit: usize) -> Result<Vec<u64>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id FROM events WHERE state = 'pending' AND due_ms <= ?1
             ORDER BY due_ms, since_ms LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query((now_ms, limit))?;
        let mut due = Vec::new();
        while let Some(row) = rows.next()? {
            due.push(unsigned("id", row.get(0)?)?);
        }
        Ok(due)
    }

    /// A pending event; `None` when it is not pending any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pending(&self, id: u64) -> Result<Option<Kept>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source, delivery, body_hash, target, headers, body, received_ms, since_ms,
                    attempts, answered
             FROM events WHERE state = 'pending' AND id = ?1",
        )?;
        let mut rows = statement.query([signed(id)?])?;
        rows.next()?.map(Kept::read).transpose()
    }

    /// When the next pending event is due.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(&self, after_ms: WallMs) -> Result<Option<WallMs>, StoreError> {
        let sql = "SELECT min(due_ms) FROM events WHERE state = 'pending' AND due_ms > ?1";
        Ok(self.connection.prepare_cached(sql)?.query_row([after_ms], |row| row.get(0))?)
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn census(&self) -> Result<Census, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM events WHERE state = 'pending'),
                          (SELECT count(*) FROM events WHERE state = 'dead'),
                          (SELECT min(since_ms) FROM events WHERE state = 'pending')";
        let (pending, dead, oldest_ms) = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Census {
            pending: unsigned("pending", pending)?,
            dead: unsigned("dead", dead)?,
            oldest_ms,
        })
    }

    /// Dead letters with an id above `after`, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn dead(&self, after: u64, limit: usize) -> Result<Vec<Line>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source, delivery, target, received_ms, attempts, why, length(body)
             FROM events WHERE state = 'dead' AND id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // A number that SQLite does not have is above all that it has.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut rows = statement.query((after, limit))?;
        let mut dead = Vec::new();
        while let Some(row) = rows.next()? {
            dead.push(Line {
                id: unsigned("id", row.get(0)?)?,
                source: row.get(1)?,
                delivery: row.get(2)?,
                target: row.get(3)?,
                received_ms: row.get(4)?,
                attempts: row.get(5)?,
                why: row.get(6)?,
                bytes: unsigned("length", row.get(7)?)?,
            });
        }
        Ok(dead)
    }

    /// How many of these are dead letters; of all, when none are named.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn dead_among(&self, ids: &[u64]) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(self.census()?.dead);
        }
        let sql = "SELECT count(*) FROM events WHERE state = 'dead' AND id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut found = 0;
        for id in ids.iter().filter_map(|id| i64::try_from(*id).ok()) {
            found += unsigned("count", statement.query_row([id], |row| row.get(0))?)?;
        }
        Ok(found)
    }

    /// A dead letter with its content, and why it is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn dead_letter(&self, id: u64) -> Result<Option<(Kept, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, source, delivery, body_hash, target, headers, body, received_ms, since_ms,
                    attempts, answered, why
             FROM events WHERE state = 'dead' AND id = ?1",
        )?;
        let mut rows = statement.query([signed(id)?])?;
        match rows.next()? {
            Some(row) => Ok(Some((Kept::read(row)?, row.get(11)?))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
