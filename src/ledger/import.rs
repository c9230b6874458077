//! A ledger made of its export: every entry is proven before the file gets its name.
//!
//! An export is JSON lines: first who the ledger is and its head, then each entry with its hash.
//! The chain is computed again from the uuid on; what does not follow is refused with its line, and
//! so is an export that ends before its head. So a copy is the same evidence as its original.

use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;

use super::chain::Hash;
use super::error::LedgerError;
use super::fact::{Fact, Recorded};
use super::store::{Ledger, failed, insert};
use super::view::{Entry, Info};

/// One line of an export.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Ledger(Info),
    Entry(Entry),
}

/// Makes a ledger at `path` of an export. It is there with every entry, or not at all.
///
/// # Errors
/// When there is a file at `path`, a line of the export does not follow from those before it, or
/// the disk fails.
pub fn import(path: &Path, export: impl BufRead) -> Result<Info, LedgerError> {
    let mut lines = (1u64..).zip(export.lines());
    let refused = |line, why: String| LedgerError::Export { line, why };
    let mut read = move || -> Result<Option<(u64, Line)>, LedgerError> {
        let Some((number, line)) = lines.next() else { return Ok(None) };
        let line = line.map_err(|error| refused(number, error.to_string()))?;
        let line = serde_json::from_str(&line)
            .map_err(|error| refused(number, format!("it is no line of an export: {error}")))?;
        Ok(Some((number, line)))
    };
    let Some((_, Line::Ledger(info))) = read()? else {
        return Err(refused(1, "it does not say which ledger it is".to_owned()));
    };
    let uuid = &info.uuid;
    if uuid.len() != 32 || !uuid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused(1, "its uuid is not 32 hex digits".to_owned()));
    }
    Ledger::begin_with(path, uuid, |connection, mut head| {
        // One transaction, or each entry would be synced by itself.
        let transaction =
            connection.unchecked_transaction().map_err(failed(path, "begin a transaction"))?;
        while let Some((number, line)) = read()? {
            let Line::Entry(entry) = line else {
                return Err(refused(number, "a second ledger begins".to_owned()));
            };
            let recorded = recorded(&entry, head.0).map_err(|why| refused(number, why))?;
            let body = entry.body.to_string();
            let hash = insert(&transaction, head.1, &recorded, &body)
                .map_err(failed(path, "append an entry"))?;
            if hash.to_string() != entry.hash {
                let why = format!("entry {} was changed: its hash does not follow", entry.seq);
                return Err(refused(number, why));
            }
            head = (entry.seq, hash);
        }
        whole(&info, head).map_err(|why| refused(head.0 + 1, why))?;
        transaction.commit().map_err(failed(path, "append the entries"))
    })?;
    Ledger::read(path)?.info()
}

/// The entry as it is recorded after entry `before`.
fn recorded(entry: &Entry, before: u64) -> Result<Recorded, String> {
    if entry.seq != before + 1 {
        return Err(format!("entry {} follows entry {before}", entry.seq));
    }
    let fact: Fact = serde_json::from_value(entry.body.clone())
        .map_err(|error| format!("entry {} is no fact that this ctx knows: {error}", entry.seq))?;
    if fact.kind() != entry.kind {
        return Err(format!(
            "entry {} says `{}`, its fact `{}`",
            entry.seq,
            entry.kind,
            fact.kind()
        ));
    }
    Ok(Recorded { seq: entry.seq, at_ms: entry.at_ms, run: entry.run.clone(), fact })
}

/// Whether the export goes as far as it says.
fn whole(info: &Info, (seq, hash): (u64, Hash)) -> Result<(), String> {
    if info.entries != seq || info.head != hash.to_string() {
        return Err(format!(
            "it ends with entry {seq}, and should end with entry {}, head {}",
            info.entries, info.head
        ));
    }
    Ok(())
}
