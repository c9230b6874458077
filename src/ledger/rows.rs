//! From SQLite's rows to the types of [`super::view`]; an unreadable column is named.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;

use super::fact::Recorded;
use super::view::{
    BackupRow, CriterionRow, Entry, IssueRow, MilestoneRow, OrchestratorRow, PhaseRow, RunRow,
    StepRow,
};
use crate::control::wire::Anchor;

pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        run: word(row, "run")?,
        kind: row.get("kind")?,
        plan: word(row, "plan")?,
        phase: word(row, "phase")?,
        phase_number: row.get("phase_number")?,
        begun_ms: row.get("begun_ms")?,
        ended_ms: row.get("ended_ms")?,
        outcome: optional(row, "outcome")?,
        summary: row.get("summary")?,
        user: row.get("user")?,
        host: row.get("host")?,
        reason: row.get("reason")?,
        first_seq: count(row, "first_seq")?,
        last_seq: count(row, "last_seq")?,
    })
}

pub(super) fn phase(row: &Row<'_>) -> rusqlite::Result<PhaseRow> {
    Ok(PhaseRow {
        plan: word(row, "plan")?,
        phase: word(row, "phase")?,
        number: row.get("number")?,
        title: row.get("title")?,
        status: word(row, "status")?,
        run: word(row, "run")?,
        migrated: word(row, "migrated")?,
        phase_hash: row.get("phase_hash")?,
        begun_ms: row.get("begun_ms")?,
        ended_ms: row.get("ended_ms")?,
    })
}

pub(super) fn step(row: &Row<'_>) -> rusqlite::Result<StepRow> {
    Ok(StepRow {
        run: word(row, "run")?,
        step: word(row, "step")?,
        part: row.get("part")?,
        parts: row.get("parts")?,
        status: word(row, "status")?,
        rev: match row.get::<_, Option<i64>>("rev")? {
            Some(_) => Some(count(row, "rev")?),
            None => None,
        },
        detail: row.get("detail")?,
        begun_ms: row.get("begun_ms")?,
        ended_ms: row.get("ended_ms")?,
    })
}

pub(super) fn backup(row: &Row<'_>) -> rusqlite::Result<BackupRow> {
    Ok(BackupRow {
        backup: word(row, "backup")?,
        run: optional(row, "run")?,
        at_ms: row.get("at_ms")?,
        path: row.get("path")?,
        bytes: count(row, "bytes")?,
        manifest_hash: row.get("manifest_hash")?,
    })
}

pub(super) fn milestone(row: &Row<'_>) -> rusqlite::Result<MilestoneRow> {
    Ok(MilestoneRow {
        plan: word(row, "plan")?,
        milestone: word(row, "milestone")?,
        title: row.get("title")?,
        run: word(row, "run")?,
        reached_ms: row.get("reached_ms")?,
    })
}

pub(super) fn criterion(row: &Row<'_>) -> rusqlite::Result<CriterionRow> {
    Ok(CriterionRow {
        plan: word(row, "plan")?,
        criterion: word(row, "criterion")?,
        title: row.get("title")?,
        category: word(row, "category")?,
        target: row.get("target")?,
        actual: row.get("actual")?,
        verdict: json(row, "verdict")?,
        run: optional(row, "run")?,
        at_ms: row.get("at_ms")?,
    })
}

pub(super) fn issue(row: &Row<'_>) -> rusqlite::Result<IssueRow> {
    Ok(IssueRow {
        seq: count(row, "seq")?,
        run: word(row, "run")?,
        phase: word(row, "phase")?,
        kind: row.get("kind")?,
        what: row.get("what")?,
        at_ms: row.get("at_ms")?,
    })
}

pub(super) fn orchestrator(row: &Row<'_>) -> rusqlite::Result<OrchestratorRow> {
    Ok(OrchestratorRow {
        state_uuid: row.get("state_uuid")?,
        url: row.get("url")?,
        fence: count(row, "fence")?,
        anchor: Anchor { seq: count(row, "anchor_seq")?, hash: row.get("anchor_hash")? },
    })
}

pub(super) fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    Ok(Recorded {
        seq: count(row, "seq")?,
        at_ms: row.get("at_ms")?,
        run: optional(row, "run")?,
        fact: json(row, "body")?,
    })
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let hash: [u8; 32] = row.get("hash")?;
    Ok(Entry {
        seq: count(row, "seq")?,
        at_ms: row.get("at_ms")?,
        run: optional(row, "run")?,
        kind: row.get("kind")?,
        body: json(row, "body")?,
        hash: hex::encode(hash),
    })
}

/// A column that holds an id or the word of a state.
fn word<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let word = serde_json::Value::String(row.get(column)?);
    serde_json::from_value(word).map_err(|error| unreadable(row, column, error))
}

fn optional<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => word(row, column).map(Some),
    }
}

/// A column that holds a number from 0.
pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unreadable(row, column, error))
}

/// A column that holds JSON.
fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| unreadable(row, column, error))
}

fn unreadable(row: &Row<'_>, column: &str, error: impl std::fmt::Display) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    let error = format!("column `{column}`: {error}");
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}
