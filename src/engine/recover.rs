//! What a request of unknown outcome came to: the decision table of the protocol, as a function.
//!
//! It is asked after a new fence was granted, so nothing of older processes can still arrive, and
//! whenever the orchestrator's answer shows that the world is not as the ledger expects.

use super::decide::{Next, decide};
use super::state::{Arming, MoveState, Restore, Rollback, RunState};
use crate::control::armed::Tripped;
use crate::control::wire::{Operation, State};
use crate::ledger::fact::{Fact, HaltReason};
use crate::rules::{Rule, holds};

/// What to record before the run goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Everything is as the ledger expects, or will be after a request is sent again.
    GoOn,
    /// Record this; then everything is as the ledger expects.
    Record(Fact),
    /// Somebody else's provisional revision is there; wait for it to go.
    Wait {
        rev: u64,
    },
    Halt {
        reason: HaltReason,
        detail: String,
    },
}

/// The key that an open request of the run went out under, if there is one.
pub fn open_key(state: &RunState) -> Option<&str> {
    if let Some(rollback) = &state.rollback {
        if let Some((_, key)) = &rollback.reverting {
            return Some(key);
        }
        match &rollback.restore {
            Restore::Intended { key, .. } | Restore::Confirming { key, .. } => return Some(key),
            Restore::Needed { .. } | Restore::Applied { .. } | Restore::Confirmed { .. } => {}
        }
    }
    state.at.iter().find_map(|at| match at {
        MoveState::Intended { key, .. } | MoveState::Confirming { key, .. } => Some(key.as_str()),
        _ => None,
    })
}

/// Compares the ledger's tail with the orchestrator. `op` is what became of [`open_key`].
pub fn recover(state: &RunState, op: Option<&Operation>, there: &State) -> Finding {
    if there.state_uuid != state.begun.base.state_uuid {
        let (ours, theirs) = (&state.begun.base.state_uuid, &there.state_uuid);
        let detail = format!("the run began on orchestrator {ours}, this one is {theirs}");
        return Finding::Halt { reason: HaltReason::WrongOrchestrator, detail };
    }
    if !holds(Rule::Table) {
        return Finding::GoOn;
    }
    if let Some(fact) = taken_back(state, there) {
        return Finding::Record(fact);
    }
    let provisional = there.provisional.as_ref().map(|p| p.rev);
    // While a rollback is under way, two requests can be open; the answer is about one of them.
    let about = |key: &str| op.filter(|op| op.key == key);
    let open = state.moves.iter().zip(&state.at).find_map(|(m, at)| match at {
        MoveState::Intended { if_match, key, .. } => {
            Some(intended(state, about(key), there, &m.at, *if_match))
        }
        MoveState::Applied { rev, .. } | MoveState::Soaked { rev, .. } => {
            Some(if provisional == Some(*rev) {
                Finding::GoOn
            } else if there.confirmed == *rev {
                confirmed(&m.at, *rev, there)
            } else {
                void(&m.at, format!("revision {rev} was reverted by the orchestrator"))
            })
        }
        MoveState::Confirming { rev, key, .. } => Some(match about(key) {
            Some(op) => confirmed(&m.at, op.result.rev, there),
            None if provisional == Some(*rev) => Finding::GoOn,
            None if there.confirmed == *rev => confirmed(&m.at, *rev, there),
            None => void(&m.at, format!("revision {rev} was reverted before it was confirmed")),
        }),
        _ => None,
    });
    if let Some(rollback) = &state.rollback {
        return rolling_back(rollback, op, there, open);
    }
    if state.taken_back {
        // What was confirmed is gone as well; the rollback compares the rest.
        return open.filter(|open| matches!(open, Finding::Record(_))).unwrap_or(Finding::GoOn);
    }
    open.unwrap_or_else(|| idle(state, there))
}

/// The orchestrator has taken the phase back by itself, and the ledger does not know yet.
fn taken_back(state: &RunState, there: &State) -> Option<Fact> {
    if state.taken_back || state.ended.is_some() {
        return None;
    }
    let Some(armed) = there.armed.as_ref().filter(|armed| armed.run == state.run) else {
        return displaced(state, there);
    };
    let Tripped { guard, why, rev, .. } = armed.tripped.clone()?;
    Some(Fact::TakenBack { guard, why, rev })
}

