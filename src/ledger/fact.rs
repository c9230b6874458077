//! The facts that a ledger records: everything ctx intended, and everything that came of it.
//!
//! A fact about an intent is durable before the first byte leaves; a fact about an outcome is
//! written after the answer is there. So the ledger never claims more than happened, and what it
//! claims less, resume finds out.
//!
//! How to add one: a variant, its name in [`Fact::kind`], its transition in
//! `engine::state`, and, where a table shows it, its row in `ledger::projection`.

use serde::{Deserialize, Serialize};

pub use super::begun::{Base, By, RunBegun, RunKind, Undo};
use super::monitored::Monitored;
use crate::control::armed::Ask;
use crate::control::wire::{Anchor, Fence};
use crate::ids::{BackupId, CriterionId, GuardId, MilestoneId, PhaseId, PlanName, RunId, StepId};
use crate::judge::Verdict;
use crate::plan::model::Category;

/// One thing that was intended or that happened, within a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A run is about to ask for the lease under this id, before it has read where it begins.
    RunPlanned {
        run: RunId,
    },
    RunBegun(Box<RunBegun>),
    /// The run was taken over without its ledger; what follows was learnt from the orchestrator.
    Adopted {
        /// Who had begun it.
        by: By,
    },
    /// The orchestrator as this ledger first saw it.
    Baseline {
        orchestrator: String,
        state_uuid: String,
        rev: u64,
        config_hash: String,
        anchor: Anchor,
    },
    /// A new process took the run up, or the first one began: from here on, this fence.
    LeaseTaken {
        fence: Fence,
        anchor: Option<Anchor>,
        pid: u32,
    },
    BackupIntended {
        backup: BackupId,
    },
    BackupDone {
        backup: BackupId,
        path: String,
        bytes: u64,
        manifest_hash: String,
    },

    /// A configuration step, or a part of one, is about to be sent.
    ChangeIntended {
        at: At,
        attempt: u32,
        key: String,
        if_match: u64,
        target_hash: String,
    },
    /// The orchestrator has it as a provisional revision.
    ChangeApplied {
        at: At,
        rev: u64,
        anchor: Option<Anchor>,
    },
    /// The intent had no effect, or its effect was reverted; a new attempt may follow.
    ChangeVoid {
        at: At,
        why: String,
    },
    /// The confirmation is about to be sent.
    ConfirmIntended {
        at: At,
        rev: u64,
        key: String,
    },
    ChangeConfirmed {
        at: At,
        rev: u64,
        anchor: Option<Anchor>,
    },

    /// A step that acts outside the configuration is about to be done.
    LocalIntended {
        at: At,
    },
    /// A program of a plan runs: what finds it again if this process is killed.
    ProgramStarted {
        pid: u32,
        /// The boot of the machine, and clock ticks since then.
        started: String,
    },
    LocalDone {
        at: At,
        detail: String,
    },
    /// A step could not be done.
    StepFailed {
        at: At,
        why: String,
    },

    SoakBegun {
        at: At,
        plan_ms: u64,
        real_ms: u64,
    },
    SoakEnded {
        at: At,
        looks: u64,
    },
    /// What the guards read in a soak, for whoever looks back; thinned out in long soaks.
    GuardsSampled {
        at: At,
        samples: Vec<Sample>,
    },
    /// From here on, soaks are left to the orchestrator, which keeps what is provisional for
    /// `grace_ms` after the end of its soak; or, without it, they are watched by this process.
    Detach {
        grace_ms: Option<u64>,
    },
    /// The process leaves the rest of a soak to the orchestrator. `up_ms` is when the soak began,
    /// in the time of that life of the orchestrator.
    SoakLeft {
        at: At,
        /// The provisional revision; none when the step changed no configuration.
        rev: Option<u64>,
        soak_ms: u64,
        life: u64,
        up_ms: u64,
    },
    /// The orchestrator judges the guards by itself from here on.
    GuardsArmed {
        /// The revision whose content it brings back.
        target: u64,
        anchor: Option<Anchor>,
    },
    GuardsDisarmed,
    /// The orchestrator took the phase back: an armed guard was breached, or a person aborted.
    TakenBack {
        guard: Option<GuardId>,
        why: String,
        rev: u64,
    },
    /// A person asked something of the run from elsewhere, and it is done.
    Heeded {
        ask: Ask,
        by: String,
        reason: Option<String>,
    },
    /// A guard failed, or stayed inconclusive for too long.
    GuardBreached {
        guard: GuardId,
        at: At,
        why: String,
    },
    /// A canary was judged: for good, or for the first time without anything to go by.
    CanaryJudged {
        at: At,
        judgement: Verdict,
    },
    /// A criterion was judged.
    CriterionJudged(Box<Judged>),
    ApprovalAsked {
        at: At,
        prompt: String,
    },
    Approved {
        at: At,
        by: String,
    },

    /// The phase is being undone.
    RollbackBegun {
        cause: String,
    },
    /// The provisional revision is about to be reverted, explicitly.
    RevertIntended {
        rev: u64,
        key: String,
    },
    /// It is no longer in force: by our request, or by the orchestrator itself.
    Reverted {
        rev: u64,
        head: u64,
    },
    /// The configuration from before is about to be written as a new revision.
    RestoreIntended {
        attempt: u32,
        key: String,
        if_match: u64,
        target_hash: String,
    },
    RestoreApplied {
        rev: u64,
    },
    RestoreConfirmIntended {
        rev: u64,
        key: String,
    },
    RestoreConfirmed {
        rev: u64,
        anchor: Option<Anchor>,
    },
    /// The intent to restore had no effect; a new attempt follows.
    RestoreVoid {
        why: String,
    },
    /// A step that acted outside the configuration is about to be undone.
    UndoIntended {
        phase: PhaseId,
        step: StepId,
    },
    Undone {
        phase: PhaseId,
        step: StepId,
        detail: String,
    },
    /// It could not be undone: it is irreversible, or its undo failed.
    NotUndone {
        phase: PhaseId,
        step: StepId,
        irreversible: bool,
        why: String,
    },
    /// The configuration was read back after a rollback and compared with the one before.
    ReadBack {
        rev: u64,
        config_hash: String,
        equal: bool,
    },

    MilestoneReached {
        milestone: MilestoneId,
        title: String,
        /// The person who said so; absent where its criteria were enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A process stopped at a safe point; the run goes on when it is resumed.
    Interrupted {
        by: String,
    },
    /// The run stops here until a person has looked.
    Halted {
        reason: HaltReason,
        detail: String,
    },
    RunEnded {
        outcome: Outcome,
        summary: String,
    },

    /// Success criteria were judged outside a phase.
    Validated {
        plan: PlanName,
        passed: bool,
    },
    /// What `ctx monitor` has seen, outside a phase.
    Monitored {
        plan: PlanName,
        #[serde(flatten)]
        event: Monitored,
    },
    /// A person restored a backup.
    BackupRestored {
        backup: BackupId,
        parts: Vec<String>,
        safety: Option<BackupId>,
    },
}

