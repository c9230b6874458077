//! The ledger's schema: numbered SQL files, applied in order, never edited once released.
//!
//! `user_version` counts the applied files; the table `migration` keeps the SHA-256 of each, so
//! that a file which was edited after its release is noticed. `application_id` marks the file as
//! a ledger.
//!
//! How to add one: the next file in `migrations/ledger/`, and its line in `MIGRATIONS`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::chain;
use super::error::LedgerError;

/// The format that this ctx writes: how many files it knows.
pub const FORMAT: u32 = 1;

/// The files in the order in which they are applied.
const MIGRATIONS: [&str; FORMAT as usize] = [include_str!("../../migrations/ledger/0001_init.sql")];

/// `ctxL` as a big-endian number.
const APPLICATION_ID: i64 = 0x6374_784c;

/// Makes a ledger with this uuid in an empty database.
pub(super) fn create(connection: &mut Connection, uuid: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    apply(&transaction)?;
    transaction.execute(
        "INSERT INTO ledger (one, uuid, head_seq, head_hash) VALUES (1, ?1, 0, ?2)",
        params![uuid, chain::genesis(uuid).0],
    )?;
    transaction.commit()
}

/// Applies all files to an empty database, and records that.
pub(super) fn apply(connection: &Connection) -> rusqlite::Result<()> {
    for (version, sql) in (1i64..).zip(MIGRATIONS) {
        connection.execute_batch(sql)?;
        let sum = checksum(sql);
        connection
            .execute("INSERT INTO migration (version, checksum) VALUES (?1, ?2)", (version, sum))?;
    }
    connection.pragma_update(None, "user_version", FORMAT)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Refuses a database that is not a ledger, or one that a newer ctx wrote.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::sqlite(path, "read the format", source);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let not = |why: String| LedgerError::NotALedger { path: path.to_path_buf(), why };
    if pragma("application_id").map_err(failed)? != APPLICATION_ID {
        return Err(not("it was not made by ctx".to_owned()));
    }
    let found = pragma("user_version").map_err(failed)?;
    if found > i64::from(FORMAT) {
        return Err(LedgerError::TooNew { path: path.to_path_buf(), found, known: FORMAT });
    }
    let sums: Vec<(i64, String)> = connection
        .prepare("SELECT version, checksum FROM migration ORDER BY version")
        .and_then(|mut select| {
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .map_err(failed)?;
    let expected = (1i64..).zip(MIGRATIONS.iter().map(|sql| checksum(sql)));
    if found != i64::from(FORMAT) || !sums.into_iter().eq(expected) {
        return Err(not(format!("its format {found} was not made by the migrations of this ctx")));
    }
    Ok(())
}

fn checksum(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}