/// Armed guards only make room for another phase when theirs was taken back; or when the run
/// itself has disarmed them, which it does last.
fn displaced(state: &RunState, there: &State) -> Option<Fact> {
    let guarded = state.arming == Arming::Armed && state.rollback.is_none();
    if !guarded || decide(state) == Next::Disarm {
        return None;
    }
    let why = "the orchestrator does not hold its guards any more: it was taken back".to_owned();
    Some(Fact::TakenBack { guard: None, why, rev: there.head })
}

/// It is confirmed: by our request, or because a person asked the orchestrator to.
fn confirmed(at: &crate::ledger::fact::At, rev: u64, there: &State) -> Finding {
    let (at, anchor) = (at.clone(), Some(there.anchor.clone()));
    Finding::Record(Fact::ChangeConfirmed { at, rev, anchor })
}

fn void(at: &crate::ledger::fact::At, why: String) -> Finding {
    Finding::Record(Fact::ChangeVoid { at: at.clone(), why })
}

fn intended(
    state: &RunState,
    op: Option<&Operation>,
    there: &State,
    at: &crate::ledger::fact::At,
    if_match: u64,
) -> Finding {
    let provisional = there.provisional.as_ref().map(|p| p.rev);
    match op {
        Some(op) if provisional == Some(op.result.rev) => Finding::Record(Fact::ChangeApplied {
            at: at.clone(),
            rev: op.result.rev,
            anchor: Some(there.anchor.clone()),
        }),
        Some(op) if there.confirmed == op.result.rev => confirmed(at, op.result.rev, there),
        Some(op) => {
            void(at, format!("revision {} was reverted by the orchestrator", op.result.rev))
        }
        None if there.head == if_match => Finding::GoOn,
        None if there.provisional.is_some() => idle(state, there),
        None if there.config_hash == state.expected().hash() => {
            void(at, format!("the head moved from {if_match} to {}", there.head))
        }
        None => drift(state, there),
    }
}

/// Nothing of ours is open: the configuration must be what the ledger expects.
fn idle(state: &RunState, there: &State) -> Finding {
    match &there.provisional {
        Some(provisional) => Finding::Wait { rev: provisional.rev },
        None if there.config_hash == state.expected().hash() => Finding::GoOn,
        None => drift(state, there),
    }
}

fn drift(state: &RunState, there: &State) -> Finding {
    if !holds(Rule::Drift) {
        return Finding::GoOn;
    }
    let expected = state.expected().hash();
    let detail = format!(
        "revision {} has configuration {:.12}, the ledger expects {:.12}",
        there.head, there.config_hash, expected
    );
    Finding::Halt { reason: HaltReason::Drift, detail }
}

/// A rollback goes on whatever it finds: it writes the whole target anyway.
fn rolling_back(
    rollback: &Rollback,
    op: Option<&Operation>,
    there: &State,
    open: Option<Finding>,
) -> Finding {
    let provisional = there.provisional.as_ref().map(|p| p.rev);
    if let Some((rev, _)) = rollback.reverting {
        return match open {
            _ if provisional == Some(rev) => Finding::GoOn,
            // A person has had it confirmed meanwhile; the restore undoes it all the same.
            Some(Finding::Record(fact @ Fact::ChangeConfirmed { .. })) => Finding::Record(fact),
            _ => Finding::Record(Fact::Reverted { rev, head: there.head }),
        };
    }
    // What was open when the rollback began: settled, so that it can be reverted.
    if let Some(Finding::Record(fact)) = open {
        return Finding::Record(fact);
    }
    match (&rollback.restore, op) {
        (Restore::Intended { .. }, Some(op)) if provisional == Some(op.result.rev) => {
            Finding::Record(Fact::RestoreApplied { rev: op.result.rev })
        }
        (Restore::Intended { if_match, .. }, None) if there.head == *if_match => Finding::GoOn,
        (Restore::Intended { .. }, _) => restore_void(there),
        (Restore::Applied { rev, .. }, _) if provisional != Some(*rev) => restore_void(there),
        (Restore::Confirming { .. }, Some(op)) => Finding::Record(Fact::RestoreConfirmed {
            rev: op.result.rev,
            anchor: Some(there.anchor.clone()),
        }),
        (Restore::Confirming { rev, .. }, None) if provisional != Some(*rev) => restore_void(there),
        _ => Finding::GoOn,
    }
}

fn restore_void(there: &State) -> Finding {
    let why = format!("it did not take effect; the head is now {}", there.head);
    Finding::Record(Fact::RestoreVoid { why })
}
