//! What the store holds, as the types of the protocol. A column that breaks a rule is damage.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row};
use serde::de::DeserializeOwned;

use super::{Store, StoreError, armed, unsigned};
use crate::clock::{from_wall_ms, rfc3339};
use crate::control::config::Config;
use crate::control::wire::{Anchor, AuditRow, Operation, Revision, RevisionResult, RevisionStatus};
use crate::ids::RunId;
use crate::orchestrator::control::audit;
use crate::orchestrator::control::core::{Content, Durable, Interrupted, KnownOperation};

/// Most rows of a page.
const PAGE: u32 = 100;
/// Most rows of a page of the audit chain.
const AUDIT_PAGE: u32 = 1000;

const REVISION: &str = "SELECT rev, status, config_hash, reason, run, at_ms, config FROM revisions";
const AUDIT: &str =
    "SELECT seq, at_ms, kind, run, rev, config_hash, fence, key, detail, hash FROM audit";

impl Store {
    /// What the last run of an orchestrator has left, with the audit chain checked; `None` in a
    /// new store.
    ///
    /// # Errors
    /// When the database fails, or does not keep its own rules.
    pub fn load(&self) -> Result<Option<Durable>, StoreError> {
        let named: Option<(String, i64)> = self
            .connection
            .query_row("SELECT state_uuid, fence FROM orchestrator", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((uuid, fence)) = named else { return Ok(None) };
        let mut confirmed = self.newest("confirmed", 2)?.into_iter();
        let current = confirmed
            .next()
            .ok_or_else(|| StoreError::Damaged("there is no confirmed revision".to_owned()))?;
        let predecessor = confirmed.next().map(|revision| revision.rev);
        let interrupted = self.newest("provisional", 1)?.pop().map(interrupted).transpose()?;
        Ok(Some(Durable {
            uuid,
            fence: unsigned("fence", fence)?,
            tip: self.verified_tip()?,
            confirmed: content(current)?,
            predecessor,
            interrupted,
            armed: armed::load(&self.connection)?,
        }))
    }

    /// Revisions, newest first, without their content.
    ///
    /// # Errors
    /// When the database fails.
    pub fn revisions(&self) -> Result<Vec<Revision>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT rev, status, config_hash, reason, run, at_ms, NULL FROM revisions
             ORDER BY rev DESC LIMIT {PAGE}"
        ))?;
        let rows = statement.query_and_then([], revision)?;
        rows.collect()
    }

    /// One revision, with its content unless that was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn revision(&self, rev: u64) -> Result<Option<Revision>, StoreError> {
        let Ok(rev) = i64::try_from(rev) else { return Ok(None) };
        let mut statement =
            self.connection.prepare_cached(&format!("{REVISION} WHERE rev = ?1"))?;
        let mut rows = statement.query_and_then([rev], revision)?;
        rows.next().transpose()
    }

    /// What became of the request with this key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn operation(&self, key: &str) -> Result<Option<KnownOperation>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key, fingerprint, kind, rev, config_hash FROM operations WHERE key = ?1",
        )?;
        let mut rows = statement.query_and_then([key], |row| {
            let result = RevisionResult {
                rev: unsigned("rev", row.get(3)?)?,
                config_hash: row.get(4)?,
                replayed: false,
            };
            let operation = Operation { key: row.get(0)?, kind: named(row, 2)?, result };
            Ok(KnownOperation { fingerprint: row.get(1)?, operation })
        })?;
        rows.next().transpose()
    }

    /// Rows of the audit chain after `seq`, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit(&self, after: u64) -> Result<Vec<AuditRow>, StoreError> {
        // What no row can have as its number has no rows after it.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut statement = self
            .connection
            .prepare_cached(&format!("{AUDIT} WHERE seq > ?1 ORDER BY seq LIMIT {AUDIT_PAGE}"))?;
        let rows = statement.query_and_then([after], audit_row)?;
        rows.collect()
    }

    /// Whether the anchor lies on the audit chain.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_ancestor(&self, anchor: &Anchor) -> Result<bool, StoreError> {
        if *anchor == audit::genesis() {
            return Ok(true);
        }
        let Ok(seq) = i64::try_from(anchor.seq) else { return Ok(false) };
        let hash: Option<String> = self
            .connection
            .query_row("SELECT hash FROM audit WHERE seq = ?1", [seq], |row| row.get(0))
            .optional()?;
        Ok(hash.as_ref() == Some(&anchor.hash))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn ping(&self) -> Result<(), StoreError> {
        Ok(self.connection.query_row("SELECT fence FROM orchestrator", [], |_| Ok(()))?)
    }

    fn newest(&self, status: &str, count: u32) -> Result<Vec<Revision>, StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("{REVISION} WHERE status = ?1 ORDER BY rev DESC LIMIT ?2"))?;
        let rows = statement.query_and_then((status, count), revision)?;
        rows.collect()
    }

    fn verified_tip(&self) -> Result<Anchor, StoreError> {
        let mut statement = self.connection.prepare(&format!("{AUDIT} ORDER BY seq"))?;
        let mut rows = statement.query_and_then([], audit_row)?;
        let rows: Vec<AuditRow> = rows.by_ref().collect::<Result<_, _>>()?;
        audit::verify(audit::genesis(), rows)
            .map_err(|seq| StoreError::Damaged(format!("the audit chain breaks at row {seq}")))
    }
}