/// A position in a phase: a step, and which of its parts (from 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct At {
    pub step: StepId,
    pub part: u32,
    pub parts: u32,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parts {
            1 => write!(f, "{}", self.step),
            parts => write!(f, "{} {}/{parts}", self.step, self.part),
        }
    }
}

/// One reading of a guard's metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub guard: GuardId,
    /// In the metric's own unit; finite.
    pub value: f64,
    /// How many observations it rests on; `None` where that has no meaning, as for cpu.
    pub samples: Option<u64>,
}

/// A criterion with its target, what was found, and the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    pub plan: PlanName,
    pub criterion: CriterionId,
    pub title: String,
    pub category: Category,
    /// Such as `latency_p95 at most 100ms`.
    pub target: String,
    /// Such as `12.3ms`, or `no data`.
    pub actual: String,
    pub verdict: Verdict,
    /// The step that required it; absent at the end of a phase and in `ctx validate`.
    pub required_by: Option<StepId>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The phase is confirmed, or the requested rollback is complete.
    Done,
    /// The phase failed and everything is as it was before.
    RolledBack,
    /// The phase failed and stays where it is, because the plan says hold.
    Held,
    /// Something could not be undone; a person is needed.
    RollbackIncomplete,
    /// The run was given up by a person without undoing anything.
    Abandoned,
}

