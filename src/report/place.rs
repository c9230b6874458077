//! Where a run stands, as a fold over its facts: what it does now, and how many parts are behind
//! it.
//!
//! This is for showing only. What may happen next is decided by the engine's own state; here, a
//! fact that makes no sense changes nothing.

use std::time::Duration;

use super::sentence::{halt_reason, outcome_words};
use super::words;
use crate::clock::{Tempo, WallMs};
use crate::control::config::Config;
use crate::ids::{RunId, StepId};
use crate::ledger::fact::{At, Fact, HaltReason, Outcome, Recorded, RunBegun, RunKind};
use crate::plan::model::{Action, Phase, Step};
use crate::units::Percent;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub run: Option<RunId>,
    pub begun: RunBegun,
    pub begun_ms: WallMs,
    /// When the last fact was recorded.
    pub last_ms: WallMs,
    /// The step that was begun last.
    pub at: Option<At>,
    /// When that part was begun.
    pub at_ms: WallMs,
    /// The newest revision that the run knows of.
    pub rev: u64,
    /// The newest revision that is confirmed.
    pub confirmed: u64,
    /// The revision that is reverted to [`Self::confirmed`] unless it is confirmed.
    pub provisional: Option<u64>,
    /// How long after a soak a detached change waits to be confirmed.
    pub grace: Option<Duration>,
    /// Parts of steps that are confirmed or done.
    pub parts_done: usize,
    /// Why the run undoes what was done, if it does.
    pub rollback: Option<String>,
    pub doing: Doing,
}

/// What a run does.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    /// Between two steps, or before the first one.
    Between,
    BackingUp,
    /// A step, or a part of one, is on its way.
    Changing,
    Soaking {
        begun_ms: WallMs,
        /// In real time.
        lasts: Duration,
    },
    /// Soaking without a process; the orchestrator watches.
    Left {
        begun_ms: WallMs,
        lasts: Duration,
    },
    AwaitingApproval {
        prompt: String,
    },
    RollingBack,
    Interrupted {
        by: String,
    },
    Halted {
        reason: HaltReason,
        detail: String,
    },
    Ended {
        outcome: Outcome,
        summary: String,
    },
}

impl Place {
    /// The place after all facts of one run, oldest first; `None` if the first is not its begin.
    pub fn of(facts: &[Recorded]) -> Option<Self> {
        let (first, rest) = facts.split_first()?;
        let mut place = Self::begin(first)?;
        for recorded in rest {
            place.see(recorded);
        }
        Some(place)
    }

    /// The place after the first fact of a run.
    pub fn begin(first: &Recorded) -> Option<Self> {
        let Fact::RunBegun(begun) = &first.fact else { return None };
        let (rollback, doing) = match begun.kind {
            RunKind::Migrate => (None, Doing::Between),
            RunKind::Rollback { .. } => (Some("requested".to_owned()), Doing::RollingBack),
        };
        Some(Self {
            run: first.run.clone(),
            begun_ms: first.at_ms,
            last_ms: first.at_ms,
            at: None,
            at_ms: first.at_ms,
            rev: begun.base.rev,
            confirmed: begun.base.rev,
            provisional: None,
            grace: None,
            parts_done: 0,
            rollback,
            doing,
            begun: (**begun).clone(),
        })
    }

    /// Takes in one more fact.
    pub fn see(&mut self, recorded: &Recorded) {
        self.last_ms = recorded.at_ms;
        self.see_revision(&recorded.fact);
        if let Fact::Detach { grace_ms } = &recorded.fact {
            self.grace = grace_ms.map(Duration::from_millis);
        }
        if let Fact::RollbackBegun { cause } = &recorded.fact {
            self.rollback = Some(cause.clone());
        }
        if let Some(at) = position(&recorded.fact)
            && self.at.as_ref() != Some(at)
        {
            self.at = Some(at.clone());
            self.at_ms = recorded.at_ms;
        }
        if let Some(doing) = self.next(recorded) {
            self.doing = doing;
        }
        if let Some(done) = self.done_after(&recorded.fact) {
            self.parts_done = done;
        }
    }

    /// The fewest words that tell where it stands: `ctx 2/4 pool-ramp 3/4 soaking`.
    pub fn segment(&self) -> String {
        let word = match &self.doing {
            Doing::Halted { .. } => "HALTED",
            Doing::Ended { .. } => "ended",
            Doing::RollingBack => "ROLLING BACK",
            _ if self.rollback.is_some() => "ROLLING BACK",
            Doing::Between => "running",
            Doing::BackingUp => "backing up",
            Doing::Changing => "changing",
            Doing::Soaking { .. } => "soaking",
            Doing::Left { .. } => "soaking, detached",
            Doing::AwaitingApproval { .. } => "awaits approval",
            Doing::Interrupted { .. } => "interrupted",
        };
        let step = self.at.as_ref().map(|at| format!(" {at}")).unwrap_or_default();
        format!("ctx {}/{}{step} {word}", self.phase().number, self.begun.phases)
    }

