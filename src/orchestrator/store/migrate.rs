//! Brings a store to the newest schema: numbered SQL files, each run once, in its own transaction.
//!
//! `user_version` says how many have run; their hashes are kept beside it, so that a store which
//! was made by an edited file is noticed.
//!
//! To add one: put `000N_what.sql` into `migrations/orchestrator/` and a line into [`FILES`].

use rusqlite::{Connection, OptionalExtension, Transaction};
use sha2::{Digest, Sha256};

use super::StoreError;
use crate::failpoint::{self, Point};

const FILES: [&str; 3] = [
    include_str!("../../../migrations/orchestrator/0001_init.sql"),
    include_str!("../../../migrations/orchestrator/0002_guards.sql"),
    include_str!("../../../migrations/orchestrator/0003_canaries.sql"),
];

pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    apply(connection, &FILES)
}

pub(super) fn apply(connection: &mut Connection, files: &[&str]) -> Result<(), StoreError> {
    let known = i64::try_from(files.len()).expect("a handful of files");
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, sql) in (1..).zip(files) {
        let transaction = connection.transaction()?;
        if version <= found {
            verify(&transaction, version, sql)?;
        } else {
            transaction.execute_batch(
                "CREATE TABLE IF NOT EXISTS migrations (
                     version INTEGER PRIMARY KEY, sha256 TEXT NOT NULL) STRICT",
            )?;
            transaction.execute_batch(sql)?;
            transaction.execute("INSERT INTO migrations VALUES (?1, ?2)", (version, hash(sql)))?;
            transaction.pragma_update(None, "user_version", version)?;
            failpoint::hit(Point::MigrationRun);
            transaction.commit()?;
            failpoint::hit(Point::MigrationKept);
        }
    }
    Ok(())
}

fn verify(transaction: &Transaction<'_>, version: i64, sql: &str) -> Result<(), StoreError> {
    let stored: Option<String> = transaction
        .query_row("SELECT sha256 FROM migrations WHERE version = ?1", [version], |row| row.get(0))
        .optional()?;
    if stored.as_deref() == Some(&hash(sql)) {
        Ok(())
    } else {
        Err(StoreError::Altered { version })
    }
}

fn hash(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_runs_once_and_an_edited_or_newer_one_is_noticed() {
        let mut connection = Connection::open_in_memory().unwrap();
        let one = "CREATE TABLE a (x INTEGER) STRICT";
        let two = "CREATE TABLE b (x INTEGER) STRICT";
        apply(&mut connection, &[one]).unwrap();
        apply(&mut connection, &[one, two]).unwrap();
        apply(&mut connection, &[one, two]).unwrap();
        let edited = apply(&mut connection, &["CREATE TABLE a (y INTEGER) STRICT", two]);
        assert!(matches!(edited, Err(StoreError::Altered { version: 1 })), "{edited:?}");
        let newer = apply(&mut connection, &[one]);
        assert!(matches!(newer, Err(StoreError::Newer { found: 2, known: 1 })), "{newer:?}");
    }

    #[test]
    fn a_file_that_fails_leaves_nothing_behind() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert!(apply(&mut connection, &["CREATE TABLE a (x INTEGER) STRICT; NONSENSE"]).is_err());
        apply(&mut connection, &["CREATE TABLE a (x INTEGER) STRICT"]).unwrap();
    }
}
