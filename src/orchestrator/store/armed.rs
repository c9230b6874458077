//! The row of the phase whose guards are armed.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, signed, unsigned};
use crate::control::config::Config;
use crate::orchestrator::control::core::{Arming, Content};

/// Arms: replaces the row that is there.
pub(super) fn insert(connection: &Connection, arming: &Arming) -> Result<usize, StoreError> {
    Ok(connection.execute(
        "INSERT OR REPLACE INTO armed
             (id, run, plan, phase, target_rev, target_hash, target, guards, record, tripped, asked,
              canaries)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            arming.run.as_str(),
            arming.plan.as_str(),
            arming.phase.as_str(),
            signed(arming.target.rev)?,
            &arming.target.hash,
            target(arming),
            json(&*arming.guards),
            &*arming.record,
            arming.tripped.as_ref().map(json),
            arming.asked.as_ref().map(json),
            json(&*arming.canaries),
        ),
    )?)
}

/// Writes what can change while it is armed. The record, which is large, stays as it is.
pub(super) fn update(connection: &Connection, arming: &Arming) -> Result<usize, StoreError> {
    Ok(connection.execute(
        "UPDATE armed SET target_rev = ?2, target_hash = ?3, target = ?4, tripped = ?5, asked = ?6
         WHERE run = ?1",
        (
            arming.run.as_str(),
            signed(arming.target.rev)?,
            &arming.target.hash,
            target(arming),
            arming.tripped.as_ref().map(json),
            arming.asked.as_ref().map(json),
        ),
    )?)
}

/// The row, where there is one.
pub(super) fn load(connection: &Connection) -> Result<Option<Arming>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT run, plan, phase, target_rev, target_hash, target, guards, record, tripped, asked,
                canaries
         FROM armed",
    )?;
    statement.query_row([], |row| Ok(arming(row))).optional()?.transpose()
}

fn arming(row: &Row<'_>) -> Result<Arming, StoreError> {
    let text = |column: usize| row.get::<_, String>(column);
    let parsed = |column: usize| row.get::<_, Option<String>>(column);
    let config: Config = read("target", &text(5)?)?;
    let target = Content::new(unsigned("target_rev", row.get(3)?)?, Arc::new(config));
    if target.hash != text(4)? {
        return Err(damaged("target", "its content does not match its hash"));
    }
    let guards: Vec<_> = read("guards", &text(6)?)?;
    let canaries: Vec<_> = read("canaries", &text(10)?)?;
    let named = |what: &'static str| move |error| damaged(what, error);
    Ok(Arming {
        run: text(0)?.try_into().map_err(|error| damaged("run", error))?,
        plan: text(1)?.try_into().map_err(named("plan"))?,
        phase: text(2)?.try_into().map_err(named("phase"))?,
        target,
        guards: guards.into(),
        canaries: canaries.into(),
        record: text(7)?.into(),
        tripped: parsed(8)?.map(|text| read("tripped", &text)).transpose()?,
        asked: parsed(9)?.map(|text| read("asked", &text)).transpose()?,
    })
}

fn target(arming: &Arming) -> String {
    String::from_utf8(arming.target.config.canonical()).expect("JSON is UTF-8")
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("it has no maps with odd keys")
}

fn read<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(column, error))
}

fn damaged(column: &'static str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("the armed guards, `{column}`: {why}"))
}
