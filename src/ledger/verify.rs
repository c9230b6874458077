//! Verification: finds and locates every entry that was edited, removed, moved or inserted.
//!
//! All entries are read in order and each hash is computed again from the stored hash before it,
//! so one edited entry is one fault, and those after it are still judged on their own. Then the
//! head must be the last entry, the tables and triggers must be the ones that ctx makes, SQLite
//! must find its own structure sound, and the derived tables must be what the entries come to.

use std::path::Path;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;

use super::chain::{self, Hash, Link};
use super::error::LedgerError;
use super::fault::Fault;
use super::projection::{self, TABLES};
use super::reader::{Reader, head_of};
use super::store::failed;
use super::{rows, schema};

/// How many faults are listed; more are only counted.
const LISTED: usize = 100;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// How many entries were read.
    pub entries: u64,
    pub head: Hash,
    /// The first faults, in order.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub fault_count: usize,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn intact(&self) -> bool {
        self.fault_count == 0
    }

    /// Whether only the derived tables are wrong, so that `ctx ledger rebuild` mends them.
    pub fn only_derived(&self) -> bool {
        !self.intact() && self.faults.iter().all(|fault| matches!(fault, Fault::Derived { .. }))
    }
}

impl Reader {
    /// Verifies the whole ledger.
    ///
    /// # Errors
    /// When it cannot be read at all; damage is not an error but a result.
    pub fn verify(&self) -> Result<Verification, LedgerError> {
        self.connection(|connection| {
            connection.execute_batch("BEGIN").map_err(failed(self.path(), "verify"))?;
            let result = all(connection, self.path());
            connection.execute_batch("COMMIT").map_err(failed(self.path(), "verify"))?;
            result
        })
    }
}

fn all(connection: &Connection, path: &Path) -> Result<Verification, LedgerError> {
    let mut walk = Walk::from_genesis(connection).map_err(failed(path, "verify"))?;
    let walked = walk.entries(
        connection,
        "SELECT seq, at_ms, run, kind, body, hash FROM entry \
         ORDER BY seq",
        -1,
    );
    // A file that is broken in the middle still has faults to show from before that place.
    match walked.map_err(failed(path, "verify")) {
        Ok(()) => walk.end(connection).map_err(failed(path, "verify"))?,
        Err(LedgerError::Damaged { fault, .. }) => walk.found(fault),
        Err(error) => return Err(error),
    }
    let sound = walk.fault_count == 0;
    for fault in structure(connection).map_err(failed(path, "verify"))? {
        walk.found(fault);
    }
    if sound && walk.fault_count == 0 {
        for fault in derived(connection, path)? {
            walk.found(fault);
        }
    }
    let Walk { entries, previous, faults, fault_count, .. } = walk;
    Ok(Verification { entries, head: previous, faults, fault_count })
}

/// Lets SQLite look over its file. The first thing that it finds.
pub(super) fn storage(connection: &Connection) -> rusqlite::Result<Option<Fault>> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(Fault::Storage { detail: said }))
}

/// Checks the last `count` entries and the head. The first fault, if there is one.
pub(super) fn tail(connection: &Connection, count: u64) -> rusqlite::Result<Option<Fault>> {
    let (head, _) = head_of(connection)?;
    let before = i64::try_from(head.saturating_sub(count)).unwrap_or(i64::MAX);
    let mut walk = Walk::from_genesis(connection)?;
    if before > 0 {
        let hash: Option<[u8; 32]> = connection
            .query_row("SELECT hash FROM entry WHERE seq = ?1", [before], |row| row.get(0))
            .optional()?;
        match hash {
            Some(hash) => (walk.last, walk.previous) = (before, Hash(hash)),
            None => return Ok(Some(Fault::Removed { first: before, last: before })),
        }
    }
    let sql = "SELECT seq, at_ms, run, kind, body, hash FROM entry WHERE seq > ?1 ORDER BY seq";
    walk.entries(connection, sql, before)?;
    walk.end(connection)?;
    Ok(walk.faults.into_iter().next())
}

/// A walk along the chain.
struct Walk {
    last: i64,
    previous: Hash,
    entries: u64,
    faults: Vec<Fault>,
    fault_count: usize,
}

impl Walk {
    fn from_genesis(connection: &Connection) -> rusqlite::Result<Self> {
        let uuid: String = connection.query_row("SELECT uuid FROM ledger", [], |row| row.get(0))?;
        let previous = chain::genesis(&uuid);
        Ok(Self { last: 0, previous, entries: 0, faults: Vec::new(), fault_count: 0 })
    }

    fn found(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < LISTED {
            self.faults.push(fault);
        }
    }

    fn entries(&mut self, connection: &Connection, sql: &str, after: i64) -> rusqlite::Result<()> {
        let mut select = connection.prepare(sql)?;
        let mut found = match select.parameter_count() {
            0 => select.query([])?,
            _ => select.query([after])?,
        };
        while let Some(row) = found.next()? {
            self.entry(row)?;
        }
        Ok(())
    }

    fn entry(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        self.entries += 1;
        let seq: i64 = row.get(0)?;
        if seq < 1 {
            self.found(Fault::Inserted { seq });
            return Ok(());
        }
        if seq != self.last + 1 {
            self.found(Fault::Removed { first: self.last + 1, last: seq - 1 });
            // The hash before this one is gone with its entry; go on from the stored one.
            self.last = seq;
            if let ValueRef::Blob(hash) = row.get_ref(5)? {
                self.previous = Hash(hash.try_into().unwrap_or([0; 32]));
            }
            return Ok(());
        }
        self.last = seq;
        let stored: Option<[u8; 32]> = match row.get_ref(5)? {
            ValueRef::Blob(hash) => hash.try_into().ok(),
            _ => None,
        };
        let computed = computed(self.previous, seq, row)?;
        if stored.is_none() || computed != stored.map(Hash) {
            self.found(Fault::Changed { seq });
        }
        self.previous = Hash(stored.unwrap_or([0; 32]));
        Ok(())
    }