fn content(revision: Revision) -> Result<Content, StoreError> {
    let Revision { rev, config, config_hash, .. } = revision;
    let damaged = |what: &str| StoreError::Damaged(format!("revision {rev}: {what}"));
    let config = config.ok_or_else(|| damaged("its content is missing"))?;
    let content = Content::new(rev, Arc::new(config));
    if content.hash == config_hash {
        Ok(content)
    } else {
        Err(damaged("its content does not match its hash"))
    }
}

fn interrupted(revision: Revision) -> Result<Interrupted, StoreError> {
    let reason = revision.reason.clone();
    let run = revision.run.clone().ok_or_else(|| {
        StoreError::Damaged(format!("provisional revision {} has no run", revision.rev))
    })?;
    Ok(Interrupted { content: content(revision)?, run, reason })
}

fn revision(row: &Row<'_>) -> Result<Revision, StoreError> {
    let config: Option<String> = row.get(6)?;
    let config: Option<Config> = config
        .map(|text| serde_json::from_str(&text).map_err(|error| damaged(6, error)))
        .transpose()?;
    let status: RevisionStatus = named(row, 1)?;
    Ok(Revision {
        rev: unsigned("rev", row.get(0)?)?,
        status,
        config_hash: row.get(2)?,
        reason: row.get(3)?,
        run: run(row, 4)?,
        at: rfc3339(from_wall_ms(row.get(5)?)),
        config,
    })
}

fn audit_row(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let fence: Option<i64> = row.get(6)?;
    Ok(AuditRow {
        seq: unsigned("seq", row.get(0)?)?,
        at_ms: row.get(1)?,
        kind: named(row, 2)?,
        run: run(row, 3)?,
        rev: unsigned("rev", row.get(4)?)?,
        config_hash: row.get(5)?,
        fence: fence.map(|fence| unsigned("fence", fence)).transpose()?,
        key: row.get(7)?,
        detail: row.get(8)?,
        hash: row.get(9)?,
    })
}

fn run(row: &Row<'_>, column: usize) -> Result<Option<RunId>, StoreError> {
    let text: Option<String> = row.get(column)?;
    Ok(text.map(RunId::try_from).transpose().map_err(|error| damaged(column, error))?)
}

/// A column that holds the name of an enum's variant, as on the wire.
fn named<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_value(text.into()).map_err(|error| damaged(column, error))?)
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
