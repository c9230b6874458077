//! What the inbox holds, as it is stored, listed and counted.

use rusqlite::Row;

use crate::clock::WallMs;
use crate::orchestrator::store::{StoreError, unsigned};

/// An event as it came, after its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The platform's name, or the route's where there is none.
    pub source: String,
    /// The platform's id of this delivery; without one every event is new.
    pub delivery: Option<String>,
    /// SHA-256 of the body, as 64 hex digits.
    pub body_hash: String,
    /// Path and query.
    pub target: String,
    /// Names and values; each byte of a value is one character.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub received_ms: WallMs,
}

/// An event of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: u64,
    pub event: Event,
    /// Since when it waits: received, or replayed.
    pub since_ms: WallMs,
    /// Attempts so far, and how many of them a handler answered.
    pub attempts: u32,
    pub answered: u32,
}

/// What is known of an event without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: u64,
    pub source: String,
    pub delivery: Option<String>,
    pub target: String,
    pub received_ms: WallMs,
    pub attempts: u32,
    pub why: String,
    pub bytes: u64,
}

/// An event out of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its number in the inbox it was in.
    pub number: u64,
    pub event: Event,
    pub attempts: u32,
    pub answered: u32,
    /// Why no further attempt is made; `None` for one that waits.
    pub dead: Option<String>,
}

/// How many events there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub pending: u64,
    pub dead: u64,
    /// Since when the oldest pending one waits.
    pub oldest_ms: Option<WallMs>,
}

impl Kept {
    /// Reads the columns from `id` to `answered`, in the order of the table.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let headers: String = row.get(5)?;
        let headers = serde_json::from_str(&headers)
            .map_err(|error| StoreError::Damaged(format!("headers of an event: {error}")))?;
        Ok(Self {
            id: unsigned("id", row.get(0)?)?,
            event: Event {
                source: row.get(1)?,
                delivery: row.get(2)?,
                body_hash: row.get(3)?,
                target: row.get(4)?,
                headers,
                body: row.get(6)?,
                received_ms: row.get(7)?,
            },
            since_ms: row.get(8)?,
            attempts: row.get(9)?,
            answered: row.get(10)?,
        })
    }
}