    /// Compares the head with the last entry.
    fn end(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let (says, hash) = head_of(connection)?;
        let head = i64::try_from(says).unwrap_or(i64::MAX);
        let last = self.last;
        if last < head {
            self.found(Fault::Removed { first: last + 1, last: head });
        }
        for seq in (head + 1)..=last {
            self.found(Fault::Inserted { seq });
        }
        if last == head && hash != self.previous {
            self.found(Fault::HeadHash { seq: says });
        }
        Ok(())
    }
}

/// The hash that an entry should have; `None` when a column is not even of its type.
fn computed(previous: Hash, seq: i64, row: &Row<'_>) -> rusqlite::Result<Option<Hash>> {
    let (ValueRef::Integer(at_ms), ValueRef::Text(kind), ValueRef::Text(body)) =
        (row.get_ref(1)?, row.get_ref(3)?, row.get_ref(4)?)
    else {
        return Ok(None);
    };
    let run = match row.get_ref(2)? {
        ValueRef::Null => None,
        ValueRef::Text(run) => Some(run),
        _ => return Ok(None),
    };
    let link = Link { seq: seq.cast_unsigned(), at_ms, run, kind, body };
    Ok(Some(chain::next(previous, &link)))
}

/// What SQLite says about its file, and what differs from the schema that ctx makes.
fn structure(connection: &Connection) -> rusqlite::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    // Not `quick_check`: an index that differs from its table hides entries from who asks by run.
    connection.pragma_query(None, "integrity_check", |row| {
        let detail: String = row.get(0)?;
        if detail != "ok" {
            faults.push(Fault::Storage { detail });
        }
        Ok(())
    })?;
    let fresh = Connection::open_in_memory()?;
    schema::apply(&fresh)?;
    let (made, found) = (objects(&fresh)?, objects(connection)?);
    let missing = made.iter().filter(|object| !found.contains(object));
    let other = found.iter().filter(|object| !made.contains(object));
    let mut names: Vec<&String> = missing.chain(other).map(|(name, _)| name).collect();
    names.dedup();
    faults.extend(names.into_iter().map(|name| Fault::Schema { name: name.clone() }));
    Ok(faults)
}

fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    connection
        .prepare(
            "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Derives the tables again in memory and compares them.
fn derived(connection: &Connection, path: &Path) -> Result<Vec<Fault>, LedgerError> {
    let fresh = Connection::open_in_memory().map_err(failed(path, "verify"))?;
    schema::apply(&fresh).map_err(failed(path, "verify"))?;
    match replay(connection, &fresh, path) {
        Ok(()) => {}
        Err(LedgerError::Damaged { fault, .. }) => return Ok(vec![fault]),
        Err(error) => return Err(error),
    }
    let mut faults = Vec::new();
    for (table, key) in TABLES {
        let fault = differs(connection, &fresh, table, key).map_err(failed(path, "verify"))?;
        faults.extend(fault);
    }
    Ok(faults)
}

/// Applies all entries of `from` to the derived tables of `to`.
pub(super) fn replay(from: &Connection, to: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = failed(path, "rebuild the derived tables");
    let mut select = from
        .prepare("SELECT seq, at_ms, run, kind, body FROM entry ORDER BY seq")
        .map_err(&failed)?;
    let mut entries = select.query([]).map_err(&failed)?;
    while let Some(row) = entries.next().map_err(&failed)? {
        let seq: i64 = row.get(0).map_err(&failed)?;
        let unreadable = |why: String| {
            let fault = Fault::Unreadable { seq, why };
            LedgerError::Damaged { path: path.to_path_buf(), fault }
        };
        let recorded = rows::recorded(row).map_err(|error| unreadable(error.to_string()))?;
        let kind: String = row.get("kind").map_err(&failed)?;
        if kind != recorded.fact.kind() {
            return Err(unreadable(format!("a fact `{}` of kind `{kind}`", recorded.fact.kind())));
        }
        projection::apply(to, &recorded).map_err(&failed)?;
    }
    Ok(())
}

/// The first row in which a table differs.
fn differs(
    found: &Connection,
    made: &Connection,
    table: &str,
    key: &str,
) -> rusqlite::Result<Option<Fault>> {
    let sql = format!("SELECT {key}, * FROM {table} ORDER BY {key}");
    let (mut found, mut made) = (found.prepare(&sql)?, made.prepare(&sql)?);
    let (columns, keys) = (found.column_count(), key.split(',').count());
    let (mut found, mut made) = (found.query([])?, made.query([])?);
    loop {
        let values = |row: Option<&Row<'_>>| -> rusqlite::Result<Option<Vec<Value>>> {
            row.map(|row| (0..columns).map(|column| row.get(column)).collect()).transpose()
        };
        let (left, right) = (values(found.next()?)?, values(made.next()?)?);
        if left == right {
            if left.is_none() {
                return Ok(None);
            }
            continue;
        }
        let row = left.or(right).unwrap_or_default();
        let row = row.iter().take(keys).map(shown).collect::<Vec<_>>().join(", ");
        return Ok(Some(Fault::Derived { table: table.to_owned(), row }));
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("`{text}`"),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
