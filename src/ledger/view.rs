//! The rows of the ledger's projections: what the facts come to, ready to be shown.
//!
//! Projections are derived; they are written in the same transaction as the fact they follow
//! from, and can be rebuilt from the facts at any time.

use serde::{Deserialize, Serialize};

use super::fact::Outcome;
use crate::clock::WallMs;
use crate::control::wire::Anchor;
use crate::ids::{BackupId, CriterionId, MilestoneId, PhaseId, PlanName, RunId, StepId};
use crate::judge::Verdict;
use crate::plan::model::Category;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub run: RunId,
    /// `migrate` or `rollback`.
    pub kind: String,
    pub plan: PlanName,
    pub phase: PhaseId,
    pub phase_number: u32,
    pub begun_ms: WallMs,
    /// Absent while it is in flight.
    pub ended_ms: Option<WallMs>,
    pub outcome: Option<Outcome>,
    /// The last sentence about it: why it failed, halted, or what it did.
    pub summary: Option<String>,
    pub user: String,
    pub host: String,
    pub reason: Option<String>,
    /// Sequence numbers of its first and last fact.
    pub first_seq: u64,
    pub last_seq: u64,
}

/// Where a phase stands. Phases that were never run have no row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    pub plan: PlanName,
    pub phase: PhaseId,
    pub number: u32,
    pub title: String,
    pub status: PhaseStatus,
    /// The run that brought it here.
    pub run: RunId,
    /// The run that last migrated it; its steps are the phase's steps.
    pub migrated: RunId,
    /// The hash of the phase as it was run.
    pub phase_hash: String,
    pub begun_ms: WallMs,
    pub ended_ms: Option<WallMs>,
}

/// The state of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseStatus {
    Running,
    RollingBack,
    Confirmed,
    RolledBack,
    /// Failed, and not undone.
    Failed,
    /// A rollback that could not be finished.
    RollbackIncomplete,
    /// Waits for a person.
    Halted,
}

/// Where a step, or a part of one, stands within a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    pub run: RunId,
    pub step: StepId,
    pub part: u32,
    pub parts: u32,
    pub status: StepStatus,
    /// The revision, for a configuration step.
    pub rev: Option<u64>,
    pub detail: Option<String>,
    pub begun_ms: WallMs,
    pub ended_ms: Option<WallMs>,
}

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Intended,
    Applied,
    Soaking,
    /// Confirmed at the orchestrator, or done locally.
    Done,
    Failed,
    RolledBack,
    NotUndone,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupRow {
    pub backup: BackupId,
    pub run: Option<RunId>,
    pub at_ms: WallMs,
    pub path: String,
    pub bytes: u64,
    pub manifest_hash: String,
}

/// One milestone that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MilestoneRow {
    pub plan: PlanName,
    pub milestone: MilestoneId,
    pub title: String,
    pub run: RunId,
    pub reached_ms: WallMs,
}

/// The latest judgement of a criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionRow {
    pub plan: PlanName,
    pub criterion: CriterionId,
    pub title: String,
    pub category: Category,
    pub target: String,
    pub actual: String,
    pub verdict: Verdict,
    pub run: Option<RunId>,
    pub at_ms: WallMs,
}

/// Something that went wrong: a breach, a failed step, a halt, an undo that did not work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IssueRow {
    pub seq: u64,
    pub run: RunId,
    pub phase: PhaseId,
    /// The kind of the fact, such as `guard_breached`.
    pub kind: String,
    pub what: String,
    pub at_ms: WallMs,
}

/// What was last seen of an orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorRow {
    pub state_uuid: String,
    pub url: String,
    /// The largest counter of a fence of ours; 0 before the first one.
    pub fence: u64,
    pub anchor: Anchor,
}

/// One entry as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    pub at_ms: WallMs,
    pub run: Option<RunId>,
    pub kind: String,
    /// The fact; printed without white space, these are the bytes that the hash covers.
    pub body: serde_json::Value,
    /// 64 hex digits.
    pub hash: String,
}

/// Who a ledger is, and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// 32 hex digits.
    pub uuid: String,
    pub format: u32,
    pub entries: u64,
    /// The hash of the newest entry, 64 hex digits. A copy of it kept elsewhere proves that
    /// nothing before it was rewritten.
    pub head: String,
    pub first_ms: Option<WallMs>,
    pub last_ms: Option<WallMs>,
    /// The size of the file.
    pub bytes: u64,
}
