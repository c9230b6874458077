//! Requests and intents, from the facts.

use std::time::Duration;

use super::{Call, Protocol, Want};
use crate::clock::Tempo;
use crate::control::armed::{ArmRequest, ArmedCanary, ArmedGuard, MAX_RECORD};
use crate::control::config::Config;
use crate::control::wire::{OperationKind, RevisionRequest, State};
use crate::engine::moves::Act;
use crate::engine::state::{MoveState, Restore};
use crate::judge;
use crate::judge::guard::Guard;
use crate::ledger::fact::Fact;
use crate::plan::model::{Action, OnFailure};
use crate::units::Percent;

/// The position under which a rollback's restore is keyed.
const RESTORE: &str = "(restore)";
/// The least time between two looks at a guard, whatever the tempo.
const LEAST_LOOK: Duration = Duration::from_millis(200);

impl Protocol {
    pub(super) fn acquire(&self) -> Call {
        Call::Acquire {
            min_token: self.state.fence.as_ref().map_or(0, |fence| fence.counter),
            last_anchor: self.state.anchor.clone(),
        }
    }

    /// The intent to make a change on top of what is there.
    pub(super) fn change_intended(&self, index: usize, attempt: u32, there: &State) -> Fact {
        let at = self.state.moves[index].at.clone();
        let key = self.key(&at.to_string(), attempt, OperationKind::Apply);
        let target_hash = self.target(index).hash();
        Fact::ChangeIntended { at, attempt, key, if_match: there.head, target_hash }
    }

    pub(super) fn send_change(&self, index: usize) -> Want {
        let MoveState::Intended { key, if_match, .. } = &self.state.at[index] else {
            unreachable!("decide sends what is intended")
        };
        let step = &self.state.moves[index];
        let request = RevisionRequest {
            config: self.target(index).clone(),
            confirm_within_ms: self.confirm_within(step.soak).map(millis),
            reason: format!("phase {}, step {}", self.state.begun.phase.id, step.at),
        };
        let (key, request) = (key.clone(), Box::new(request));
        Want::Send(Call::Apply { key, if_match: *if_match, request })
    }

    /// How long a change outlives its lease: not at all, unless its soak is left to the
    /// orchestrator.
    fn confirm_within(&self, soak: Duration) -> Option<Duration> {
        let grace = self.state.detach.filter(|_| !soak.is_zero())?;
        Some(self.tempo().to_real(soak) + grace)
    }

    pub(super) fn confirm_intended(&self, index: usize, rev: u64) -> Fact {
        let at = self.state.moves[index].at.clone();
        let attempt = match &self.state.at[index] {
            MoveState::Soaked { attempt, .. } => *attempt,
            _ => 1,
        };
        let key = self.key(&at.to_string(), attempt, OperationKind::Confirm);
        Fact::ConfirmIntended { at, rev, key }
    }

    pub(super) fn send_confirm(&self, index: usize) -> Want {
        let MoveState::Confirming { rev, key, .. } = &self.state.at[index] else {
            unreachable!("decide sends what is intended")
        };
        Want::Send(Call::Confirm { key: key.clone(), rev: *rev })
    }

    pub(super) fn send_revert(&self, rev: u64) -> Want {
        Want::Send(Call::Revert { key: self.revert_key(rev), rev })
    }

    /// The intent to write the target back, or the word that it is in force already.
    pub(super) fn restore_intended(&self, attempt: u32, there: &State) -> Fact {
        let target_hash = self.state.target().hash();
        // Where the legacy app has moved, the orchestrator brought back a target that is not
        // ours, and insists on it. The read-back then says that a person is needed.
        let moved = there.armed.as_ref().is_some_and(|armed| {
            armed.run == self.state.run
                && armed.tripped.is_some()
                && armed.target_hash != target_hash
        });
        if there.config_hash == target_hash || moved {
            let (rev, anchor) = (there.head, Some(there.anchor.clone()));
            return Fact::RestoreConfirmed { rev, anchor };
        }
        let key = self.key(RESTORE, attempt, OperationKind::Apply);
        Fact::RestoreIntended { attempt, key, if_match: there.head, target_hash }
    }

