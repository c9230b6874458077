//! A transition's writes, in one transaction.

use rusqlite::Connection;

use super::{Store, StoreError, armed, signed};
use crate::control::wire::{AuditRow, OperationKind, RevisionStatus};
use crate::ids::RunId;
use crate::orchestrator::control::core::{KnownOperation, RevisionRow, Write};

impl Store {
    /// Makes writes durable: all of them, synced to disk, or none.
    ///
    /// # Errors
    /// When the database fails; nothing has changed then.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        if writes.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for write in writes {
            perform(&transaction, write)?;
        }
        Ok(transaction.commit()?)
    }
}

fn perform(connection: &Connection, write: &Write) -> Result<(), StoreError> {
    let changed = match write {
        Write::Birth { uuid } => connection
            .execute("INSERT INTO orchestrator (id, state_uuid) VALUES (1, ?1)", [uuid])?,
        // Grows or fails: an older counter must never come back.
        Write::Fence(counter) => connection
            .execute("UPDATE orchestrator SET fence = ?1 WHERE fence < ?1", [signed(*counter)?])?,
        Write::Revision(row) => insert_revision(connection, row)?,
        Write::Status { rev, status } => connection.execute(
            "UPDATE revisions SET status = ?2 WHERE rev = ?1 AND status = 'provisional'",
            (signed(*rev)?, status_name(*status)),
        )?,
        Write::Operation(known) => insert_operation(connection, known)?,
        Write::Forget { below } => {
            connection
                .execute("UPDATE revisions SET config = NULL WHERE rev < ?1", [signed(*below)?])?;
            1
        }
        Write::Arm(arming) => armed::insert(connection, arming)?,
        Write::Rearm(arming) => armed::update(connection, arming)?,
        Write::Disarm => connection.execute("DELETE FROM armed", [])?,
        Write::Audit(row) => insert_audit(connection, row)?,
    };
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Damaged("it does not hold what the orchestrator knows of it".to_owned()))
    }
}

fn insert_revision(connection: &Connection, row: &RevisionRow) -> Result<usize, StoreError> {
    let config = String::from_utf8(row.content.config.canonical()).expect("JSON is UTF-8");
    Ok(connection.execute(
        "INSERT INTO revisions (rev, status, config_hash, config, reason, run, at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            signed(row.content.rev)?,
            status_name(row.status),
            &row.content.hash,
            config,
            &row.reason,
            row.run.as_ref().map(RunId::as_str),
            row.at_ms,
        ),
    )?)
}

fn insert_operation(connection: &Connection, known: &KnownOperation) -> Result<usize, StoreError> {
    let KnownOperation { fingerprint, operation } = known;
    Ok(connection.execute(
        "INSERT INTO operations (key, fingerprint, kind, rev, config_hash)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &operation.key,
            fingerprint,
            kind_name(operation.kind),
            signed(operation.result.rev)?,
            &operation.result.config_hash,
        ),
    )?)
}

fn insert_audit(connection: &Connection, row: &AuditRow) -> Result<usize, StoreError> {
    Ok(connection.execute(
        "INSERT INTO audit (seq, at_ms, kind, run, rev, config_hash, fence, key, detail, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            signed(row.seq)?,
            row.at_ms,
            row.kind.name(),
            row.run.as_ref().map(RunId::as_str),
            signed(row.rev)?,
            &row.config_hash,
            row.fence.map(signed).transpose()?,
            &row.key,
            &row.detail,
            &row.hash,
        ),
    )?)
}

fn status_name(status: RevisionStatus) -> &'static str {
    match status {
        RevisionStatus::Provisional => "provisional",
        RevisionStatus::Confirmed => "confirmed",
        RevisionStatus::Reverted => "reverted",
    }
}

fn kind_name(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Apply => "apply",
        OperationKind::Confirm => "confirm",
        OperationKind::Revert => "revert",
        OperationKind::Cleanup => "cleanup",
    }
}
