//! The inbox's own database: events that are acknowledged and not handled yet.
//!
//! It is a file beside the orchestrator's, because events come by the hundred each second and a
//! revision must not wait behind them. A batch is one transaction, synced to the disk before
//! anybody hears of it. The folder's lock is the orchestrator's.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Snapshot, StoreError, connect, folder, migrate, signed, unsigned};
use crate::clock::WallMs;

/// The name of the database within the state folder.
const FILE: &str = "inbox.sqlite3";

/// How long another process may be writing.
const BUSY: Duration = Duration::from_secs(10);

const REMEMBER: &str = "INSERT OR IGNORE INTO deliveries VALUES (?1, ?2, ?3, ?4)";

const FILES: [&str; 1] = [include_str!("../../../migrations/inbox/0001_init.sql")];

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
        let batch = Batch(self.connection.transaction_with_behavior(behavior)?);
        let done = perform(&batch)?;
        batch.0.commit()?;
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
        rows.next()?.map(kept).transpose()
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
            Some(row) => Ok(Some((kept(row)?, row.get(11)?))),
            None => Ok(None),
        }
    }
}

/// Changes that are made together.
#[derive(Debug)]
pub struct Batch<'a>(Transaction<'a>);

impl Batch<'_> {
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

fn kept(row: &Row<'_>) -> Result<Kept, StoreError> {
    let headers: String = row.get(5)?;
    let headers = serde_json::from_str(&headers)
        .map_err(|error| StoreError::Damaged(format!("headers of an event: {error}")))?;
    Ok(Kept {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(delivery: &str, body: &str) -> Event {
        Event {
            source: "github".to_owned(),
            delivery: Some(delivery.to_owned()),
            body_hash: body.to_owned(),
            target: "/github/events".to_owned(),
            headers: vec![("x-github-event".to_owned(), "push".to_owned())],
            body: body.as_bytes().to_vec(),
            received_ms: 1000,
        }
    }

    fn inbox() -> (tempfile::TempDir, Inbox) {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(folder.path()).unwrap();
        (folder, inbox)
    }

    #[test]
    fn a_delivery_is_stored_once_and_another_body_is_another_event() {
        let (_folder, mut inbox) = inbox();
        let mut put = |event: Event| inbox.write(|batch| batch.put(&event)).unwrap();
        assert_eq!(put(event("d1", "a")), Put::Stored);
        assert_eq!(put(event("d1", "a")), Put::Known);
        assert_eq!(put(event("d1", "b")), Put::StoredBesides);
        assert_eq!(put(event("d1", "a")), Put::Known);
        let nameless = Event { delivery: None, ..event("", "a") };
        assert_eq!(put(nameless.clone()), Put::Stored);
        assert_eq!(put(nameless), Put::Stored);
        assert_eq!(inbox.census().unwrap().pending, 4);
    }

    #[test]
    fn what_is_handled_is_gone_and_still_known() {
        let (folder, mut inbox) = inbox();
        inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
        let due = inbox.due(1000, 10).unwrap();
        assert_eq!(inbox.pending(due[0]).unwrap().unwrap().event, event("d1", "a"));
        inbox.write(|batch| batch.mark(due[0], &Mark::Handled)).unwrap();
        assert_eq!(inbox.pending(due[0]).unwrap(), None);
        drop(inbox);
        let mut inbox = Inbox::open(folder.path()).unwrap();
        assert_eq!(inbox.census().unwrap(), Census::default());
        assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Known);
        inbox.write(|batch| batch.forget(2000)).unwrap();
        assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Stored);
    }

    #[test]
    fn an_event_waits_dies_and_is_replayed() {
        let (_folder, mut inbox) = inbox();
        inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
        let id = inbox.due(1000, 10).unwrap()[0];
        let retry = Mark::Retry { due_ms: 5000, answered: true, why: "status 503".to_owned() };
        inbox.write(|batch| batch.mark(id, &retry)).unwrap();
        assert!(inbox.due(4999, 10).unwrap().is_empty());
        assert_eq!(inbox.next_due(1000).unwrap(), Some(5000));
        assert_eq!(inbox.due(5000, 10).unwrap(), [id]);
        let kept = inbox.pending(id).unwrap().unwrap();
        assert_eq!((kept.attempts, kept.answered), (1, 1));
        let dead = Mark::Dead { answered: true, why: "status 400".to_owned() };
        inbox.write(|batch| batch.mark(id, &dead)).unwrap();
        assert_eq!(inbox.census().unwrap(), Census { pending: 0, dead: 1, oldest_ms: None });
        assert_eq!(inbox.dead(0, 10).unwrap()[0].why, "status 400");
        assert!(inbox.dead_letter(id).unwrap().is_some());
        assert_eq!(inbox.write(|batch| batch.replay(Some(&[id, 99]), 9000)).unwrap(), 1);
        assert_eq!(inbox.due(9000, 10).unwrap(), [id]);
        assert_eq!(inbox.pending(id).unwrap().unwrap().attempts, 0);
        assert_eq!(inbox.write(|batch| batch.discard(&[id])).unwrap(), 0, "it is not dead");
    }

    #[test]
    fn an_event_without_an_id_comes_back_once() {
        let (_folder, mut inbox) = inbox();
        let event = Event { delivery: None, ..event("", "a") };
        let backed_up = |number| Returned {
            number,
            event: event.clone(),
            attempts: 0,
            answered: 0,
            dead: None,
        };
        for _ in 0..3 {
            inbox.write(|batch| batch.put(&event)).unwrap();
        }
        // One is handled, one is discarded, and one is lost.
        let due = inbox.due(1000, 10).unwrap();
        inbox.write(|batch| batch.mark(due[0], &Mark::Handled)).unwrap();
        let dead = Mark::Dead { answered: false, why: String::new() };
        inbox.write(|batch| batch.mark(due[1], &dead)).unwrap();
        assert_eq!(inbox.write(|batch| batch.discard(&[due[1]])).unwrap(), 1);
        inbox.connection.execute("DELETE FROM events", []).unwrap();
        let mut back =
            |number| inbox.write(|batch| batch.bring_back(&backed_up(number), 2000)).unwrap();
        assert_eq!([due[0], due[1]].map(&mut back), [Put::Known, Put::Known]);
        assert_eq!([due[2], due[2]].map(&mut back), [Put::Stored, Put::Known]);
        // Brought back, it has another number, under which it is known as well once it is handled.
        let id = inbox.due(2000, 10).unwrap()[0];
        assert_ne!(id, due[2]);
        inbox.write(|batch| batch.mark(id, &Mark::Handled)).unwrap();
        for number in [due[2], id] {
            let put = inbox.write(|batch| batch.bring_back(&backed_up(number), 3000)).unwrap();
            assert_eq!(put, Put::Known);
        }
    }

    #[test]
    fn a_batch_that_fails_leaves_nothing_behind() {
        let (_folder, mut inbox) = inbox();
        let failed: Result<(), StoreError> = inbox.write(|batch| {
            batch.put(&event("d1", "a"))?;
            Err(StoreError::Stopped)
        });
        assert!(failed.is_err());
        assert_eq!(inbox.census().unwrap(), Census::default());
        assert_eq!(inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap(), Put::Stored);
    }

    #[test]
    fn who_counts_and_who_looks_reads_no_body() {
        let (_folder, inbox) = inbox();
        let plan = |sql: &str| {
            let mut statement =
                inbox.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        for sql in [
            "SELECT count(*) FROM events WHERE state = 'pending'",
            "SELECT count(*) FROM events WHERE state = 'dead'",
            "SELECT min(since_ms) FROM events WHERE state = 'pending'",
            "SELECT id FROM events WHERE state = 'pending' AND due_ms <= 1
             ORDER BY due_ms, since_ms LIMIT 9",
        ] {
            let plan = plan(sql);
            assert!(plan.contains("COVERING INDEX") && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let (_folder, mut inbox) = inbox();
        inbox.write(|batch| batch.put(&event("d1", "a"))).unwrap();
        inbox.write(|batch| batch.bring_forward(10)).unwrap();
        assert_eq!(inbox.due(10, 10).unwrap().len(), 1);
    }
}