    pub(super) fn restore_confirm_intended(&self, rev: u64) -> Fact {
        let attempt = self.state.rollback.as_ref().map_or(1, |r| r.restore.attempt());
        let key = self.key(RESTORE, attempt, OperationKind::Confirm);
        Fact::RestoreConfirmIntended { rev, key }
    }

    pub(super) fn send_restore(&self) -> Want {
        let restore = self.state.rollback.as_ref().map(|rollback| &rollback.restore);
        Want::Send(match restore {
            Some(Restore::Intended { key, if_match, .. }) => {
                let request = RevisionRequest {
                    config: self.state.target().clone(),
                    confirm_within_ms: None,
                    reason: format!("phase {}, rollback", self.state.begun.phase.id),
                };
                Call::Apply { key: key.clone(), if_match: *if_match, request: Box::new(request) }
            }
            Some(Restore::Confirming { rev, key, .. }) => {
                Call::Confirm { key: key.clone(), rev: *rev }
            }
            _ => unreachable!("decide sends what is intended"),
        })
    }

    /// What is in force after a rollback, compared with the target byte for byte.
    pub(super) fn read_back(&self, there: &State) -> Fact {
        let equal = there.config.canonical() == self.state.target().canonical();
        Fact::ReadBack { rev: there.head, config_hash: there.config.hash(), equal }
    }

    pub(super) fn arm_request(&self) -> ArmRequest {
        let begun = &self.state.begun;
        let text = || {
            serde_json::to_string(&Fact::RunBegun(Box::new(begun.clone())))
                .expect("a fact is plain data")
        };
        let record = self.record.get_or_init(text).clone();
        ArmRequest {
            plan: begun.plan.clone(),
            phase: begun.phase.id.clone(),
            guards: self.guards(),
            canaries: self.canaries(),
            // Too large to be kept there: the phase is guarded all the same, but cannot be
            // adopted by a machine without the ledger.
            record: if record.len() <= MAX_RECORD { record } else { String::new() },
        }
    }

    /// The guards that the orchestrator is to judge. A phase that holds where it is when it fails
    /// must not be taken back whole, so its guards are ctx's alone.
    fn guards(&self) -> Vec<ArmedGuard> {
        if self.state.on_failure() == OnFailure::Hold {
            return Vec::new();
        }
        self.state.begun.guards.iter().map(|guard| armed(guard, self.tempo())).collect()
    }

    /// The canaries that it is to judge, likewise.
    fn canaries(&self) -> Vec<ArmedCanary> {
        let phase = &self.state.begun.phase;
        if self.state.on_failure() == OnFailure::Hold {
            return Vec::new();
        }
        let canary = |action: &Action| match action {
            Action::Canary { upstream, to, compare, .. } => {
                let at = to.iter().copied().filter(|share| *share < Percent::ALL).collect();
                let terms = (*compare, phase.canary_alpha());
                Some(judge::armed::write_canary(upstream, at, terms))
            }
            _ => None,
        };
        phase.steps.iter().filter_map(|step| canary(&step.action)).collect()
    }

    fn target(&self, index: usize) -> &Config {
        match &self.state.moves[index].act {
            Act::Change { target } => target,
            Act::Local(_) => self.state.expected(),
        }
    }

    fn tempo(&self) -> Tempo {
        Tempo::new(self.state.begun.tempo).unwrap_or_default()
    }
}

/// A guard of the plan as the orchestrator is asked to hold it: in real time. Patience is not
/// compressed: it is for data to arrive, and data arrives in real time.
fn armed(guard: &Guard, tempo: Tempo) -> ArmedGuard {
    let every = tempo.to_real(guard.every).max(LEAST_LOOK);
    judge::armed::write(&Guard { every, ..guard.clone() })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
