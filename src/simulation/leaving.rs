//! How a process comes, holds its lease, and goes: by itself or killed.

use super::mutants::Switch;
use super::network::{Answered, Request, What};
use super::operator::{Conversation, Last, Ledger, Operator, Outcome2, Process, Stage, Stop};
use super::process::{Flow, TIMEOUT};
use super::scenario;
use super::witness::TTL;
use super::world::{Event, World};
use crate::control::wire::{Fence, ProblemCode};
use crate::engine::decide::Next;
use crate::engine::protocol::{Answer, Call, Protocol};
use crate::ledger::fact::{Fact, Outcome};

impl World {
    /// A person types a command.
    pub(super) fn comes(&mut self, at: usize) {
        let operator = &self.operators[at];
        if operator.process.is_some() || operator.last.is_some() {
            return;
        }
        let faulty = self.kills > 0;
        if faulty && self.rng.one_in(40) {
            self.tell(|| format!("operator {at} goes away for good"));
            self.operators[at].last = Some(Last::Gone);
            return;
        }
        let undo = self.rng.one_in(12);
        let operator = &mut self.operators[at];
        operator.incarnation += 1;
        let open = operator.runs.last().map(Ledger::state).filter(|state| state.ended.is_none());
        let conversation = if let Some(state) = open {
            Conversation::Run(Box::new(Protocol::new(state, 1)))
        } else {
            operator.begun += 1;
            Conversation::Opening { run: scenario::run_id(at, operator.begun) }
        };
        operator.process = Some(Process {
            conversation,
            stage: Stage::Free,
            lease: None,
            arrived: false,
            agreed: false,
            asked_to_stop: false,
            asked_to_undo: undo,
            leaving: None,
        });
        let incarnation = operator.incarnation;
        if faulty && self.rng.one_in(3) {
            let when = self.now + self.rng.within(0, 20_000);
            self.at(when, Event::Kill { operator: at, incarnation });
        }
        if self.rng.one_in(12) {
            let when = self.now + self.rng.within(0, 15_000);
            self.at(when, Event::Signal { operator: at, incarnation });
        }
        self.tell(|| format!("operator {at} comes{}", if undo { ", to undo" } else { "" }));
        self.go_on(at);
    }

    /// The process is gone at once; its disk stays, up to a few rows where that rule is missing.
    pub(super) fn kill(&mut self, at: usize) {
        if self.operators[at].process.take().is_none() {
            return;
        }
        self.tell(|| format!("operator {at} is killed"));
        self.operators[at].generation += 1;
        let lost = if self.has(Switch::LosesRows) { self.rng.within(0, 3) } else { 0 };
        if let Some(ledger) = self.operators[at].runs.last_mut() {
            let kept = ledger.facts.len().saturating_sub(usize::try_from(lost).unwrap_or(0));
            ledger.facts.truncate(kept.min(ledger.durable));
            ledger.durable = ledger.facts.len();
        }
        self.return_later(at);
    }

    pub(super) fn signal(&mut self, at: usize, incarnation: u64) {
        if self.operators[at].incarnation == incarnation
            && let Some(process) = &mut self.operators[at].process
        {
            process.asked_to_stop = true;
            let soaking = matches!(process.stage, Stage::Busy { next: Next::Soak { .. }, .. });
            if soaking {
                process.stage = Stage::Free;
                self.go_on(at);
            }
        }
    }

    /// The lease is to be renewed.
    pub(super) fn renewal(&mut self, at: usize, incarnation: u64, round: u64) {
        if self.operators[at].incarnation != incarnation {
            return;
        }
        let Some(process) = &mut self.operators[at].process else { return };
        let releasing = matches!(process.stage, Stage::Releasing { .. });
        let Some(lease) = process.lease.as_mut().filter(|lease| lease.round == round) else {
            return;
        };
        if lease.refused || releasing {
            return;
        }
        lease.round += 1;
        let (fence, round) = (lease.fence.clone(), lease.round);
        let id = self.number();
        let now = self.now;
        let call = Call::Acquire { min_token: 0, last_anchor: None };
        let request = Request { fence: Some(fence), ..self.request(at, id, &call) };
        self.send(&request);
        if let Some(lease) = &mut self.process(at).lease {
            lease.asked = Some((id, now));
        }
        // Without an answer, the next one goes out after the timeout and a pause.
        let when = now + TIMEOUT + TTL / 3;
        self.at(when, Event::Renewal { operator: at, incarnation, round });
    }

