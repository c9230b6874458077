//! The report: everything that is told about a migration, as one value.
//!
//! Every rendering shows this value and nothing else; the JSON rendering is the value itself.
//! Times are RFC 3339 in UTC, spans are milliseconds, and every state is a word.

use serde::{Serialize, Serializer};

use super::timeline::Timeline;

use crate::clock::{WallMs, from_wall_ms, rfc3339};
use crate::ids::{BackupId, CriterionId, MilestoneId, PhaseId, PlanName, RunId, StepId};
use crate::ledger::fact::Outcome;
use crate::ledger::view::{PhaseStatus, StepStatus};
use crate::plan::model::{Category, Severity};

/// The version of the report's JSON; fields may be added within a version, never changed.
pub const SCHEMA: &str = "ctx.report/1";

/// What is told about a migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub schema: &'static str,
    pub generated_at: Moment,
    pub plan: Option<PlanName>,
    pub title: String,
    pub progress: Progress,
    /// The orchestrator as it answered just now; absent when it was not asked or did not answer.
    pub orchestrator: Option<Orchestrator>,
    pub next_steps: Vec<NextStep>,
    pub phases: Vec<PhaseEntry>,
    pub milestones: Vec<MilestoneEntry>,
    /// Whether the latest judgement of every criterion is a pass; false without criteria.
    pub criteria_met: bool,
    pub criteria: Vec<CategoryEntry>,
    /// What is measured now.
    pub performance: Vec<Measured>,
    pub issues: Vec<IssueEntry>,
    pub risks: Vec<RiskEntry>,
    pub backups: Vec<BackupEntry>,
    pub runs: Vec<RunEntry>,
    pub ledger: Option<LedgerHead>,
    /// Metrics and rollout over time; empty where the caller did not read it.
    pub timeline: Timeline,
    /// What this report cannot know, in sentences.
    pub notes: Vec<String>,
}

/// An instant, as RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub WallMs);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(from_wall_ms(self.0)))
    }
}

/// How far the migration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The mean of the phases' percentages, 0..=100; 100 only when every phase is confirmed.
    pub percent: u8,
    pub phases_done: usize,
    pub phases: usize,
    /// Steps and parts of steps, of the phases whose steps are known.
    pub steps_done: usize,
    pub steps: usize,
    pub parts_done: usize,
    pub parts: usize,
}

/// The orchestrator as it answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Orchestrator {
    pub version: String,
    /// The revision in force, and the newest confirmed one.
    pub revision: u64,
    pub confirmed: u64,
    /// What becomes of a provisional revision, as a sentence.
    pub provisional: Option<String>,
    /// `healthy`, `unhealthy` or `unknown`.
    pub health: &'static str,
    /// Checks that do not pass, with what they say.
    pub failing: Vec<String>,
}

/// One thing to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// To be typed as it stands; absent when it is not a command that is needed.
    pub command: Option<String>,
    /// What it does, or what is needed.
    pub why: String,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseEntry {
    pub number: u32,
    /// Absent when neither the plan nor the ledger names it.
    pub id: Option<PhaseId>,
    pub title: String,
    pub objective: Option<String>,
    /// First and last day of the timeline.
    pub days: Option<(u32, u32)>,
    pub status: PhaseState,
    /// The share of its parts that are done, 0..=100; 100 only when it is confirmed.
    pub percent: u8,
    /// All its soaks together, as planned.
    pub soak_ms: u64,
    pub begun: Option<Moment>,
    pub ended: Option<Moment>,
    /// Until now for a phase in flight.
    pub lasted_ms: Option<u64>,
    pub run: Option<RunId>,
    pub steps: Vec<StepEntry>,
}

/// The state of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// It was never run.
    Pending,
    Running,
    RollingBack,
    Confirmed,
    RolledBack,
    /// It failed, and stays where it is.
    Failed,
    RollbackIncomplete,
    /// It waits for a person.
    Halted,
}

impl From<PhaseStatus> for PhaseState {
    fn from(status: PhaseStatus) -> Self {
        match status {
            PhaseStatus::Running => Self::Running,
            PhaseStatus::RollingBack => Self::RollingBack,
            PhaseStatus::Confirmed => Self::Confirmed,
            PhaseStatus::RolledBack => Self::RolledBack,
            PhaseStatus::Failed => Self::Failed,
            PhaseStatus::RollbackIncomplete => Self::RollbackIncomplete,
            PhaseStatus::Halted => Self::Halted,
        }
    }
}