/// Why a run cannot go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// The configuration is not what the ledger expects.
    Drift,
    /// Another orchestrator answers at this address.
    WrongOrchestrator,
    /// The orchestrator was restored to an older state.
    StateRegression,
    /// A request of ours is recorded there with other bytes.
    Tampered,
    /// The plan file was edited since the run began.
    PlanChanged,
}

impl Fact {
    /// Whether the fact ends a run or undoes what it did, so that the service is left safe.
    pub const fn leads_back(&self) -> bool {
        matches!(
            self,
            Self::RollbackBegun { .. }
                | Self::RevertIntended { .. }
                | Self::Reverted { .. }
                | Self::RestoreIntended { .. }
                | Self::RestoreApplied { .. }
                | Self::RestoreConfirmIntended { .. }
                | Self::RestoreConfirmed { .. }
                | Self::RestoreVoid { .. }
                | Self::UndoIntended { .. }
                | Self::Undone { .. }
                | Self::NotUndone { .. }
                | Self::ReadBack { .. }
                | Self::Interrupted { .. }
                | Self::Halted { .. }
                | Self::RunEnded { .. }
        )
    }

    /// The fact's name, as in the ledger's `kind` column.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RunPlanned { .. } => "run_planned",
            Self::RunBegun(_) => "run_begun",
            Self::Adopted { .. } => "adopted",
            Self::Baseline { .. } => "baseline",
            Self::LeaseTaken { .. } => "lease_taken",
            Self::BackupIntended { .. } => "backup_intended",
            Self::BackupDone { .. } => "backup_done",
            Self::ChangeIntended { .. } => "change_intended",
            Self::ChangeApplied { .. } => "change_applied",
            Self::ChangeVoid { .. } => "change_void",
            Self::ConfirmIntended { .. } => "confirm_intended",
            Self::ChangeConfirmed { .. } => "change_confirmed",
            Self::LocalIntended { .. } => "local_intended",
            Self::ProgramStarted { .. } => "program_started",
            Self::LocalDone { .. } => "local_done",
            Self::StepFailed { .. } => "step_failed",
            Self::SoakBegun { .. } => "soak_begun",
            Self::SoakEnded { .. } => "soak_ended",
            Self::GuardsSampled { .. } => "guards_sampled",
            Self::Detach { .. } => "detach",
            Self::SoakLeft { .. } => "soak_left",
            Self::GuardsArmed { .. } => "guards_armed",
            Self::GuardsDisarmed => "guards_disarmed",
            Self::TakenBack { .. } => "taken_back",
            Self::Heeded { .. } => "heeded",
            Self::GuardBreached { .. } => "guard_breached",
            Self::CanaryJudged { .. } => "canary_judged",
            Self::CriterionJudged(_) => "criterion_judged",
            Self::ApprovalAsked { .. } => "approval_asked",
            Self::Approved { .. } => "approved",
            Self::RollbackBegun { .. } => "rollback_begun",
            Self::RevertIntended { .. } => "revert_intended",
            Self::Reverted { .. } => "reverted",
            Self::RestoreIntended { .. } => "restore_intended",
            Self::RestoreApplied { .. } => "restore_applied",
            Self::RestoreConfirmIntended { .. } => "restore_confirm_intended",
            Self::RestoreConfirmed { .. } => "restore_confirmed",
            Self::RestoreVoid { .. } => "restore_void",
            Self::UndoIntended { .. } => "undo_intended",
            Self::Undone { .. } => "undone",
            Self::NotUndone { .. } => "not_undone",
            Self::ReadBack { .. } => "read_back",
            Self::MilestoneReached { .. } => "milestone_reached",
            Self::Interrupted { .. } => "interrupted",
            Self::Halted { .. } => "halted",
            Self::RunEnded { .. } => "run_ended",
            Self::Validated { .. } => "validated",
            Self::Monitored { .. } => "monitored",
            Self::BackupRestored { .. } => "backup_restored",
        }
    }
}

/// A fact with the run it belongs to and the time it was recorded, for display.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub seq: u64,
    pub at_ms: crate::clock::WallMs,
    pub run: Option<RunId>,
    pub fact: Fact,
}
