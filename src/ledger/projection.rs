//! Projections: what the facts come to, in tables that are ready to be shown.
//!
//! `apply` is one exhaustive `match` over [`Fact`]; it runs in the transaction that appends the
//! entry, and again when the tables are rebuilt, so both give the same rows. A fact that belongs
//! to no known run changes no row of a run: damage is for [`super::verify`] to find, not for a
//! table to stumble over.

use rusqlite::{Connection, Params, params};
use serde::Serialize;

use super::fact::{At, Fact, Judged, Outcome, Recorded, RunBegun, RunKind};
use super::view::{PhaseStatus, StepStatus};
use crate::control::wire::Anchor;
use crate::ids::{PhaseId, StepId};

/// The derived tables and the columns of their keys.
pub(super) const TABLES: [(&str, &str); 9] = [
    ("run", "run"),
    ("run_scope", "run, phase"),
    ("phase", "plan, phase"),
    ("step", "run, step, part"),
    ("backup", "backup"),
    ("milestone", "plan, milestone"),
    ("criterion", "plan, criterion"),
    ("issue", "seq"),
    ("orchestrator", "state_uuid"),
];

/// Empties all derived tables.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    for (table, _) in TABLES {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

/// Brings the derived tables up to date with one more fact.
pub(super) fn apply(connection: &Connection, recorded: &Recorded) -> rusqlite::Result<()> {
    let run = recorded.run.as_ref().map(crate::ids::RunId::as_str);
    let to = Tables { connection, seq: int(recorded.seq)?, at_ms: recorded.at_ms, run };
    if let Fact::RunBegun(begun) = &recorded.fact {
        to.run_begun(begun)?;
    }
    to.execute("UPDATE run SET last_seq = ?2 WHERE run = ?1", params![run, to.seq])?;
    to.fact(&recorded.fact)
}

/// The tables, and the entry that changes them.
struct Tables<'a> {
    connection: &'a Connection,
    seq: i64,
    at_ms: i64,
    run: Option<&'a str>,
}

/// What an entry says about a step.
#[derive(Default)]
struct Said<'a> {
    configuration: bool,
    rev: Option<u64>,
    detail: Option<&'a str>,
    ended: bool,
}