    /// Whether the run is over.
    pub fn is_ended(&self) -> bool {
        matches!(self.doing, Doing::Ended { .. })
    }

    /// The phase that the run is about.
    pub fn phase(&self) -> &Phase {
        &self.begun.phase
    }

    /// How many parts the steps of the phase have together.
    pub fn parts(&self) -> usize {
        self.phase().steps.iter().map(Step::parts).sum()
    }

    /// The step at hand and its number, from 1.
    pub fn step(&self) -> Option<(usize, &Step)> {
        let id = &self.at.as_ref()?.step;
        let index = self.phase().steps.iter().position(|step| step.id == *id)?;
        Some((index + 1, &self.phase().steps[index]))
    }

    /// The share of traffic that the part at hand sets, in words, such as `25%`.
    pub fn weight(&self) -> Option<String> {
        let part = usize::try_from(self.at.as_ref()?.part).ok()?;
        match &self.step()?.1.action {
            Action::Ramp { to, .. } | Action::Canary { to, .. } => {
                to.get(part.checked_sub(1)?).map(ToString::to_string)
            }
            _ => None,
        }
    }

    /// The same share as `config` has it.
    pub fn weight_in(&self, config: &Config) -> Option<String> {
        let share = match &self.step()?.1.action {
            Action::Ramp { flag, .. } => {
                let flag = config.flags.get(flag).filter(|flag| flag.enabled);
                flag.map_or(Percent::ZERO, |flag| flag.percentage)
            }
            Action::Canary { upstream, .. } => {
                let canary = config.compared().filter(|it| it.canary == *upstream);
                canary.map_or(Percent::ZERO, |canary| canary.weight)
            }
            _ => return None,
        };
        Some(share.to_string())
    }

    /// How long all soaks that are left take together, in real time; `None` where the run does not
    /// go forward by itself.
    pub fn soaks_left(&self, now_ms: WallMs) -> Option<Duration> {
        let tempo = Tempo::new(self.begun.tempo).unwrap_or_default();
        let soaks = |step: &Step, parts: usize| {
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            tempo.to_real(step.soak).saturating_mul(parts)
        };
        if self.rollback.is_some() {
            return None;
        }
        let at_hand = self.step().map(|(number, step)| (number, step, tempo.to_real(step.soak)));
        let now = match self.doing {
            Doing::Soaking { begun_ms, lasts } | Doing::Left { begun_ms, lasts } => {
                lasts.saturating_sub(words::between(begun_ms, now_ms))
            }
            Doing::Changing => at_hand.map_or(Duration::ZERO, |(.., soak)| soak),
            Doing::Between | Doing::BackingUp => Duration::ZERO,
            Doing::AwaitingApproval { .. }
            | Doing::RollingBack
            | Doing::Interrupted { .. }
            | Doing::Halted { .. }
            | Doing::Ended { .. } => return None,
        };
        let done = at_hand.map_or(0, |(number, ..)| number);
        let parts = self.at.as_ref().map_or(0, |at| at.parts.saturating_sub(at.part));
        let rest = at_hand.map_or(Duration::ZERO, |(_, step, _)| {
            soaks(step, usize::try_from(parts).unwrap_or(0))
        });
        let later = self.phase().steps[done..].iter().map(|step| soaks(step, step.parts()));
        Some(now + rest + later.sum::<Duration>())
    }

    /// What the run does, in words.
    pub fn activity(&self) -> String {
        match &self.doing {
            Doing::Between => "between two steps".to_owned(),
            Doing::BackingUp => "takes a backup".to_owned(),
            Doing::Changing => "does the step".to_owned(),
            Doing::Soaking { lasts, .. } => format!("soaks for {}", words::span(*lasts)),
            Doing::Left { .. } => {
                let until = self.left_until().map_or(self.last_ms, |(soaks, _)| soaks);
                format!("soaks until {}, without a process", words::time_of_day(until))
            }
            Doing::AwaitingApproval { prompt } => format!("waits for approval: {prompt}"),
            Doing::RollingBack => {
                format!("rolls back: {}", self.rollback.as_deref().unwrap_or("requested"))
            }
            Doing::Interrupted { by } => format!("interrupted by {by}; nobody drives it"),
            Doing::Halted { reason, .. } => format!("halted: {}", halt_reason(*reason)),
            Doing::Ended { outcome, .. } => outcome_words(*outcome).to_owned(),
        }
    }

