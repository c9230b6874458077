//! What the facts of a run come to.
//!
//! The state is only ever built from facts, one at a time, in order; the same facts always give
//! the same state. Facts that a run can show but that change nothing about what is to be done next
//! (soaks begun, reports, notes) pass through.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::config::Config;
use crate::control::wire::{Anchor, Fence};
use crate::ids::{BackupId, CriterionId, MilestoneId, PhaseId, RunId, StepId};
use crate::judge::Verdict;
use crate::ledger::fact::{At, Fact, HaltReason, Outcome, RunBegun, RunKind, Undo};
use crate::plan::model::{Action, Milestone, OnFailure};
use crate::rules::{Rule, holds};

use super::moves::{Act, Move, unroll};
pub use super::rollback::{Restore, Rollback, Settled};

/// A run, as far as it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    pub run: RunId,
    pub begun: RunBegun,
    pub moves: Vec<Move>,
    /// One per move.
    pub at: Vec<MoveState>,
    pub fence: Option<Fence>,
    /// The last anchor seen of the orchestrator.
    pub anchor: Option<Anchor>,
    /// The newest confirmed revision that is ours, or the one the run began on.
    pub head: u64,
    pub backup: Backup,
    /// The criteria judged at the end of the phase.
    pub judged: BTreeMap<CriterionId, Verdict>,
    pub milestones: Vec<MilestoneId>,
    /// The program that was started last: its number and when it started.
    pub program: Option<(u32, String)>,
    /// Whether the orchestrator judges the guards by itself, as far as the ledger knows.
    pub arming: Arming,
    /// Soaks are left to the orchestrator, and this long after each there is time to confirm.
    pub detach: Option<Duration>,
    /// The soak that was left to the orchestrator last.
    pub left: Option<Left>,
    /// The orchestrator has put the configuration from before the phase back by itself.
    pub taken_back: bool,
    /// The first reason why the phase must not go on.
    pub failed: Option<String>,
    pub rollback: Option<Rollback>,
    pub halted: Option<(HaltReason, String)>,
    pub ended: Option<(Outcome, String)>,
}

/// Whether the phase's guards are armed at the orchestrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arming {
    NotYet,
    Armed,
    Disarmed,
}

/// A soak that goes on without a process of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub at: At,
    pub rev: Option<u64>,
    /// When it began, in milliseconds of that life of the orchestrator.
    pub life: u64,
    pub up_ms: u64,
}

/// Where one move stands.
#[derive(Clone, Debug, PartialEq)]
pub enum MoveState {
    /// Not begun, or begun without effect; the next attempt has this number.
    Waiting { attempt: u32 },
    /// A request to apply it may be under way.
    Intended { attempt: u32, key: String, if_match: u64 },
    /// In force, provisionally; to be soaked.
    Applied { attempt: u32, rev: u64 },
    /// In force, provisionally, and soaked.
    Soaked { attempt: u32, rev: u64 },
    /// A request to confirm it may be under way.
    Confirming { attempt: u32, rev: u64, key: String },
    /// Confirmed at the orchestrator.
    Confirmed { rev: u64 },
    /// A local act may be half done; doing it again is safe.
    Begun,
    /// A local act is done; to be soaked.
    Done,
    /// A local act is done and soaked.
    Settled,
}

/// The backup that a phase begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    Needed,
    Intended(BackupId),
    Taken(BackupId),
    /// On the machine that the run was adopted from.
    Elsewhere,
}

/// Why a list of facts is not a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("the run does not begin with `run_begun`")]
    NotBegun,
    #[error("the recorded phase does not fit the recorded configuration at step `{0}`: {1}")]
    Unroll(At, String),
    #[error("the ledger speaks of step `{0}`, which the recorded phase does not have")]
    UnknownStep(At),
}