impl Tables<'_> {
    #[expect(clippy::too_many_lines, reason = "one arm for each fact, and none is left out")]
    fn fact(&self, fact: &Fact) -> rusqlite::Result<()> {
        use StepStatus::{Applied, Done, Failed, Intended};
        let said = Said::default();
        match fact {
            Fact::LeaseTaken { fence, anchor, .. } => {
                self.fence(fence.counter)?;
                self.anchor(anchor.as_ref())?;
                self.taken_up()
            }
            Fact::BackupDone { backup, path, bytes, manifest_hash } => self.execute(
                "INSERT OR REPLACE INTO backup VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    backup.as_str(),
                    self.run,
                    self.at_ms,
                    path,
                    int(*bytes)?,
                    manifest_hash,
                    self.seq
                ],
            ),
            Fact::ChangeIntended { at, .. } => {
                self.step(at, Intended, &Said { configuration: true, ..said })
            }
            Fact::ChangeApplied { at, rev, anchor } => {
                self.anchor(anchor.as_ref())?;
                self.step(at, Applied, &Said { configuration: true, rev: Some(*rev), ..said })
            }
            Fact::ChangeVoid { at, why } => self.change_void(at, why),
            Fact::ChangeConfirmed { at, rev, anchor } => {
                self.anchor(anchor.as_ref())?;
                let rev = Some(*rev);
                self.step(at, Done, &Said { configuration: true, rev, ended: true, ..said })
            }
            Fact::LocalIntended { at } => self.step(at, Intended, &said),
            Fact::LocalDone { at, detail } => {
                self.step(at, Done, &Said { detail: Some(detail), ended: true, ..said })
            }
            Fact::StepFailed { at, why } => {
                self.step(at, Failed, &Said { detail: Some(why), ended: true, ..said })?;
                self.issue(fact, None, &format!("{at}: {why}"))
            }
            Fact::SoakBegun { at, .. } => self.soak_begun(at),
            Fact::SoakEnded { at, .. } => self.soak_ended(at),
            Fact::GuardBreached { guard, at, why } => {
                self.guard_breached(at, why)?;
                self.issue(fact, None, &format!("{guard}: {why}"))
            }
            Fact::GuardsArmed { anchor, .. } => self.anchor(anchor.as_ref()),
            Fact::TakenBack { guard, why, .. } => {
                let what = guard.as_ref().map_or_else(|| why.clone(), |g| format!("{g}: {why}"));
                self.issue(fact, None, &what)
            }
            Fact::CriterionJudged(judged) => self.criterion(judged),
            Fact::ApprovalAsked { at, prompt } => {
                self.step(at, Intended, &Said { detail: Some(prompt), ..said })
            }
            Fact::Approved { at, by } => {
                let detail = format!("approved by {by}");
                self.step(at, Done, &Said { detail: Some(&detail), ended: true, ..said })
            }
            Fact::RollbackBegun { cause } => self.rollback_begun(cause),
            Fact::Reverted { rev, .. } => self.reverted(*rev),
            Fact::RestoreConfirmed { anchor, .. } => {
                self.anchor(anchor.as_ref())?;
                self.configuration_restored()
            }
            Fact::Undone { phase, step, detail } => {
                self.undo(phase, step, StepStatus::RolledBack, detail)
            }
            Fact::NotUndone { phase, step, why, .. } => {
                self.undo(phase, step, StepStatus::NotUndone, why)?;
                self.issue(fact, Some(phase), &format!("{step}: {why}"))
            }
            Fact::ReadBack { equal: true, .. } => self.configuration_restored(),
            Fact::ReadBack { rev, equal: false, .. } => {
                let what = format!("revision {rev} is not the configuration from before");
                self.issue(fact, None, &what)
            }
            Fact::MilestoneReached { milestone, title, by: _ } => self.execute(
                "INSERT OR REPLACE INTO milestone
                 SELECT plan, ?2, ?3, run, ?4, ?5 FROM run WHERE run = ?1",
                params![self.run, milestone.as_str(), title, self.at_ms, self.seq],
            ),
            Fact::Interrupted { by } => self.summary(&format!("interrupted by {by}")),
            Fact::Halted { detail, .. } => {
                self.phases(PhaseStatus::Halted, false)?;
                self.issue(fact, None, detail)
            }
            Fact::RunEnded { outcome, summary } => self.run_ended(*outcome, summary),
            // Intents whose outcome is what a table shows, and facts that no table shows.
            Fact::RunBegun(_)
            | Fact::BackupIntended { .. }
            | Fact::ConfirmIntended { .. }
            | Fact::RevertIntended { .. }
            | Fact::RestoreIntended { .. }
            | Fact::RestoreApplied { .. }
            | Fact::RestoreConfirmIntended { .. }
            | Fact::RestoreVoid { .. }
            | Fact::UndoIntended { .. }
            | Fact::Detach { .. }
            | Fact::Adopted { .. }
            | Fact::Baseline { .. }
            | Fact::RunPlanned { .. }
            | Fact::GuardsSampled { .. }
            | Fact::ProgramStarted { .. }
            | Fact::SoakLeft { .. }
            | Fact::GuardsDisarmed
            | Fact::Heeded { .. }
            | Fact::CanaryJudged { .. }
            | Fact::Validated { .. }
            | Fact::BackupRestored { .. } => Ok(()),
        }
    }

    fn run_begun(&self, begun: &RunBegun) -> rusqlite::Result<()> {
        let RunBegun { plan, phase, base, by, .. } = begun;
        let (kind, undoing, scope) = match &begun.kind {
            RunKind::Migrate => ("migrate", false, std::slice::from_ref(&phase.id)),
            RunKind::Rollback { phases, .. } => ("rollback", true, phases.as_slice()),
        };
        self.execute(
            "INSERT OR IGNORE INTO run (run, kind, plan, phase, phase_number, begun_ms, user, host,
                reason, first_seq, last_seq, state_uuid, undoing)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?12 WHERE ?1 IS NOT NULL",
            params![
                self.run,
                kind,
                plan.as_str(),
                phase.id.as_str(),
                phase.number,
                self.at_ms,
                by.user,
                by.host,
                by.reason,
                self.seq,
                base.state_uuid,
                undoing,
            ],
        )?;
        for phase in scope {
            self.execute(
                "INSERT OR IGNORE INTO run_scope SELECT ?1, ?2 WHERE ?1 IS NOT NULL",
                params![self.run, phase.as_str()],
            )?;
        }
        self.execute(
            "INSERT INTO orchestrator VALUES (?1, ?2, 0, ?3, ?4)
             ON CONFLICT DO UPDATE SET url = excluded.url, anchor_seq = excluded.anchor_seq,
                anchor_hash = excluded.anchor_hash",
            params![base.state_uuid, base.orchestrator, int(base.anchor.seq)?, base.anchor.hash],
        )?;
        match &begun.kind {
            RunKind::Migrate => self.execute(
                "INSERT OR REPLACE INTO phase SELECT ?2, ?3, ?4, ?5, ?6, ?1, ?1, ?7, ?8, NULL
                 WHERE ?1 IS NOT NULL",
                params![
                    self.run,
                    plan.as_str(),
                    phase.id.as_str(),
                    phase.number,
                    phase.title,
                    word(PhaseStatus::Running),
                    begun.phase_hash,
                    self.at_ms,
                ],
            ),
            RunKind::Rollback { .. } => self.phases(PhaseStatus::RollingBack, false),
        }
    }

    /// A halted run that is taken up again goes on where it was.
    fn taken_up(&self) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE phase SET status = (SELECT CASE undoing WHEN 1 THEN ?3 ELSE ?4 END FROM run
                WHERE run = ?1)
             WHERE run = ?1 AND status = ?2",
            params![
                self.run,
                word(PhaseStatus::Halted),
                word(PhaseStatus::RollingBack),
                word(PhaseStatus::Running)
            ],
        )
    }

    fn rollback_begun(&self, cause: &str) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE run SET undoing = 1, summary = ?2 WHERE run = ?1",
            params![self.run, cause],
        )?;
        self.phases(PhaseStatus::RollingBack, false)
    }

    fn run_ended(&self, outcome: Outcome, summary: &str) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE run SET ended_ms = ?2, outcome = ?3, summary = ?4 WHERE run = ?1",
            params![self.run, self.at_ms, word(outcome), summary],
        )?;
        let (migrate, rollback) = match outcome {
            Outcome::Done => (PhaseStatus::Confirmed, PhaseStatus::RolledBack),
            Outcome::RolledBack => (PhaseStatus::RolledBack, PhaseStatus::RolledBack),
            Outcome::Held | Outcome::Abandoned => {
                (PhaseStatus::Failed, PhaseStatus::RollbackIncomplete)
            }
            Outcome::RollbackIncomplete => {
                (PhaseStatus::RollbackIncomplete, PhaseStatus::RollbackIncomplete)
            }
        };
        let status = if self.is_rollback()? { rollback } else { migrate };
        self.phases(status, true)?;
        if status == PhaseStatus::RolledBack {
            self.configuration_restored()?;
        }
        if matches!(outcome, Outcome::RolledBack | Outcome::Held | Outcome::RollbackIncomplete) {
            // What was under way when the phase failed was never finished.
            self.execute(
                "UPDATE step SET status = ?2, ended_ms = ?3 WHERE run = ?1 AND status IN (?4, ?5)",
                params![
                    self.run,
                    word(StepStatus::Failed),
                    self.at_ms,
                    word(StepStatus::Intended),
                    word(StepStatus::Soaking)
                ],
            )?;
        }
        Ok(())
    }

    fn is_rollback(&self) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT 1 FROM run WHERE run = ?1 AND kind = 'rollback'")?
            .exists([self.run])
    }

    /// Moves every phase that the run acts on.
    fn phases(&self, status: PhaseStatus, ended: bool) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE phase SET status = ?2, run = ?1, ended_ms = ?3
             WHERE plan = (SELECT plan FROM run WHERE run = ?1)
               AND phase IN (SELECT phase FROM run_scope WHERE run = ?1)",
            params![self.run, word(status), ended.then_some(self.at_ms)],
        )
    }

    fn step(&self, at: &At, status: StepStatus, said: &Said<'_>) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO step (run, step, part, parts, status, configuration, rev, detail,
                begun_ms, ended_ms, first_seq)
             SELECT run, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM run WHERE run = ?1
             ON CONFLICT DO UPDATE SET parts = excluded.parts, status = excluded.status,
                configuration = max(configuration, excluded.configuration),
                rev = coalesce(excluded.rev, rev), detail = coalesce(excluded.detail, detail),
                ended_ms = excluded.ended_ms",
            params![
                self.run,
                at.step.as_str(),
                at.part,
                at.parts,
                word(status),
                said.configuration,
                said.rev.map(int).transpose()?,
                said.detail,
                self.at_ms,
                said.ended.then_some(self.at_ms),
                self.seq,
            ],
        )
    }

    fn change_void(&self, at: &At, why: &str) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET status = ?4, rev = NULL, detail = ?5
             WHERE run = ?1 AND step = ?2 AND part = ?3",
            params![self.run, at.step.as_str(), at.part, word(StepStatus::Intended), why],
        )
    }

    fn guard_breached(&self, at: &At, why: &str) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET detail = ?4 WHERE run = ?1 AND step = ?2 AND part = ?3",
            params![self.run, at.step.as_str(), at.part, why],
        )
    }

    /// A step that was done before its soak keeps its end until the soak moves it.
    fn soak_begun(&self, at: &At) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO step (run, step, part, parts, status, configuration, begun_ms, first_seq)
             SELECT run, ?2, ?3, ?4, ?5, 0, ?6, ?7 FROM run WHERE run = ?1
             ON CONFLICT DO UPDATE SET status = excluded.status",
            params![
                self.run,
                at.step.as_str(),
                at.part,
                at.parts,
                word(StepStatus::Soaking),
                self.at_ms,
                self.seq
            ],
        )
    }

    /// A change that is not confirmed yet is applied again; anything else is done.
    fn soak_ended(&self, at: &At) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET
                status = CASE WHEN configuration = 1 AND ended_ms IS NULL THEN ?5 ELSE ?6 END,
                ended_ms = CASE WHEN configuration = 1 AND ended_ms IS NULL THEN NULL ELSE ?4 END
             WHERE run = ?1 AND step = ?2 AND part = ?3",
            params![
                self.run,
                at.step.as_str(),
                at.part,
                self.at_ms,
                word(StepStatus::Applied),
                word(StepStatus::Done)
            ],
        )
    }

    /// The provisional revision of one step is gone.
    fn reverted(&self, rev: u64) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET status = ?3, ended_ms = ?4 WHERE run = ?1 AND rev = ?2",
            params![self.run, int(rev)?, word(StepStatus::RolledBack), self.at_ms],
        )
    }

    /// The configuration is the one from before: every change that was ever in force is undone.
    fn configuration_restored(&self) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET status = ?2, ended_ms = ?3
             WHERE configuration = 1 AND rev IS NOT NULL AND status <> ?2 AND run IN (
                SELECT phase.migrated FROM run JOIN run_scope USING (run)
                JOIN phase ON phase.plan = run.plan AND phase.phase = run_scope.phase
                WHERE run.run = ?1)",
            params![self.run, word(StepStatus::RolledBack), self.at_ms],
        )
    }

    fn undo(
        &self,
        phase: &PhaseId,
        step: &StepId,
        status: StepStatus,
        detail: &str,
    ) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE step SET status = ?4, detail = ?5, ended_ms = ?6
             WHERE step = ?3 AND run = (
                SELECT migrated FROM phase
                WHERE phase = ?2 AND plan = (SELECT plan FROM run WHERE run = ?1))",
            params![self.run, phase.as_str(), step.as_str(), word(status), detail, self.at_ms],
        )
    }

    fn criterion(&self, judged: &Judged) -> rusqlite::Result<()> {
        let verdict = serde_json::to_string(&judged.verdict).expect("a verdict is plain data");
        self.execute(
            "INSERT OR REPLACE INTO criterion VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                judged.plan.as_str(),
                judged.criterion.as_str(),
                judged.title,
                judged.category.name(),
                judged.target,
                judged.actual,
                verdict,
                self.run,
                self.at_ms,
            ],
        )
    }

    /// Something went wrong; it is also the last sentence about the run.
    fn issue(&self, fact: &Fact, phase: Option<&PhaseId>, what: &str) -> rusqlite::Result<()> {
        self.execute(
            "INSERT INTO issue SELECT ?2, run, plan, coalesce(?3, phase), ?4, ?5, ?6
             FROM run WHERE run = ?1",
            params![self.run, self.seq, phase.map(PhaseId::as_str), fact.kind(), what, self.at_ms],
        )?;
        self.summary(what)
    }

    fn summary(&self, text: &str) -> rusqlite::Result<()> {
        self.execute("UPDATE run SET summary = ?2 WHERE run = ?1", params![self.run, text])
    }

    fn fence(&self, counter: u64) -> rusqlite::Result<()> {
        self.execute(
            "UPDATE orchestrator SET fence = max(fence, ?2)
             WHERE state_uuid = (SELECT state_uuid FROM run WHERE run = ?1)",
            params![self.run, int(counter)?],
        )
    }

    fn anchor(&self, anchor: Option<&Anchor>) -> rusqlite::Result<()> {
        let Some(anchor) = anchor else { return Ok(()) };
        self.execute(
            "UPDATE orchestrator SET anchor_seq = ?2, anchor_hash = ?3
             WHERE state_uuid = (SELECT state_uuid FROM run WHERE run = ?1)",
            params![self.run, int(anchor.seq)?, anchor.hash],
        )
    }

    fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(params).map(drop)
    }
}

/// The word that stands for a state in a column: the same as in JSON.
fn word(state: impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("states are words, not {other:?}"),
    }
}

/// A count as SQLite's integer, which has a sign.
pub(super) fn int(count: u64) -> rusqlite::Result<i64> {
    i64::try_from(count).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
