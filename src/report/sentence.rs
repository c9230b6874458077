//! Every fact as one sentence, the same in progress lines, in `ctx show` and in a report.
//!
//! Lower case, no full stop. What a person named stands in backticks; where something was
//! measured, the number and its limit are both there. The phase is not named where it is the
//! run's own: every place that shows a sentence shows the phase beside it.

use std::time::Duration;

use super::words;
use crate::control::armed::Ask;
use crate::error::count;
use crate::judge::Verdict;
use crate::ledger::fact::{By, Fact, HaltReason, Judged, Outcome, RunBegun, RunKind, Sample};
use crate::units::duration;

/// How much a fact matters to somebody who only glances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// An intent that its outcome follows at once.
    Debug,
    Info,
    /// Something that is not as planned, and that ctx deals with.
    Warning,
    /// Something went wrong, or needs a person.
    Error,
}

/// The fact as one sentence.
#[expect(clippy::too_many_lines, reason = "one arm per fact; a new fact must be worded here")]
pub fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::RunBegun(begun) => run_begun(begun),
        Fact::LeaseTaken { fence, pid, .. } => {
            format!("lease taken by process {pid}, fence {}", fence.counter)
        }
        Fact::BackupIntended { backup } => format!("backup `{backup}` begun"),
        Fact::BackupDone { backup, path, bytes, .. } => {
            format!("backup `{backup}` taken and verified: {} in {path}", words::bytes(*bytes))
        }
        Fact::ChangeIntended { at, attempt, if_match, .. } => match attempt {
            0 | 1 => format!("step {at} sent, on top of revision {if_match}"),
            again => {
                format!("step {at} sent again, attempt {again}, on top of revision {if_match}")
            }
        },
        Fact::ChangeApplied { at, rev, .. } => {
            format!("step {at} applied as revision {rev}, provisional")
        }
        Fact::ChangeVoid { at, why } => format!("step {at} is not in force: {why}"),
        Fact::ConfirmIntended { at, rev, .. } => {
            format!("confirmation of revision {rev} sent, step {at}")
        }
        Fact::ChangeConfirmed { at, rev, .. } => format!("step {at} confirmed as revision {rev}"),
        Fact::LocalIntended { at } => format!("step {at} begun"),
        Fact::RunPlanned { run } => format!("run {run} asks for the lease"),
        Fact::Adopted { by } => {
            format!("adopted from {}@{}, as far as the orchestrator knows it", by.user, by.host)
        }
        Fact::Baseline { orchestrator, rev, .. } => {
            format!("revision {rev} of {orchestrator} is the baseline")
        }
        Fact::ProgramStarted { pid, .. } => format!("program started as process {pid}"),
        Fact::LocalDone { at, detail } => with_detail(&format!("step {at} done"), detail),
        Fact::StepFailed { at, why } => format!("step {at} failed: {why}"),
        Fact::SoakBegun { at, plan_ms, real_ms } => soak_begun(&at.to_string(), *plan_ms, *real_ms),
        Fact::SoakEnded { at, looks } => {
            let looks = count(usize::try_from(*looks).unwrap_or(usize::MAX), "look");
            format!("step {at} soaked, the guards held in {looks}")
        }
        Fact::GuardsSampled { at, samples } => {
            let read = |sample: &Sample| format!("{} {}", sample.guard, sample.value);
            let read: Vec<String> = samples.iter().map(read).collect();
            format!("step {at} soaks, the guards read {}", read.join(", "))
        }
        Fact::Detach { grace_ms: Some(grace_ms) } => {
            let grace = words::span(Duration::from_millis(*grace_ms));
            format!("soaks are left to the orchestrator, with {grace} to confirm after each")
        }
        Fact::Detach { grace_ms: None } => "soaks are watched by this process again".to_owned(),
        Fact::SoakLeft { at, .. } => format!("step {at} soaks on without this process"),
        Fact::GuardsArmed { target, .. } => {
            format!("guards armed at the orchestrator, a breach brings back revision {target}")
        }
        Fact::GuardsDisarmed => "guards disarmed at the orchestrator".to_owned(),
        Fact::TakenBack { guard: Some(guard), why, rev } => {
            format!("taken back by the orchestrator as revision {rev}, guard `{guard}`: {why}")
        }
        Fact::TakenBack { guard: None, why, rev } => {
            format!("taken back by the orchestrator as revision {rev}: {why}")
        }
        Fact::Heeded { ask, by, reason } => {
            let what = match ask {
                Ask::Confirm => "confirmation",
                Ask::Pause => "pause",
                Ask::Abort => "abort",
            };
            with_detail(&format!("{what} asked for by {by}"), reason.as_deref().unwrap_or_default())
        }
        Fact::GuardBreached { guard, at, why } => {
            format!("guard `{guard}` breached at step {at}: {why}")
        }
        Fact::CanaryJudged { at, judgement } => format!("canary at step {at}: {}", judgement.why()),
        Fact::CriterionJudged(judged) => criterion_judged(judged),
        Fact::ApprovalAsked { at, prompt } => format!("step {at} waits for approval: {prompt}"),
        Fact::Approved { at, by } => format!("step {at} approved by {by}"),
        Fact::RollbackBegun { cause } => format!("rollback begun: {cause}"),
        Fact::RevertIntended { rev, .. } => format!("revert of revision {rev} sent"),
        Fact::Reverted { rev, head } => {
            format!("revision {rev} reverted, revision {head} is in force")
        }
        Fact::RestoreIntended { attempt, if_match, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("the configuration from before sent, on top of revision {if_match}{again}")
        }
        Fact::RestoreApplied { rev } => {
            format!("the configuration from before applied as revision {rev}, provisional")
        }
        Fact::RestoreConfirmIntended { rev, .. } => format!("confirmation of revision {rev} sent"),
        Fact::RestoreConfirmed { rev, .. } => {
            format!("the configuration from before confirmed as revision {rev}")
        }
        Fact::RestoreVoid { why } => {
            format!("the configuration from before is not in force: {why}")
        }
        Fact::UndoIntended { phase, step } => format!("undo of step {phase}/{step} begun"),
        Fact::Undone { phase, step, detail } => {
            with_detail(&format!("step {phase}/{step} undone"), detail)
        }
        Fact::NotUndone { phase, step, irreversible, why } => {
            let reason = if *irreversible { ", it is irreversible" } else { "" };
            with_detail(&format!("step {phase}/{step} NOT undone{reason}"), why)
        }
        Fact::ReadBack { rev, equal: true, .. } => {
            format!("read back: revision {rev} equals the configuration from before")
        }
        Fact::ReadBack { rev, equal: false, .. } => {
            format!("read back: revision {rev} DIFFERS from the configuration from before")
        }
        Fact::MilestoneReached { milestone, title, by } => {
            let reached = format!("milestone `{milestone}` reached: {title}");
            match by {
                Some(By { user, host, reason, .. }) => with_detail(
                    &format!("{reached}, as {user}@{host} says"),
                    reason.as_deref().unwrap_or_default(),
                ),
                None => reached,
            }
        }
        Fact::Interrupted { by } => format!("interrupted by {by} at a safe point"),
        Fact::Halted { reason, detail } => {
            with_detail(&format!("halted, {}", halt_reason(*reason)), detail)
        }
        Fact::RunEnded { outcome, summary } => {
            with_detail(&format!("run ended, {}", outcome_words(*outcome)), summary)
        }
        Fact::Validated { plan, passed } => {
            let met = if *passed { "all met" } else { "NOT all met" };
            format!("success criteria of plan `{plan}` judged: {met}")
        }
        Fact::BackupRestored { backup, parts, safety } => {
            let parts = parts.join(", ");
            let safety = match safety {
                Some(safety) => format!(", the state before is in `{safety}`"),
                None => String::new(),
            };
            format!("backup `{backup}` restored ({parts}){safety}")
        }
    }
}

