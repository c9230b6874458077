//! Soaks: what others did meanwhile, and soaks that are left to the orchestrator.

use super::network::{Answered, Request, What};
use super::operator::{Stage, Stop};
use super::process::{Flow, LONGEST_PAUSE, TIMEOUT, millis};
use super::world::World;
use crate::control::armed::{Armed, Ask};
use crate::control::wire::State;
use crate::engine::decide::Next;
use crate::engine::protocol::Answer;
use crate::engine::state::MoveState;
use crate::ledger::fact::Fact;

/// What others did to the run while nobody here looked.
pub(super) enum Elsewhere {
    Nothing,
    Confirm,
    /// The process does something else now.
    Gone,
}

impl World {
    /// Leaves a soak to the orchestrator, or ends it when its time has passed there.
    pub(super) fn part(&mut self, at: usize, index: usize) -> Flow {
        let began = self.now;
        self.part_on(at, index, None, began)
    }

    pub(super) fn part_on(
        &mut self,
        at: usize,
        index: usize,
        there: Option<Box<State>>,
        began: u64,
    ) -> Flow {
        let id = self.number();
        let what = if there.is_none() { What::State } else { What::Guards };
        self.send(&Request { id, operator: at, fence: None, what });
        self.process(at).stage = Stage::Parting { index, there, id, began };
        self.alarm_in(at, TIMEOUT)
    }

    /// An answer about what others did meanwhile.
    pub(super) fn looked(&mut self, at: usize, result: &Answered) {
        self.operators[at].generation += 1;
        let stage = std::mem::replace(&mut self.process(at).stage, Stage::Free);
        match (stage, result) {
            (Stage::Looking { next, until, breach, .. }, Answered::Guards(armed)) => {
                let Next::Soak { index } = next else { unreachable!("only a soak looks") };
                match self.heed(at, armed.as_deref()) {
                    Elsewhere::Nothing => {
                        self.process(at).stage = Stage::Busy { next, until, breach };
                        self.look_again(at, until);
                    }
                    Elsewhere::Confirm => self.finished(at, &Next::Soak { index }, false),
                    Elsewhere::Gone => {}
                }
            }
            (Stage::Looking { next, until, breach, .. }, _) => {
                self.process(at).stage = Stage::Busy { next, until, breach };
                self.look_again(at, until);
            }
            (Stage::Parting { index, began, .. }, Answered::Answer(answer)) => {
                let Answer::State(there) = &**answer else { return };
                self.left_soak(at, index, there.clone(), began);
            }
            (Stage::Parting { index, there: Some(there), .. }, Answered::Guards(armed)) => {
                match self.heed(at, armed.as_deref()) {
                    Elsewhere::Nothing => self.parted(at, index, &there),
                    Elsewhere::Confirm => self.finished(at, &Next::Soak { index }, false),
                    Elsewhere::Gone => {}
                }
            }
            (Stage::Parting { index, there, began, .. }, _) => {
                // Nobody is there; it is asked again after a pause.
                let id = 0;
                self.process(at).stage = Stage::Parting { index, there, id, began };
                self.alarm_in(at, LONGEST_PAUSE);
            }
            _ => {}
        }
        self.go_on(at);
    }

    /// Whether the orchestrator knows already when the soak began.
    pub(super) fn began_at(&mut self, at: usize, index: usize, there: &State) -> Option<u64> {
        let state = &self.protocol(at).state;
        let left = state.left.as_ref()?;
        let rev = match &state.at[index] {
            MoveState::Applied { rev, .. } => Some(*rev),
            _ => None,
        };
        let same = left.at == state.moves[index].at && left.rev == rev && left.life == there.life;
        same.then_some(left.up_ms)
    }

    pub(super) fn left_soak(&mut self, at: usize, index: usize, there: Box<State>, began: u64) {
        if self.began_at(at, index, &there).is_none() {
            let state = &self.protocol(at).state;
            let rev = match &state.at[index] {
                MoveState::Applied { rev, .. } => Some(*rev),
                _ => None,
            };
            let fact = Fact::SoakLeft {
                at: state.moves[index].at.clone(),
                rev,
                soak_ms: millis(state.moves[index].soak),
                life: there.life,
                up_ms: there.up_ms,
            };
            if self.record(at, &fact) == Flow::Blocked {
                return;
            }
        }
        self.part_on(at, index, Some(there), began);
    }

    pub(super) fn parted(&mut self, at: usize, index: usize, there: &State) {
        let began = self.began_at(at, index, there).unwrap_or(there.up_ms);
        let total = millis(self.protocol(at).state.moves[index].soak);
        let soaks = total.saturating_sub(there.up_ms.saturating_sub(began));
        if soaks == 0 {
            self.finished(at, &Next::Soak { index }, false);
        } else {
            self.leave(at, Stop::Left(soaks));
        }
    }

    /// Does what was asked elsewhere, or notices that the phase was taken back.
    pub(super) fn heed(&mut self, at: usize, armed: Option<&Armed>) -> Elsewhere {
        let run = self.run_of(at);
        let Some(armed) = armed.filter(|armed| armed.run == run) else { return Elsewhere::Nothing };
        if armed.tripped.is_some() {
            self.protocol(at).waited();
            return Elsewhere::Gone;
        }
        let Some(asked) = &armed.asked else { return Elsewhere::Nothing };
        let fact = Fact::Heeded { ask: asked.ask, by: String::new(), reason: None };
        if self.record(at, &fact) == Flow::Blocked {
            return Elsewhere::Gone;
        }
        if asked.ask == Ask::Confirm {
            return Elsewhere::Confirm;
        }
        self.leave(at, Stop::Paused);
        Elsewhere::Gone
    }
}
