//! What to do next: a question to the state, answered without looking anywhere else.

use super::moves::Act;
use super::state::{Arming, Backup, MoveState, Restore, Rollback, RunState, Settled};
use crate::ledger::fact::Outcome;
use crate::plan::model::OnFailure;

/// The one thing to do next. Indices are into [`RunState::moves`].
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Take and verify the backup that the phase begins with.
    Backup,
    /// Have the orchestrator judge the guards by itself from here on.
    Arm,
    /// Have it stop: the phase is about to end.
    Disarm,
    /// Judge what the move requires, then record the intent to make the change.
    Begin {
        index: usize,
        attempt: u32,
    },
    /// Send the change, or send it again.
    SendChange {
        index: usize,
    },
    /// Watch the guards for as long as the move says.
    Soak {
        index: usize,
    },
    /// Record the intent to confirm.
    BeginConfirm {
        index: usize,
        rev: u64,
    },
    /// Send the confirmation, or send it again.
    SendConfirm {
        index: usize,
    },
    /// Do a local act, or do it again.
    Local {
        index: usize,
    },
    /// Judge the phase's criteria.
    Judge,
    /// Record the end of the run.
    End {
        outcome: Outcome,
        summary: String,
    },

    /// Record that the phase is being undone, and why.
    BeginRollback {
        cause: String,
    },
    /// Record the intent to take the provisional revision back.
    BeginRevert {
        rev: u64,
    },
    /// Send the revert, or send it again.
    SendRevert {
        rev: u64,
    },
    /// Compare the configuration in force with the target; write the target if they differ.
    BeginRestore {
        attempt: u32,
    },
    SendRestore,
    BeginRestoreConfirm {
        rev: u64,
    },
    SendRestoreConfirm,
    /// Undo a local act; the index is into [`Rollback::undo`].
    Undo {
        index: usize,
    },
    /// Read the configuration back and compare it with the target.
    ReadBack,

    /// Nothing: the run has ended.
    Ended(Outcome),
}

/// Decides what to do next.
pub fn decide(state: &RunState) -> Next {
    if let Some((outcome, _)) = &state.ended {
        return Next::Ended(*outcome);
    }
    match &state.rollback {
        Some(rollback) => decide_rollback(state, rollback),
        None => decide_forward(state),
    }
}

fn decide_forward(state: &RunState) -> Next {
    if let Some(cause) = failure(state) {
        return Next::BeginRollback { cause };
    }
    if !matches!(state.backup, Backup::Taken(_)) {
        return Next::Backup;
    }
    if state.arming == Arming::NotYet {
        return Next::Arm;
    }
    for (index, (step, at)) in state.moves.iter().zip(&state.at).enumerate() {
        return match (at, &step.act) {
            (MoveState::Waiting { attempt }, Act::Change { .. }) => {
                Next::Begin { index, attempt: *attempt }
            }
            (MoveState::Intended { .. }, _) => Next::SendChange { index },
            (MoveState::Applied { .. } | MoveState::Done, _) => Next::Soak { index },
            (MoveState::Soaked { rev, .. }, _) => Next::BeginConfirm { index, rev: *rev },
            (MoveState::Confirming { .. }, _) => Next::SendConfirm { index },
            (MoveState::Waiting { .. } | MoveState::Begun, Act::Local(_)) => Next::Local { index },
            (MoveState::Begun, Act::Change { .. })
            | (MoveState::Confirmed { .. } | MoveState::Settled, _) => continue,
        };
    }
    decide_end(state)
}

/// Why the phase must not go on, if it must not.
fn failure(state: &RunState) -> Option<String> {
    let unmet = || {
        let judged = state.begun.phase.criteria.iter().map(|c| (c, state.judged.get(&c.id)));
        judged.into_iter().find_map(|(criterion, verdict)| {
            let verdict = verdict.filter(|verdict| !verdict.passed())?;
            Some(format!("criterion `{}`: {}", criterion.id, verdict.why()))
        })
    };
    state.failed.clone().or_else(unmet)
}

/// Every move is done: the criteria decide.
fn decide_end(state: &RunState) -> Next {
    let phase = &state.begun.phase;
    if phase.criteria.iter().any(|criterion| !state.judged.contains_key(&criterion.id)) {
        return Next::Judge;
    }
    let summary =
        format!("phase {} `{}` confirmed at revision {}", phase.number, phase.id, state.head);
    disarmed(state).unwrap_or(Next::End { outcome: Outcome::Done, summary })
}

/// Nothing ends while the orchestrator might still take the phase back. A run that may have armed
/// without knowing disarms too; what is not armed is disarmed without effect.
fn disarmed(state: &RunState) -> Option<Next> {
    let arms = matches!(state.begun.kind, crate::ledger::fact::RunKind::Migrate);
    (arms && state.arming != Arming::Disarmed).then_some(Next::Disarm)
}

fn decide_rollback(state: &RunState, rollback: &Rollback) -> Next {
    // A provisional revision stands in the way of every other change, so it goes first.
    if let Some((rev, _)) = &rollback.reverting {
        return Next::SendRevert { rev: *rev };
    }
    if let Some((_, rev)) = state.provisional() {
        return Next::BeginRevert { rev };
    }
    // What a person has asked to be undone is undone, whatever the plan says about failures.
    let own_failure = failure(state).as_ref() == Some(&rollback.cause);
    // What the orchestrator has taken back cannot be held.
    if own_failure && !state.taken_back && state.on_failure() == OnFailure::Hold {
        let summary = format!("held: {}", rollback.cause);
        return disarmed(state).unwrap_or(Next::End { outcome: Outcome::Held, summary });
    }
    match &rollback.restore {
        Restore::Needed { attempt } => return Next::BeginRestore { attempt: *attempt },
        Restore::Intended { .. } => return Next::SendRestore,
        Restore::Applied { rev, .. } => return Next::BeginRestoreConfirm { rev: *rev },
        Restore::Confirming { .. } => return Next::SendRestoreConfirm,
        Restore::Confirmed { .. } => {}
    }
    if let Some(index) = rollback.undo.iter().position(|(_, s)| *s == Settled::Open) {
        return Next::Undo { index };
    }
    match rollback.read_back {
        None => Next::ReadBack,
        Some(equal) => decide_rollback_end(state, rollback, equal),
    }
}

fn decide_rollback_end(state: &RunState, rollback: &Rollback, equal: bool) -> Next {
    if let Some(next) = disarmed(state) {
        return next;
    }
    let with = |settled| {
        let steps = rollback.undo.iter().filter(move |(_, s)| *s == settled);
        steps.map(|(undo, _)| format!("`{}`", undo.step.id)).collect::<Vec<_>>().join(", ")
    };
    let (failed, irreversible) = (with(Settled::Failed), with(Settled::Irreversible));
    let note = match irreversible.as_str() {
        "" => String::new(),
        steps => format!("; not undone, because irreversible: {steps}"),
    };
    let cause = &rollback.cause;
    if !equal {
        let summary = format!("{cause}; the configuration is not the one from before");
        return Next::End { outcome: Outcome::RollbackIncomplete, summary };
    }
    if !failed.is_empty() {
        let summary = format!("{cause}; could not undo {failed}{note}");
        return Next::End { outcome: Outcome::RollbackIncomplete, summary };
    }
    // A rollback that was asked for is done when it has rolled back.
    let asked = matches!(state.begun.kind, crate::ledger::fact::RunKind::Rollback { .. });
    let outcome = if asked { Outcome::Done } else { Outcome::RolledBack };
    Next::End { outcome, summary: format!("{cause}{note}") }
}