impl PhaseState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::RollingBack => "rolling back",
            Self::Confirmed => "confirmed",
            Self::RolledBack => "rolled back",
            Self::Failed => "FAILED",
            Self::RollbackIncomplete => "rollback INCOMPLETE",
            Self::Halted => "HALTED",
        }
    }
}

/// One step of a phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepEntry {
    pub id: StepId,
    pub title: Option<String>,
    pub status: StepState,
    pub parts_done: usize,
    pub parts: usize,
    /// The revisions that its parts became, in order.
    pub revisions: Vec<u64>,
    pub soak_ms: u64,
    pub irreversible: bool,
    pub begun: Option<Moment>,
    pub ended: Option<Moment>,
    /// What is known beyond the status, such as why it failed.
    pub detail: Option<String>,
}

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Pending,
    Intended,
    Applied,
    Soaking,
    Done,
    Failed,
    RolledBack,
    NotUndone,
}

impl From<StepStatus> for StepState {
    fn from(status: StepStatus) -> Self {
        match status {
            StepStatus::Intended => Self::Intended,
            StepStatus::Applied => Self::Applied,
            StepStatus::Soaking => Self::Soaking,
            StepStatus::Done => Self::Done,
            StepStatus::Failed => Self::Failed,
            StepStatus::RolledBack => Self::RolledBack,
            StepStatus::NotUndone => Self::NotUndone,
        }
    }
}

impl StepState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Intended => "begun",
            Self::Applied => "applied",
            Self::Soaking => "soaking",
            Self::Done => "done",
            Self::Failed => "FAILED",
            Self::RolledBack => "rolled back",
            Self::NotUndone => "NOT undone",
        }
    }
}

/// One milestone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MilestoneEntry {
    pub id: MilestoneId,
    pub title: String,
    pub phase: Option<PhaseId>,
    pub days: Option<(u32, u32)>,
    /// Absent while it is pending.
    pub reached: Option<Moment>,
}

/// The criteria of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryEntry {
    pub category: Category,
    /// Whether every criterion of the category passes.
    pub passed: bool,
    pub criteria: Vec<CriterionEntry>,
}

/// One success criterion and its latest judgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CriterionEntry {
    pub id: CriterionId,
    pub title: String,
    /// The phases that cannot be confirmed without it.
    pub required_by: Vec<PhaseId>,
    pub target: String,
    pub actual: Option<String>,
    pub verdict: CriterionState,
    /// Both numbers, the count they rest on, and the limit.
    pub evidence: Option<String>,
    pub judged: Option<Moment>,
}

/// What the latest judgement of a criterion says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CriterionState {
    NotJudged,
    Pass,
    Fail,
    Inconclusive,
}

impl CriterionState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotJudged => "not judged",
            Self::Pass => "met",
            Self::Fail => "NOT met",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A metric as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    pub metric: &'static str,
    /// In the metric's own unit: a ratio, milliseconds, seconds, or events a minute.
    pub value: f64,
    /// As a plan would write it.
    pub text: String,
    pub samples: Option<u64>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IssueEntry {
    pub at: Moment,
    pub seq: u64,
    pub run: RunId,
    pub phase: PhaseId,
    /// The kind of the fact, such as `guard_breached`.
    pub kind: String,
    pub what: String,
}

/// A risk that the plan names, and what it does about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskEntry {
    pub id: String,
    pub title: String,
    pub severity: Severity,
    pub mitigations: Vec<String>,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackupEntry {
    pub id: BackupId,
    pub at: Moment,
    pub path: String,
    pub bytes: u64,
    pub manifest_hash: String,
    pub run: Option<RunId>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunEntry {
    pub run: RunId,
    /// `migrate` or `rollback`.
    pub kind: String,
    pub phase: PhaseId,
    pub phase_number: u32,
    pub begun: Moment,
    pub ended: Option<Moment>,
    /// Until now for a run in flight.
    pub lasted_ms: u64,
    /// Absent while it is in flight.
    pub outcome: Option<Outcome>,
    pub summary: Option<String>,
    pub user: String,
    pub host: String,
    pub reason: Option<String>,
}

/// The newest entry of the ledger. Whoever keeps it can prove later that nothing was rewritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerHead {
    pub seq: u64,
    /// 64 hex digits.
    pub hash: String,
}