impl RunState {
    /// Folds the facts of one run, in order.
    ///
    /// # Errors
    /// When they are not the facts of one run.
    pub fn fold<'a>(
        run: &RunId,
        facts: impl IntoIterator<Item = &'a Fact>,
    ) -> Result<Self, StateError> {
        let mut facts = facts.into_iter();
        let Some(Fact::RunBegun(begun)) = facts.next() else { return Err(StateError::NotBegun) };
        let mut state = Self::begin(run.clone(), (**begun).clone())?;
        for fact in facts {
            state.evolve(fact)?;
        }
        Ok(state)
    }

    /// The state of a run that has only begun.
    pub fn begin(run: RunId, begun: RunBegun) -> Result<Self, StateError> {
        let moves = match begun.kind {
            RunKind::Migrate => unroll(&begun.phase, &begun.base.config)
                .map_err(|(at, error)| StateError::Unroll(at, error.to_string()))?,
            RunKind::Rollback { .. } => Vec::new(),
        };
        let mut state = Self {
            run,
            at: vec![MoveState::Waiting { attempt: 1 }; moves.len()],
            moves,
            fence: None,
            anchor: Some(begun.base.anchor.clone()),
            head: begun.base.rev,
            backup: Backup::Needed,
            judged: BTreeMap::new(),
            milestones: Vec::new(),
            program: None,
            arming: Arming::NotYet,
            detach: None,
            left: None,
            taken_back: false,
            failed: None,
            rollback: None,
            halted: None,
            ended: None,
            begun,
        };
        if let RunKind::Rollback { phases, undo, .. } = &state.begun.kind {
            let names: Vec<_> = phases.iter().map(ToString::to_string).collect();
            let undo = undo.iter().map(|u| (u.clone(), Settled::Open)).collect();
            state.rollback = Some(Rollback::new(format!("rollback of {}", names.join(", ")), undo));
        }
        Ok(state)
    }

    /// Adds one fact. All legal transitions stand here.
    #[expect(clippy::too_many_lines, reason = "one match that names every fact")]
    pub fn evolve(&mut self, fact: &Fact) -> Result<(), StateError> {
        match fact {
            Fact::LeaseTaken { fence, anchor, .. } => {
                self.fence = Some(fence.clone());
                self.halted = None;
                self.see(anchor.as_ref());
                // A new process soaks again from zero: nobody watched in between.
                for state in &mut self.at {
                    if let MoveState::Soaked { attempt, rev } = *state
                        && holds(Rule::SoakAgain)
                    {
                        *state = MoveState::Applied { attempt, rev };
                    }
                }
            }
            // Its backup lies where it began.
            Fact::Adopted { .. } => self.backup = Backup::Elsewhere,
            Fact::BackupIntended { backup } => self.backup = Backup::Intended(backup.clone()),
            Fact::BackupDone { backup, .. } => self.backup = Backup::Taken(backup.clone()),
            Fact::ChangeIntended { at, attempt, key, if_match, .. } => {
                let (attempt, key, if_match) = (*attempt, key.clone(), *if_match);
                self.set(at, MoveState::Intended { attempt, key, if_match })?;
            }
            Fact::ChangeApplied { at, rev, anchor } => {
                let attempt = self.attempt(at)?;
                self.see(anchor.as_ref());
                self.set(at, MoveState::Applied { attempt, rev: *rev })?;
            }
            Fact::ChangeVoid { at, .. } => {
                let attempt = self.attempt(at)? + u32::from(holds(Rule::FreshAttempt));
                self.set(at, MoveState::Waiting { attempt })?;
            }
            Fact::SoakEnded { at, .. } => match self.state_of(at)?.clone() {
                MoveState::Applied { attempt, rev } => {
                    self.set(at, MoveState::Soaked { attempt, rev })?;
                }
                MoveState::Done => self.set(at, MoveState::Settled)?,
                _ => {}
            },
            Fact::ConfirmIntended { at, rev, key } => {
                let (attempt, rev, key) = (self.attempt(at)?, *rev, key.clone());
                self.set(at, MoveState::Confirming { attempt, rev, key })?;
            }
            Fact::ChangeConfirmed { at, rev, anchor } => {
                self.see(anchor.as_ref());
                self.head = *rev;
                self.set(at, MoveState::Confirmed { rev: *rev })?;
                // There is nothing to be reverted any more.
                if let Some(rollback) = &mut self.rollback {
                    rollback.reverting.take_if(|(reverting, _)| *reverting == *rev);
                }
            }
            Fact::ProgramStarted { pid, started } => self.program = Some((*pid, started.clone())),
            Fact::LocalIntended { at } => self.set(at, MoveState::Begun)?,
            Fact::LocalDone { at, .. } | Fact::Approved { at, .. } => {
                let soaks = !self.moves[self.index(at)?].soak.is_zero();
                self.set(at, if soaks { MoveState::Done } else { MoveState::Settled })?;
            }
            Fact::StepFailed { at, why } => self.fail(format!("step `{at}`: {why}")),
            Fact::GuardBreached { guard, at, why } => {
                self.fail(format!("guard `{guard}` at step `{at}`: {why}"));
            }
            Fact::TakenBack { guard, why, .. } => {
                self.taken_back = true;
                self.fail(match guard {
                    Some(guard) => format!("guard `{guard}`: {why}"),
                    None => why.clone(),
                });
            }
            Fact::GuardsArmed { anchor, .. } => {
                self.arming = Arming::Armed;
                self.see(anchor.as_ref());
            }
            Fact::GuardsDisarmed => self.arming = Arming::Disarmed,
            Fact::Detach { grace_ms } => self.detach = grace_ms.map(Duration::from_millis),
            Fact::SoakLeft { at, rev, life, up_ms, .. } => {
                let (at, rev, life, up_ms) = (at.clone(), *rev, *life, *up_ms);
                self.left = Some(Left { at, rev, life, up_ms });
            }
            Fact::CriterionJudged(judged) if judged.required_by.is_none() => {
                self.judged.insert(judged.criterion.clone(), judged.verdict.clone());
            }
            Fact::RollbackBegun { cause } => {
                let undo = self.undo_list();
                self.rollback = Some(Rollback::new(cause.clone(), undo));
            }
            Fact::RevertIntended { rev, key } => {
                if let Some(rollback) = &mut self.rollback {
                    rollback.reverting = Some((*rev, key.clone()));
                }
            }
            Fact::Reverted { rev, head } => self.reverted(*rev, *head),
            Fact::RestoreIntended { attempt, key, if_match, .. } => {
                let (attempt, key, if_match) = (*attempt, key.clone(), *if_match);
                self.restore(|_| Restore::Intended { attempt, key, if_match });
            }
            Fact::RestoreApplied { rev } => {
                self.restore(|was| Restore::Applied { attempt: was.attempt(), rev: *rev });
            }
            Fact::RestoreConfirmIntended { rev, key } => {
                let (rev, key) = (*rev, key.clone());
                self.restore(|was| Restore::Confirming { attempt: was.attempt(), rev, key });
            }
            Fact::RestoreConfirmed { rev, anchor } => {
                self.see(anchor.as_ref());
                self.head = *rev;
                self.restore(|_| Restore::Confirmed { rev: *rev });
            }
            Fact::RestoreVoid { .. } => {
                self.restore(|was| Restore::Needed { attempt: was.attempt() + 1 });
            }
            Fact::Undone { step, phase, .. } => self.settle(phase, step, Settled::Undone),
            Fact::NotUndone { step, phase, irreversible, .. } => {
                let settled = if *irreversible { Settled::Irreversible } else { Settled::Failed };
                self.settle(phase, step, settled);
            }
            Fact::ReadBack { equal, .. } => {
                if let Some(rollback) = &mut self.rollback {
                    rollback.read_back = Some(*equal);
                }
            }
            Fact::MilestoneReached { milestone, .. } => self.milestones.push(milestone.clone()),
            Fact::Halted { reason, detail } => self.halted = Some((*reason, detail.clone())),
            Fact::RunEnded { outcome, summary } => self.ended = Some((*outcome, summary.clone())),
            Fact::RunPlanned { .. }
            | Fact::Baseline { .. }
            | Fact::RunBegun(_)
            | Fact::SoakBegun { .. }
            | Fact::GuardsSampled { .. }
            | Fact::CanaryJudged { .. }
            | Fact::CriterionJudged(_)
            | Fact::ApprovalAsked { .. }
            | Fact::UndoIntended { .. }
            | Fact::Interrupted { .. }
            | Fact::Heeded { .. }
            | Fact::Validated { .. }
            | Fact::BackupRestored { .. } => {}
        }
        Ok(())
    }

    /// The document that must be in force when the run is idle: the last confirmed move's, or
    /// the one from before.
    pub fn expected(&self) -> &Config {
        let restored = match (&self.rollback, &self.begun.kind) {
            (Some(Rollback { restore: Restore::Confirmed { .. }, .. }), _) => Some(self.target()),
            _ => None,
        };
        restored.unwrap_or_else(|| {
            let confirmed = self.moves.iter().zip(&self.at).rev().find_map(|(m, state)| {
                match (&m.act, state) {
                    (Act::Change { target }, MoveState::Confirmed { .. }) => Some(&**target),
                    _ => None,
                }
            });
            confirmed.unwrap_or(&self.begun.base.config)
        })
    }

    /// The document that a rollback writes back.
    pub fn target(&self) -> &Config {
        match &self.begun.kind {
            RunKind::Rollback { to, .. } => to,
            RunKind::Migrate => &self.begun.base.config,
        }
    }

    /// The move whose revision is, as far as the ledger knows, provisional.
    pub fn provisional(&self) -> Option<(usize, u64)> {
        self.at.iter().enumerate().find_map(|(index, state)| match state {
            MoveState::Applied { rev, .. }
            | MoveState::Soaked { rev, .. }
            | MoveState::Confirming { rev, .. } => Some((index, *rev)),
            _ => None,
        })
    }

    /// What a failure leads to.
    pub fn on_failure(&self) -> OnFailure {
        self.begun.phase.on_failure
    }

    /// Everything done outside the configuration that may need undoing, last first.
    pub fn undo_list(&self) -> Vec<(Undo, Settled)> {
        let touched = |state: &MoveState| {
            matches!(state, MoveState::Begun | MoveState::Done | MoveState::Settled)
        };
        let undoable = |action: &Action| matches!(action, Action::Run { .. } | Action::Call { .. });
        let steps = &self.begun.phase.steps;
        let done = self.moves.iter().zip(&self.at).rev().filter_map(|(m, state)| match &m.act {
            Act::Local(action) if touched(state) && undoable(action) => {
                steps.iter().find(|step| step.id == m.at.step)
            }
            _ => None,
        });
        let phase = &self.begun.phase.id;
        done.map(|step| (Undo { phase: phase.clone(), step: step.clone() }, Settled::Open))
            .collect()
    }

    /// The milestones whose moment has come and that were not reached yet; none while undoing.
    pub fn due_milestones(&self) -> impl Iterator<Item = &Milestone> {
        let finished =
            |state: &MoveState| matches!(state, MoveState::Confirmed { .. } | MoveState::Settled);
        let all = self.at.iter().all(finished);
        let step_finished = move |step: &StepId| {
            let mut parts = self.moves.iter().zip(&self.at).filter(|(m, _)| m.at.step == *step);
            parts.all(|(_, state)| finished(state))
        };
        self.begun.milestones.iter().filter(move |milestone| {
            let due = milestone.after.as_ref().map_or(all, &step_finished);
            due && self.rollback.is_none() && !self.milestones.contains(&milestone.id)
        })
    }

    fn index(&self, at: &At) -> Result<usize, StateError> {
        let found = self.moves.iter().position(|m| m.at == *at);
        found.ok_or_else(|| StateError::UnknownStep(at.clone()))
    }

    fn state_of(&self, at: &At) -> Result<&MoveState, StateError> {
        self.index(at).map(|index| &self.at[index])
    }

    fn set(&mut self, at: &At, state: MoveState) -> Result<(), StateError> {
        let index = self.index(at)?;
        self.at[index] = state;
        Ok(())
    }

    fn attempt(&self, at: &At) -> Result<u32, StateError> {
        Ok(match self.state_of(at)? {
            MoveState::Waiting { attempt }
            | MoveState::Intended { attempt, .. }
            | MoveState::Applied { attempt, .. }
            | MoveState::Soaked { attempt, .. }
            | MoveState::Confirming { attempt, .. } => *attempt,
            MoveState::Confirmed { .. }
            | MoveState::Begun
            | MoveState::Done
            | MoveState::Settled => 1,
        })
    }

    /// A provisional revision is gone: its move is as if never begun.
    fn reverted(&mut self, rev: u64, head: u64) {
        if let Some((index, provisional)) = self.provisional()
            && provisional == rev
        {
            let attempt = self.attempt(&self.moves[index].at.clone()).unwrap_or(1) + 1;
            self.at[index] = MoveState::Waiting { attempt };
        }
        self.head = head;
        if let Some(rollback) = &mut self.rollback {
            rollback.reverting = None;
        }
    }

    fn restore(&mut self, next: impl FnOnce(&Restore) -> Restore) {
        if let Some(rollback) = &mut self.rollback {
            rollback.restore = next(&rollback.restore);
        }
    }

    fn settle(&mut self, phase: &PhaseId, step: &StepId, to: Settled) {
        let undo = self.rollback.iter_mut().flat_map(|rollback| &mut rollback.undo);
        for (undo, settled) in undo {
            if undo.phase == *phase && undo.step.id == *step {
                *settled = to;
            }
        }
    }

    fn fail(&mut self, why: String) {
        self.failed.get_or_insert(why);
    }

    fn see(&mut self, anchor: Option<&Anchor>) {
        if let Some(anchor) = anchor {
            self.anchor = Some(anchor.clone());
        }
    }
}
