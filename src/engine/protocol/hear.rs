//! Answers: what is to be recorded, or looked at again.

use super::{Answer, Call, Mode, Problem, ProblemCode, Protocol, Want};
use crate::control::wire::State;
use crate::engine::decide::{Next, decide};
use crate::engine::recover::{Finding, open_key, recover};
use crate::ledger::fact::{Fact, HaltReason};

impl Protocol {
    /// The answer to what [`Protocol::next`] wanted sent. An answer to anything else is void.
    pub fn heard(&mut self, answer: Answer) {
        let Want::Send(call) = self.next() else { return };
        self.mode = match (call, answer) {
            (call, Answer::Refused(problem)) => self.refused(&call, problem),
            (Call::Acquire { .. }, Answer::Granted { fence, anchor }) => {
                Mode::Granted { fence, anchor, known: false }
            }
            (Call::State, Answer::State(there)) => self.seen(there),
            (Call::Operation { .. }, Answer::Operation(op)) => {
                match std::mem::replace(&mut self.mode, Mode::Looking) {
                    Mode::Asking { there, .. } => {
                        Mode::Found(recover(&self.state, op.as_ref(), &there))
                    }
                    other => other,
                }
            }
            (Call::Apply { .. } | Call::Confirm { .. }, Answer::Changed { rev, anchor }) => {
                match self.accepted(rev, anchor) {
                    Some(fact) => Mode::Recording([fact].into()),
                    None => Mode::Looking,
                }
            }
            (Call::Revert { rev, .. }, Answer::Changed { rev: head, .. }) => {
                Mode::Recording([Fact::Reverted { rev, head }].into())
            }
            (_, Answer::Replayed) => Mode::Looking,
            (Call::Arm(_), Answer::Armed { target, anchor }) => {
                Mode::Recording([Fact::GuardsArmed { target, anchor }].into())
            }
            (Call::Disarm { .. }, Answer::Disarmed) => {
                Mode::Recording([Fact::GuardsDisarmed].into())
            }
            // An answer to another question.
            (_, _) => return,
        };
    }

    /// What an accepted change or confirmation means to the facts.
    fn accepted(&self, rev: u64, anchor: Option<crate::control::wire::Anchor>) -> Option<Fact> {
        let at = |index: usize| self.state.moves[index].at.clone();
        match decide(&self.state) {
            Next::SendChange { index } => Some(Fact::ChangeApplied { at: at(index), rev, anchor }),
            Next::SendConfirm { index } => {
                Some(Fact::ChangeConfirmed { at: at(index), rev, anchor })
            }
            Next::SendRestore => Some(Fact::RestoreApplied { rev }),
            Next::SendRestoreConfirm => Some(Fact::RestoreConfirmed { rev, anchor }),
            _ => None,
        }
    }

    /// Where the orchestrator stands.
    fn seen(&mut self, there: Box<State>) -> Mode {
        match &self.mode {
            Mode::Estranged { detail } => Mode::Stuck(Box::new(match self.stranger(&there) {
                Some(want) => want,
                None => Want::Halt { reason: HaltReason::StateRegression, detail: detail.clone() },
            })),
            Mode::Looking => match open_key(&self.state) {
                Some(key) => Mode::Asking { key: key.to_owned(), there },
                None => Mode::Found(recover(&self.state, None, &there)),
            },
            Mode::Basing { index, attempt } => {
                // A change by somebody else, or by the orchestrator itself, shows here.
                match recover(&self.state, None, &there) {
                    Finding::GoOn => {
                        let fact = self.change_intended(*index, *attempt, &there);
                        Mode::Recording([fact].into())
                    }
                    finding => Mode::Found(finding),
                }
            }
            _ => match decide(&self.state) {
                Next::BeginRestore { attempt } => {
                    if let Some(provisional) = &there.provisional {
                        return Mode::Found(Finding::Wait { rev: provisional.rev });
                    }
                    let fact = self.restore_intended(attempt, &there);
                    Mode::Recording([fact].into())
                }
                Next::ReadBack => Mode::Recording([self.read_back(&there)].into()),
                _ => Mode::Looking,
            },
        }
    }

    fn stranger(&self, there: &State) -> Option<Want> {
        match recover(&self.state, None, there) {
            Finding::Halt { reason: HaltReason::WrongOrchestrator, detail } => {
                Some(Want::Halt { reason: HaltReason::WrongOrchestrator, detail })
            }
            _ => None,
        }
    }

    /// A refusal is never improvised around: what can be known is found out, and the facts decide
    /// again.
    fn refused(&self, call: &Call, problem: Problem) -> Mode {
        let stuck = |want| Mode::Stuck(Box::new(want));
        match (problem.code, call) {
            (ProblemCode::StateRegression, Call::Acquire { .. }) => {
                Mode::Estranged { detail: problem.detail }
            }
            (ProblemCode::StaleFence, _) => Mode::Unleased,
            (ProblemCode::KeyReused, _) => {
                let detail = format!("{}: {}", problem.title, problem.detail);
                stuck(Want::Halt { reason: HaltReason::Tampered, detail })
            }
            (ProblemCode::InvalidConfig, Call::Apply { .. }) => match decide(&self.state) {
                Next::SendChange { index } => {
                    let at = self.state.moves[index].at.clone();
                    let why = format!("{}: {}", problem.title, problem.detail);
                    let void = Fact::ChangeVoid { at: at.clone(), why: why.clone() };
                    Mode::Recording([void, Fact::StepFailed { at, why }].into())
                }
                _ => stuck(Want::GiveUp(problem)),
            },
            (ProblemCode::Tripped, Call::Apply { .. })
                if self.state.taken_back && decide(&self.state) == Next::SendRestore =>
            {
                Mode::Recording([Fact::RestoreVoid { why: problem.detail }].into())
            }
            (
                ProblemCode::HeadMoved
                | ProblemCode::ProvisionalExists
                | ProblemCode::NotProvisional
                | ProblemCode::Tripped,
                _,
            ) => Mode::Looking,
            _ => stuck(Want::GiveUp(problem)),
        }
    }
}