    /// When a soak that was left to the orchestrator ends, and when its change reverts; the
    /// latter only where there is one.
    pub fn left_until(&self) -> Option<(WallMs, Option<WallMs>)> {
        let Doing::Left { begun_ms, lasts } = self.doing else { return None };
        let after = |by: Duration| {
            begun_ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
        };
        let reverts = self.provisional.and(self.grace);
        Some((after(lasts), reverts.map(|grace| after(lasts.saturating_add(grace)))))
    }

    fn see_revision(&mut self, fact: &Fact) {
        match fact {
            Fact::ChangeApplied { rev, .. } | Fact::RestoreApplied { rev } => {
                (self.rev, self.provisional) = (*rev, Some(*rev));
            }
            Fact::ChangeConfirmed { rev, .. }
            | Fact::RestoreConfirmed { rev, .. }
            | Fact::Reverted { head: rev, .. } => {
                (self.rev, self.confirmed, self.provisional) = (*rev, *rev, None);
            }
            Fact::ChangeVoid { .. } | Fact::RestoreVoid { .. } => self.provisional = None,
            Fact::ReadBack { rev, .. } => self.rev = *rev,
            _ => {}
        }
    }

    fn next(&self, recorded: &Recorded) -> Option<Doing> {
        let undoing = self.rollback.is_some();
        Some(match &recorded.fact {
            Fact::BackupIntended { .. } if !undoing => Doing::BackingUp,
            Fact::BackupDone { .. }
            | Fact::ChangeConfirmed { .. }
            | Fact::LocalDone { .. }
            | Fact::SoakEnded { .. }
            | Fact::Approved { .. }
                if !undoing =>
            {
                Doing::Between
            }
            // A run that was interrupted or halted goes on as soon as it has the lease again.
            Fact::LeaseTaken { .. } => match self.doing {
                Doing::Interrupted { .. } | Doing::Halted { .. } if undoing => Doing::RollingBack,
                Doing::Interrupted { .. } | Doing::Halted { .. } => Doing::Between,
                _ => return None,
            },
            Fact::ChangeIntended { .. }
            | Fact::ChangeApplied { .. }
            | Fact::LocalIntended { .. } => Doing::Changing,
            Fact::SoakBegun { real_ms, .. } => {
                Doing::Soaking { begun_ms: recorded.at_ms, lasts: Duration::from_millis(*real_ms) }
            }
            Fact::SoakLeft { soak_ms, .. } => {
                Doing::Left { begun_ms: recorded.at_ms, lasts: Duration::from_millis(*soak_ms) }
            }
            Fact::ApprovalAsked { prompt, .. } => {
                Doing::AwaitingApproval { prompt: prompt.clone() }
            }
            Fact::RollbackBegun { .. } => Doing::RollingBack,
            Fact::Interrupted { by } => Doing::Interrupted { by: by.clone() },
            Fact::Halted { reason, detail } => {
                Doing::Halted { reason: *reason, detail: detail.clone() }
            }
            Fact::RunEnded { outcome, summary } => {
                Doing::Ended { outcome: *outcome, summary: summary.clone() }
            }
            _ => return None,
        })
    }

    /// How many parts are done once this fact is there; parts are done in order.
    fn done_after(&self, fact: &Fact) -> Option<usize> {
        let at = position(fact)?;
        let before = self.parts_before(&at.step)?;
        let step = self.phase().steps.iter().find(|step| step.id == at.step)?;
        let last = match fact {
            Fact::ChangeConfirmed { .. } => true,
            Fact::LocalDone { .. } | Fact::Approved { .. } => step.soak.is_zero(),
            Fact::SoakEnded { .. } => !step.is_configuration(),
            _ => false,
        };
        let part = usize::try_from(at.part).ok()?;
        Some(before + if last { part } else { part.saturating_sub(1) })
    }

    fn parts_before(&self, id: &StepId) -> Option<usize> {
        let index = self.phase().steps.iter().position(|step| step.id == *id)?;
        Some(self.phase().steps[..index].iter().map(Step::parts).sum())
    }
}

/// The step that a fact is about, where it moves the run forward.
fn position(fact: &Fact) -> Option<&At> {
    match fact {
        Fact::ChangeIntended { at, .. }
        | Fact::ChangeApplied { at, .. }
        | Fact::ConfirmIntended { at, .. }
        | Fact::ChangeConfirmed { at, .. }
        | Fact::LocalIntended { at }
        | Fact::LocalDone { at, .. }
        | Fact::SoakBegun { at, .. }
        | Fact::SoakEnded { at, .. }
        | Fact::SoakLeft { at, .. }
        | Fact::ApprovalAsked { at, .. }
        | Fact::Approved { at, .. } => Some(at),
        _ => None,
    }
}