    /// A renewal was answered.
    pub(super) fn kept(&mut self, at: usize, asked: u64, result: &Answered) {
        let incarnation = self.operators[at].incarnation;
        let now = self.now;
        let Some(lease) = &mut self.process(at).lease else { return };
        lease.asked = None;
        match result {
            Answered::Fine => lease.agreed = asked,
            Answered::Answer(answer) => {
                if let Answer::Refused(problem) = &**answer {
                    lease.refused |= problem.status < 500;
                }
            }
            Answered::Unreachable | Answered::Guards(_) => {}
        }
        if lease.refused {
            let watching = matches!(
                self.process(at).stage,
                Stage::Busy { next: Next::Soak { .. } | Next::Local { .. }, .. }
            );
            if watching {
                self.process(at).stage = Stage::Free;
                self.go_on(at);
            }
            return;
        }
        lease.round += 1;
        let round = lease.round;
        self.at(now + TTL / 3, Event::Renewal { operator: at, incarnation, round });
    }

    /// Makes the stop safe and puts it on record.
    pub(super) fn leave(&mut self, at: usize, stop: Stop) -> Flow {
        self.tell(|| format!("operator {at} leaves: {stop:?}"));
        let opening = matches!(self.process(at).conversation, Conversation::Opening { .. });
        if let Stop::Refused(problem) = &stop
            && !opening
            && !matches!(problem.code, ProblemCode::LeaseHeld | ProblemCode::GuardsArmed)
        {
            let problem = problem.clone();
            self.witness.refused(&problem);
        }
        let process = self.process(at);
        let taking_back = match (&stop, &mut process.conversation) {
            (Stop::Interrupted | Stop::Paused, Conversation::Run(protocol)) => protocol.take_back(),
            _ => false,
        };
        if taking_back {
            process.leaving = Some(stop);
            return Flow::Again;
        }
        let on_record = matches!(process.conversation, Conversation::Run(_))
            && matches!(stop, Stop::Interrupted | Stop::Paused | Stop::Halted(..));
        if on_record {
            return self.left(at, stop);
        }
        process.leaving = Some(stop);
        self.release(at)
    }

    pub(super) fn left(&mut self, at: usize, stop: Stop) -> Flow {
        let fact = match &stop {
            Stop::Halted(reason, detail) => {
                Some(Fact::Halted { reason: *reason, detail: detail.clone() })
            }
            Stop::Interrupted | Stop::Paused => Some(Fact::Interrupted { by: "SIGINT".to_owned() }),
            _ => None,
        };
        if let Some(fact) = fact
            && self.record(at, &fact) == Flow::Blocked
        {
            return Flow::Blocked;
        }
        self.process(at).leaving = Some(stop);
        self.release(at)
    }

    /// Gives the lease back, asking only once.
    pub(super) fn release(&mut self, at: usize) -> Flow {
        let Some(lease) = &self.process(at).lease else {
            self.gone(at);
            return Flow::Blocked;
        };
        let fence: Fence = lease.fence.clone();
        let id = self.number();
        let request = Request { id, operator: at, fence: Some(fence), what: What::Release };
        self.send(&request);
        self.process(at).stage = Stage::Releasing { id };
        self.alarm_in(at, TIMEOUT)
    }

    /// The process has ended by itself.
    pub(super) fn gone(&mut self, at: usize) {
        let Some(process) = self.operators[at].process.take() else { return };
        self.operators[at].generation += 1;
        if let Some(Stop::Left(soaks)) = process.leaving {
            self.tell(|| format!("operator {at} leaves a soak"));
            let late = if self.rng.one_in(2) { 1_500 } else { 60_000 };
            let when = self.now + soaks + self.rng.within(0, late);
            return self.at(when, Event::Return { operator: at });
        }
        let last = match process.leaving {
            Some(Stop::Ended(outcome)) => {
                let operator: &mut Operator = &mut self.operators[at];
                let again = operator.runs.len() == 1
                    && operator.changes_mind
                    && matches!(outcome, Outcome::Done | Outcome::Held);
                let undone = operator.runs.len() > 1 && outcome == Outcome::Done;
                match (again, undone) {
                    (true, _) => None,
                    (_, true) => Some(Last::Ended(Outcome2::Undone)),
                    _ => Some(Last::Ended(outcome.into())),
                }
            }
            Some(Stop::Halted(reason, _)) => Some(Last::Halted(reason.into())),
            _ => None,
        };
        self.tell(|| format!("operator {at} is gone, {last:?}"));
        self.operators[at].last = last;
        if last.is_none() {
            self.return_later(at);
        }
    }

    pub(super) fn return_later(&mut self, at: usize) {
        let pause = if self.rng.one_in(4) { 45_000 } else { 6_000 };
        let when = self.now + self.rng.within(100, pause);
        self.at(when, Event::Return { operator: at });
    }
}