/// How much the fact matters.
pub fn level(fact: &Fact) -> Level {
    match fact {
        Fact::ChangeIntended { .. }
        | Fact::ConfirmIntended { .. }
        | Fact::RevertIntended { .. }
        | Fact::RestoreIntended { .. }
        | Fact::RestoreConfirmIntended { .. }
        | Fact::GuardsDisarmed
        | Fact::RunPlanned { .. }
        | Fact::ProgramStarted { .. }
        | Fact::GuardsSampled { .. }
        | Fact::LeaseTaken { .. } => Level::Debug,
        Fact::RunBegun(_)
        // What these begin may take minutes.
        | Fact::BackupIntended { .. }
        | Fact::LocalIntended { .. }
        | Fact::UndoIntended { .. }
        | Fact::BackupDone { .. }
        | Fact::ChangeApplied { .. }
        | Fact::ChangeConfirmed { .. }
        | Fact::LocalDone { .. }
        | Fact::SoakBegun { .. }
        | Fact::SoakEnded { .. }
        | Fact::SoakLeft { .. }
        | Fact::Adopted { .. }
        | Fact::Baseline { .. }
        | Fact::Detach { .. }
        | Fact::GuardsArmed { .. }
        | Fact::Approved { .. }
        | Fact::Reverted { .. }
        | Fact::RestoreApplied { .. }
        | Fact::RestoreConfirmed { .. }
        | Fact::Undone { .. }
        | Fact::ReadBack { equal: true, .. }
        | Fact::MilestoneReached { .. }
        | Fact::RunEnded { outcome: Outcome::Done, .. }
        | Fact::Validated { passed: true, .. } => Level::Info,
        Fact::ChangeVoid { .. }
        | Fact::ApprovalAsked { .. }
        | Fact::Heeded { .. }
        | Fact::RollbackBegun { .. }
        | Fact::RestoreVoid { .. }
        | Fact::Interrupted { .. }
        | Fact::RunEnded { outcome: Outcome::Abandoned, .. }
        | Fact::Validated { passed: false, .. }
        | Fact::BackupRestored { .. } => Level::Warning,
        Fact::CanaryJudged { judgement, .. } => match judgement {
            Verdict::Pass(_) => Level::Info,
            Verdict::Inconclusive(_) => Level::Warning,
            Verdict::Fail(_) => Level::Error,
        },
        Fact::CriterionJudged(judged) => match judged.verdict {
            Verdict::Pass(_) => Level::Info,
            Verdict::Inconclusive(_) => Level::Warning,
            Verdict::Fail(_) => Level::Error,
        },
        Fact::StepFailed { .. }
        | Fact::GuardBreached { .. }
        | Fact::TakenBack { .. }
        | Fact::NotUndone { .. }
        | Fact::ReadBack { equal: false, .. }
        | Fact::Halted { .. }
        | Fact::RunEnded {
            outcome: Outcome::RolledBack | Outcome::Held | Outcome::RollbackIncomplete,
            ..
        } => Level::Error,
    }
}

