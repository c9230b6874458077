//! What is written to the inbox together: events that arrive, and what became of others.
//!
//! The law: a delivery is stored once, by its id and its body, for as long as ids are remembered;
//! and an event leaves only handled, discarded by a person, or into the dead letters.

use rusqlite::{OptionalExtension, Transaction, params};

use super::event::{Event, Returned};
use crate::clock::WallMs;
use crate::orchestrator::store::{StoreError, signed, unsigned};

const REMEMBER: &str = "INSERT OR IGNORE INTO deliveries VALUES (?1, ?2, ?3, ?4)";

/// What became of an event that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// The same delivery with the same body was stored before.
    Known,
    /// Stored; a delivery of the same name with another body was stored before.
    StoredBesides,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Handled,
    Retry { due_ms: WallMs, answered: bool, why: String },
    Dead { answered: bool, why: String },
}

/// Changes that are made together.
#[derive(Debug)]
pub struct Batch<'a>(Transaction<'a>);

impl<'a> Batch<'a> {
    pub(super) fn begin(transaction: Transaction<'a>) -> Self {
        Self(transaction)
    }

    pub(super) fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }

    /// Stores an event, unless the same delivery is known.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put(&self, event: &Event) -> Result<Put, StoreError> {
        let mut put = Put::Stored;
        if let Some(delivery) = &event.delivery {
            let known: Option<bool> = self
                .0
                .prepare_cached(
                    "SELECT max(body_hash = ?3) FROM deliveries
                     WHERE source = ?1 AND delivery = ?2 HAVING count(*) > 0",
                )?
                .query_row((&event.source, delivery, &event.body_hash), |row| row.get(0))
                .optional()?;
            match known {
                Some(true) => return Ok(Put::Known),
                Some(false) => put = Put::StoredBesides,
                None => {}
            }
            self.0.prepare_cached("INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4)")?.execute((
                &event.source,
                delivery,
                &event.body_hash,
                event.received_ms,
            ))?;
        }
        let headers = serde_json::to_string(&event.headers).expect("pairs of text print");
        self.0
            .prepare_cached(
                "INSERT INTO events
                     (source, delivery, body_hash, target, headers, body, received_ms, since_ms,
                      due_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)",
            )?
            .execute(params![
                event.source,
                event.delivery,
                event.body_hash,
                event.target,
                headers,
                event.body,
                event.received_ms
            ])?;
        Ok(put)
    }

    /// How many events there are, that wait or are dead.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count(&self) -> Result<u64, StoreError> {
        let count = self.0.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?;
        unsigned("count", count)
    }

    /// Stores an event out of a backup, unless its delivery is known, which was then acknowledged
    /// here, and waits or was handled. One that waits is due at once, and waits from now on: what
    /// was given up meanwhile is what the backup was made for.
    ///
    /// One without a delivery id is known once it was brought back or was done with here.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn bring_back(&self, returned: &Returned, now_ms: WallMs) -> Result<Put, StoreError> {
        let event = &returned.event;
        if event.delivery.is_none() {
            let name = nameless(signed(returned.number)?, event.received_ms);
            let row = (&event.source, name, &event.body_hash, event.received_ms);
            if self.0.prepare_cached(REMEMBER)?.execute(row)? == 0 {
                return Ok(Put::Known);
            }
        }
        let put = self.put(event)?;
        if put != Put::Known {
            let id = self.0.last_insert_rowid();
            let state = if returned.dead.is_some() { "dead" } else { "pending" };
            let why = returned.dead.as_deref().unwrap_or_default();
            self.0
                .prepare_cached(
                    "UPDATE events SET attempts = ?2, answered = ?3, state = ?4, why = ?5,
                         since_ms = ?6, due_ms = ?6 WHERE id = ?1",
                )?
                .execute((id, returned.attempts, returned.answered, state, why, now_ms))?;
        }
        Ok(put)
    }

    /// Notes what became of an attempt.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn mark(&self, id: u64, mark: &Mark) -> Result<(), StoreError> {
        let id = signed(id)?;
        match mark {
            Mark::Handled => {
                self.remember_nameless(id)?;
                self.0.prepare_cached("DELETE FROM events WHERE id = ?1")?.execute([id])?;
            }
            Mark::Retry { due_ms, answered, why } => {
                self.0
                    .prepare_cached(
                        "UPDATE events SET attempts = attempts + 1, answered = answered + ?2,
                             due_ms = ?3, why = ?4 WHERE id = ?1",
                    )?
                    .execute((id, answered, due_ms, why))?;
            }
            Mark::Dead { answered, why } => {
                self.0
                    .prepare_cached(
                        "UPDATE events SET attempts = attempts + 1, answered = answered + ?2,
                             state = 'dead', why = ?3 WHERE id = ?1",
                    )?
                    .execute((id, answered, why))?;
            }
        }
        Ok(())
    }

    /// Makes dead letters pending again, due at once and with their attempts forgotten: these, or
    /// all. Returns how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn replay(&self, ids: Option<&[u64]>, now_ms: WallMs) -> Result<u64, StoreError> {
        const SET: &str = "UPDATE events SET state = 'pending', attempts = 0, answered = 0,
                               due_ms = ?1, since_ms = ?1 WHERE state = 'dead'";
        let Some(ids) = ids else {
            return Ok(self.0.execute(SET, [now_ms])? as u64);
        };
        let mut statement = self.0.prepare_cached(&format!("{SET} AND id = ?2"))?;
        let mut replayed = 0;
        for id in ids.iter().filter_map(|id| i64::try_from(*id).ok()) {
            replayed += statement.execute((now_ms, id))? as u64;
        }
        Ok(replayed)
    }

    /// Deletes dead letters. Returns how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn discard(&self, ids: &[u64]) -> Result<u64, StoreError> {
        let mut statement =
            self.0.prepare_cached("DELETE FROM events WHERE state = 'dead' AND id = ?1")?;
        let mut discarded = 0;
        for id in ids.iter().filter_map(|id| i64::try_from(*id).ok()) {
            self.remember_nameless(id)?;
            discarded += statement.execute([id])? as u64;
        }
        Ok(discarded)
    }

    /// Notes of an event without a delivery id that it is done with, for a backup that has it still.
    fn remember_nameless(&self, id: i64) -> Result<(), StoreError> {
        let mut select = self.0.prepare_cached(
            "SELECT source, body_hash, received_ms FROM events WHERE id = ?1 AND delivery IS NULL",
        )?;
        let mut rows = select.query([id])?;
        if let Some(row) = rows.next()? {
            let (source, body_hash): (String, String) = (row.get(0)?, row.get(1)?);
            let received_ms: WallMs = row.get(2)?;
            let row = (source, nameless(id, received_ms), body_hash, received_ms);
            self.0.prepare_cached(REMEMBER)?.execute(row)?;
        }
        Ok(())
    }

    /// Brings back what is due later than `latest_ms`, as after the clock was set back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn bring_forward(&self, latest_ms: WallMs) -> Result<(), StoreError> {
        let sql = "UPDATE events SET due_ms = ?1 WHERE state = 'pending' AND due_ms > ?1";
        self.0.execute(sql, [latest_ms])?;
        Ok(())
    }

    /// Forgets deliveries from before `before_ms`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn forget(&self, before_ms: WallMs) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM deliveries WHERE at_ms < ?1", [before_ms])?;
        Ok(())
    }
}

/// What an event without a delivery id is known by, beside its source and its body: two of the same
/// content are two events, so that the content alone will not do. No delivery id has a space.
fn nameless(number: i64, received_ms: WallMs) -> String {
    format!("number {number} of {received_ms}")
}
