//! SQLite databases: copied, counted and put back by SQLite itself, never as files.
//!
//! A file copy of a database that is in use can be torn, and misses its write-ahead log. SQLite's
//! backup reads one snapshot, whoever writes meanwhile; and it writes into a database that is in
//! use as one transaction, so that a service never sees half of it.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::manifest::Tables;
use crate::control::inbox::InboxEvent;

/// How long another process may keep a database to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a database is no good.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("its integrity check says: {0}")]
    Integrity(String),
    #[error("another process keeps it locked")]
    Busy,
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF")?;
    Ok(connection)
}

/// Copies one snapshot of the database `from` to the database `to`, in one step.
fn copy(from: &Path, to: &Path, flags: OpenFlags) -> Result<(), Fault> {
    let source = open(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut target = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE | flags)?;
    let done = Backup::new(&source, &mut target)?.step(-1)?;
    match done {
        StepResult::Done => Ok(()),
        _ => Err(Fault::Busy),
    }
}

/// Copies a database, in use or not, to a new file.
pub(super) fn snapshot(from: &Path, to: &Path) -> Result<(), Fault> {
    copy(from, to, OpenFlags::SQLITE_OPEN_CREATE)
}

/// Replaces what is in the database `into`, in use or not, by what is in `restored`.
///
/// # Errors
/// When SQLite cannot; the database is then as it was.
pub fn replace(restored: &Path, into: &Path) -> Result<(), Fault> {
    copy(restored, into, OpenFlags::SQLITE_OPEN_CREATE)
}

/// Checks a database and counts what is in it.
pub(super) fn inspect(path: &Path) -> Result<Tables, Fault> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut complaints = Vec::new();
    connection.pragma_query(None, "integrity_check", |row| {
        complaints.push(row.get::<_, String>(0)?);
        Ok(())
    })?;
    if complaints != ["ok"] {
        return Err(Fault::Integrity(complaints.join("; ")));
    }
    let mut dangling = 0;
    connection.pragma_query(None, "foreign_key_check", |_| {
        dangling += 1;
        Ok(())
    })?;
    let mut names = connection.prepare(
        // Rows of virtual tables are in their shadow tables, which are counted.
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'
            ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name",
    )?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut tables = Tables { dangling, ..Tables::default() };
    for name in names {
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        tables.rows.insert(name, rows.cast_unsigned());
    }
    Ok(tables)
}

/// How many events of an inbox wait, and how many are dead letters.
pub(super) fn inbox_census(path: &Path) -> Result<(u64, u64), Fault> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sql = "SELECT count(*) FILTER (WHERE state = 'pending'),
                      count(*) FILTER (WHERE state = 'dead') FROM events";
    let counts = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (pending, dead) = connection.query_row(sql, [], counts)?;
    Ok((pending.cast_unsigned(), dead.cast_unsigned()))
}

/// The events of an inbox with a number above `after`, in order, as many as have `bytes` together
/// and at least one; and the number of the last. `None` when there are no more.
pub(super) fn inbox_events(
    path: &Path,
    after: i64,
    bytes: usize,
) -> Result<Option<(i64, Vec<InboxEvent>)>, Fault> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut select = connection.prepare(
        "SELECT id, source, delivery, target, headers, body, received_ms, attempts, answered,
                state = 'dead', why
         FROM events WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = select.query([after])?;
    let (mut last, mut size, mut events) = (after, 0, Vec::new());
    while size < bytes
        && let Some(row) = rows.next()?
    {
        last = row.get(0)?;
        let (headers, body): (String, Vec<u8>) = (row.get(4)?, row.get(5)?);
        size += headers.len() + 2 * body.len();
        let headers = serde_json::from_str(&headers)
            .map_err(|error| Fault::Integrity(format!("headers of event {last}: {error}")))?;
        let dead: bool = row.get(9)?;
        events.push(InboxEvent {
            number: last.unsigned_abs(),
            source: row.get(1)?,
            delivery: row.get(2)?,
            target: row.get(3)?,
            headers,
            body: hex::encode(body),
            received_ms: row.get::<_, i64>(6)?.try_into().unwrap_or(0),
            attempts: row.get(7)?,
            answered: row.get(8)?,
            dead: if dead { Some(row.get(10)?) } else { None },
        });
    }
    Ok((!events.is_empty()).then_some((last, events)))
}

/// How many bytes a snapshot of the database will have.
pub(super) fn size(path: &Path) -> rusqlite::Result<u64> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(pragma("page_count")?.cast_unsigned() * pragma("page_size")?.cast_unsigned())
}