/// An issue in words: what kind it is, and what it was about.
pub fn issue(kind: &str, what: &str) -> String {
    let kind = match kind {
        "guard_breached" => "guard breached",
        "taken_back" => "taken back by the orchestrator",
        "step_failed" => "step failed",
        "not_undone" => "step NOT undone",
        "read_back" => "configuration NOT as before",
        other => other,
    };
    format!("{kind}, {what}")
}

/// An outcome in words.
pub const fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::RolledBack => "rolled back",
        Outcome::Held => "failed, held where it is",
        Outcome::RollbackIncomplete => "rollback INCOMPLETE, a person is needed",
        Outcome::Abandoned => "abandoned, nothing undone",
    }
}

/// Why a run cannot go on by itself, in words.
pub const fn halt_reason(reason: HaltReason) -> &'static str {
    match reason {
        HaltReason::Drift => "the configuration is not what the ledger expects",
        HaltReason::WrongOrchestrator => "another orchestrator answers at this address",
        HaltReason::StateRegression => "the orchestrator was restored to an older state",
        HaltReason::Tampered => "a request of this run is recorded there with other content",
        HaltReason::PlanChanged => "the plan was edited since the run began",
    }
}

fn run_begun(begun: &RunBegun) -> String {
    let verb = match &begun.kind {
        RunKind::Migrate => {
            format!("migration of phase {} `{}`", begun.phase.number, begun.phase.id)
        }
        RunKind::Rollback { phases, .. } => {
            let named: Vec<String> = phases.iter().map(|phase| format!("`{phase}`")).collect();
            let noun = if named.len() == 1 { "phase" } else { "phases" };
            format!("rollback of {noun} {}", named.join(", "))
        }
    };
    let by = &begun.by;
    let from = format!("{verb} begun by {}@{} on revision {}", by.user, by.host, begun.base.rev);
    match &by.reason {
        Some(reason) => format!("{from}: {reason}"),
        None => from,
    }
}

fn soak_begun(at: &str, plan_ms: u64, real_ms: u64) -> String {
    let plan = duration::format(Duration::from_millis(plan_ms));
    if plan_ms == real_ms {
        return format!("step {at} soaks for {plan}");
    }
    let real = words::span(Duration::from_millis(real_ms));
    format!("step {at} soaks for {plan} of plan time, {real} here")
}

fn criterion_judged(judged: &Judged) -> String {
    let criterion = &judged.criterion;
    let verdict = match judged.verdict {
        Verdict::Pass(_) => "met",
        Verdict::Fail(_) => "NOT met",
        Verdict::Inconclusive(_) => "inconclusive",
    };
    let why = judged.verdict.why();
    match &judged.required_by {
        Some(step) => format!("criterion `{criterion}` {verdict}, before step {step}: {why}"),
        None => format!("criterion `{criterion}` {verdict}: {why}"),
    }
}

fn with_detail(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") }
}
