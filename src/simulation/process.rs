//! A command line at work: what the executor does with a ledger and a socket, done in virtual
//! time.

use std::rc::Rc;
use std::time::Duration;

use super::mutants::Switch;
use super::network::{Answered, Reply, Request, What};
use super::operator::{Conversation, Lease, Ledger, Process, Stage, Stop};
use super::scenario;
use super::witness::TTL;
use super::world::{Event, World};
use crate::control::wire::{LeaseRequest, State};
use crate::engine::decide::Next;
use crate::engine::protocol::{Answer, Call, Protocol, Want};
use crate::ids::RunId;
use crate::ledger::fact::Fact;

/// How long the client waits for an answer.
pub(super) const TIMEOUT: u64 = 10_000;
/// As the executor has them.
pub(super) const PATIENCE: u64 = 60_000;
const ROLLBACK_PATIENCE: u64 = 600_000;
const FIRST_PATIENCE: u64 = 350;
const PAUSE: u64 = 50;
pub(super) const LONGEST_PAUSE: u64 = 2_000;
const WAIT: u64 = 500;
const ASKING: u64 = 1_000;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a small number")
}

/// Whether there is something to do right away.
#[derive(PartialEq)]
pub(super) enum Flow {
    Again,
    Blocked,
}

impl World {
    pub(super) fn process(&mut self, at: usize) -> &mut Process {
        self.operators[at].process.as_mut().expect("it is running")
    }

    /// Does one thing after the other, until something has to be waited for.
    pub(super) fn go_on(&mut self, at: usize) {
        while self.operators[at].process.is_some()
            && self.witness.violation.is_none()
            && self.step(at) == Flow::Again
        {}
    }

    /// Whether changes must not be sent any more.
    fn is_lost(&self, at: usize) -> bool {
        let lease = self.operators[at].process.as_ref().and_then(|p| p.lease.as_ref());
        lease.is_some_and(|lease| {
            let silent = self.now - lease.agreed > TTL * 2 / 3;
            lease.refused || (silent && !self.has(Switch::NoSelfFence))
        })
    }

    fn step(&mut self, at: usize) -> Flow {
        if !matches!(self.process(at).stage, Stage::Free) {
            return Flow::Blocked;
        }
        let lost = self.is_lost(at);
        let process = self.process(at);
        let protocol = match &mut process.conversation {
            Conversation::Run(protocol) => protocol,
            Conversation::Opening { .. } => {
                let call = match process.lease {
                    None => Call::Acquire { min_token: 0, last_anchor: None },
                    Some(_) => Call::State,
                };
                return self.ask(at, call, None);
            }
        };
        if lost {
            process.lease = None;
            protocol.lease_lost();
        }
        let want = protocol.next();
        if let Some(stop) = process.leaving.clone() {
            // What is provisional is being taken back, asking only once.
            return match want {
                Want::Record(fact) if protocol.is_taking_back() => self.record(at, &fact),
                Want::Send(call) if protocol.is_taking_back() => self.ask(at, call, None),
                _ => self.left(at, stop),
            };
        }
        if !process.agreed {
            if !protocol.is_settled() {
                return self.converse(at, want);
            }
            process.agreed = true;
            let news = protocol.state.rollback.is_none() && protocol.state.ended.is_none();
            if process.asked_to_undo && news {
                let cause = "asked for by somebody".to_owned();
                return self.record(at, &Fact::RollbackBegun { cause });
            }
            let detach = protocol.state.detach.map(millis);
            let grace_ms = self.operators[at].grace;
            if detach != grace_ms && news {
                return self.record(at, &Fact::Detach { grace_ms });
            }
            return Flow::Again;
        }
        let ending = matches!(want, Want::Act(Next::Ended(_) | Next::End { .. }));
        if process.asked_to_stop && protocol.state.rollback.is_none() && !ending {
            return self.leave(at, Stop::Interrupted);
        }
        self.converse(at, want)
    }

    fn converse(&mut self, at: usize, want: Want) -> Flow {
        match want {
            Want::Record(fact) => self.record(at, &fact),
            Want::Send(call) => self.ask(at, call, None),
            Want::Wait { .. } => {
                self.process(at).stage = Stage::Waiting;
                self.alarm_in(at, WAIT)
            }
            Want::Act(next) => self.act(at, next),
            Want::Halt { reason, detail } => self.leave(at, Stop::Halted(reason, detail)),
            Want::GiveUp(problem) => self.leave(at, Stop::Refused(Box::new(problem))),
        }
    }

    /// Does what only the run itself can do.
    fn act(&mut self, at: usize, next: Next) -> Flow {
        let protocol = self.protocol(at);
        let place = |index: usize| protocol.state.moves[index].at.clone();
        match next {
            Next::Begin { index, attempt } => {
                self.protocol(at).begin_change(index, attempt);
                Flow::Again
            }
            Next::Soak { index } => {
                let soak = protocol.state.moves[index].soak.as_millis();
                let soak = u64::try_from(soak).expect("a small number");
                if protocol.state.detach.is_some() && soak > 0 {
                    return self.part(at, index);
                }
                let breach = self.rng.one_in(16);
                self.busy(at, Next::Soak { index }, soak, breach)
            }
            Next::Local { index } => {
                let fact = Fact::LocalIntended { at: place(index) };
                if self.record(at, &fact) == Flow::Blocked {
                    return Flow::Blocked;
                }
                let takes = self.rng.within(100, 45_000);
                self.busy(at, Next::Local { index }, takes, false)
            }
            Next::Backup | Next::Undo { .. } => {
                let takes = self.rng.within(10, 1_000);
                self.busy(at, next, takes, false)
            }
            Next::End { outcome, summary } => self.record(at, &Fact::RunEnded { outcome, summary }),
            Next::Ended(outcome) => self.leave(at, Stop::Ended(outcome)),
            other => unreachable!("the phases have no criteria: {other:?}"),
        }
    }

    fn busy(&mut self, at: usize, next: Next, takes: u64, breach: bool) -> Flow {
        let until = self.now + if breach { takes / 2 } else { takes };
        self.process(at).stage = Stage::Busy { next, until, breach };
        self.look_again(at, until)
    }

    /// Wakes up at the end of what is done, or when the lease may be lost.
    pub(super) fn look_again(&mut self, at: usize, until: u64) -> Flow {
        let lease = self.process(at).lease.as_ref();
        let lost_at = lease.map_or(u64::MAX, |lease| lease.agreed + TTL * 2 / 3 + 1);
        let soaking = matches!(self.process(at).stage, Stage::Busy { next: Next::Soak { .. }, .. });
        let left = until.min(lost_at.max(self.now + 200)).saturating_sub(self.now);
        self.alarm_in(at, if soaking { left.min(ASKING) } else { left })
    }

    /// What was done is done.
    pub(super) fn finished(&mut self, at: usize, next: &Next, breach: bool) {
        let protocol = self.protocol(at);
        let place = |index: usize| protocol.state.moves[index].at.clone();
        let fact = match next {
            Next::Soak { index } if breach => Fact::GuardBreached {
                guard: "g".parse().expect("a name"),
                at: place(*index),
                why: "too much".to_owned(),
            },
            Next::Soak { index } => Fact::SoakEnded { at: place(*index), looks: 1 },
            Next::Local { index } => Fact::LocalDone { at: place(*index), detail: String::new() },
            Next::Backup => Fact::BackupDone {
                backup: "b".parse().expect("a name"),
                path: String::new(),
                bytes: 0,
                manifest_hash: String::new(),
            },
            Next::Undo { index } => {
                let rollback = protocol.state.rollback.as_ref().expect("it is being undone");
                let undo = rollback.undo[*index].0.clone();
                Fact::Undone { phase: undo.phase, step: undo.step.id, detail: String::new() }
            }
            other => unreachable!("nothing else takes time: {other:?}"),
        };
        self.process(at).stage = Stage::Free;
        self.record(at, &fact);
    }

    pub(super) fn protocol(&mut self, at: usize) -> &mut Protocol {
        match &mut self.process(at).conversation {
            Conversation::Run(protocol) => protocol,
            Conversation::Opening { .. } => unreachable!("the run is begun"),
        }
    }

    /// Makes a fact durable; the process may die before or after.
    pub(super) fn record(&mut self, at: usize, fact: &Fact) -> Flow {
        let hazard = self.rng.within(0, 1000);
        if hazard < self.kills {
            self.kill(at);
            return Flow::Blocked;
        }
        self.tell(|| {
            let text = format!("{fact:?}");
            format!("ledger {at} {}", text.split(", anchor: ").next().unwrap_or(&text))
        });
        let intent = matches!(
            fact,
            Fact::ChangeIntended { .. }
                | Fact::ConfirmIntended { .. }
                | Fact::RevertIntended { .. }
                | Fact::RestoreIntended { .. }
                | Fact::RestoreConfirmIntended { .. }
        );
        let volatile = intent && self.has(Switch::IntentAfterSend);
        let operator = &mut self.operators[at];
        let (Some(process), Some(ledger)) = (&mut operator.process, operator.runs.last_mut())
        else {
            unreachable!("a process that records has a ledger")
        };
        let Conversation::Run(protocol) = &mut process.conversation else {
            unreachable!("the run is begun")
        };
        self.witness.recorded(&protocol.state, &ledger.facts, fact, &self.server.active);
        ledger.facts.push(fact.clone());
        if !volatile {
            ledger.durable = ledger.facts.len();
        }
        if hazard < self.kills * 2 {
            self.kill(at);
            return Flow::Blocked;
        }
        protocol.recorded(fact).expect("it is a fact of this run");
        Flow::Again
    }

    /// Sends a request, for the first time or again.
    fn ask(&mut self, at: usize, call: Call, tries: Option<(u64, u64)>) -> Flow {
        let (began, pause) = tries.unwrap_or((self.now, PAUSE));
        let id = self.number();
        let request = self.request(at, id, &call);
        let asked = self.now;
        self.send(&request);
        self.process(at).stage = Stage::Sent { call, id, began, asked, pause };
        self.alarm_in(at, TIMEOUT)
    }

    pub(super) fn run_of(&mut self, at: usize) -> RunId {
        match &self.process(at).conversation {
            Conversation::Opening { run } => run.clone(),
            Conversation::Run(protocol) => protocol.state.run.clone(),
        }
    }

    pub(super) fn request(&mut self, at: usize, id: u64, call: &Call) -> Request {
        let run = self.run_of(at);
        let fresh = self.has(Switch::FreshKeys);
        let key = |key: &String| if fresh { format!("{key}~{id}") } else { key.clone() };
        let process = self.process(at);
        let leased = process.lease.as_ref().map(|lease| lease.fence.clone());
        let known = match &process.conversation {
            Conversation::Run(protocol) => protocol.state.fence.clone(),
            Conversation::Opening { .. } => None,
        };
        let fence = Some(leased.clone().or(known).unwrap_or_default());
        let (fence, what) = match call {
            Call::Acquire { min_token, last_anchor } => {
                let request = LeaseRequest {
                    run,
                    holder: String::new(),
                    host: String::new(),
                    pid: 1,
                    ttl_ms: TTL,
                    min_token: *min_token,
                    last_anchor: last_anchor.clone(),
                };
                (None, What::Lease(Rc::new(request)))
            }
            // A look without a lease carries no fence.
            Call::State => (leased, What::State),
            Call::Operation { key } => (fence, What::Operation { key: key.clone() }),
            Call::Apply { key: k, if_match, request } => {
                let request = Rc::new((**request).clone());
                (fence, What::Apply { key: key(k), if_match: *if_match, request })
            }
            Call::Confirm { key: k, rev } => (fence, What::Confirm { key: key(k), rev: *rev }),
            Call::Revert { key: k, rev } => (fence, What::Revert { key: key(k), rev: *rev }),
            Call::Arm(request) => (fence, What::Arm(Rc::new((**request).clone()))),
            Call::Disarm { taken_back } => (fence, What::Disarm { taken_back: *taken_back }),
        };
        Request { id, operator: at, fence, what }
    }

    pub(super) fn alarm_in(&mut self, at: usize, after: u64) -> Flow {
        self.operators[at].generation += 1;
        let generation = self.operators[at].generation;
        self.at(self.now + after, Event::Alarm { operator: at, generation });
        Flow::Blocked
    }

    /// What was waited for has not come, or is over.
    pub(super) fn alarm(&mut self, at: usize, generation: u64) {
        if self.operators[at].generation != generation || self.operators[at].process.is_none() {
            return;
        }
        let now = self.now;
        let lost = self.is_lost(at);
        match std::mem::replace(&mut self.process(at).stage, Stage::Free) {
            Stage::Sent { call, began, pause, .. } => self.unanswered(at, call, began, pause, true),
            Stage::Pausing { call, began, pause } => {
                if self.process(at).asked_to_stop && !self.is_rolling_back(at) {
                    self.leave(at, Stop::Interrupted);
                } else {
                    let pause = (pause * 2).min(LONGEST_PAUSE);
                    self.ask(at, call, Some((began, pause)));
                }
            }
            Stage::Waiting => {
                if self.process(at).asked_to_stop && !self.is_rolling_back(at) {
                    self.leave(at, Stop::Interrupted);
                } else {
                    self.protocol(at).waited();
                }
            }
            Stage::Busy { next, until, breach } => {
                let watched = matches!(next, Next::Soak { .. } | Next::Local { .. });
                if watched && lost {
                    // The next step finds out, and takes the lease again.
                } else if now >= until {
                    self.finished(at, &next, breach);
                } else if let Next::Soak { .. } = next {
                    let id = self.number();
                    let request = Request { id, operator: at, fence: None, what: What::Guards };
                    self.send(&request);
                    self.process(at).stage = Stage::Looking { next, until, breach, id };
                    self.alarm_in(at, TIMEOUT);
                } else {
                    self.process(at).stage = Stage::Busy { next, until, breach };
                    self.look_again(at, until);
                }
            }
            Stage::Looking { next, until, breach, .. } => {
                // No answer is no news.
                self.process(at).stage = Stage::Busy { next, until, breach };
                self.look_again(at, until);
            }
            Stage::Parting { index, there, began, .. } => {
                if now - began >= PATIENCE {
                    self.leave(at, Stop::Lost);
                } else {
                    self.part_on(at, index, there, began);
                }
            }
            Stage::Releasing { .. } => self.gone(at),
            Stage::Free => {}
        }
        self.go_on(at);
    }

    fn is_rolling_back(&mut self, at: usize) -> bool {
        match &self.process(at).conversation {
            Conversation::Run(protocol) => protocol.state.rollback.is_some(),
            Conversation::Opening { .. } => false,
        }
    }

    /// A request has no definite answer.
    fn unanswered(&mut self, at: usize, call: Call, began: u64, pause: u64, sent: bool) {
        let rolling_back = self.is_rolling_back(at);
        let process = self.process(at);
        let opening = matches!(process.conversation, Conversation::Opening { .. });
        let patience = match (process.arrived, rolling_back) {
            _ if opening || process.leaving.is_some() => 0,
            (false, _) if !sent => 0,
            (false, _) => FIRST_PATIENCE,
            (true, false) => PATIENCE,
            (true, true) => ROLLBACK_PATIENCE,
        };
        if let Some(stop) = process.leaving.clone() {
            self.left(at, stop);
        } else if self.now - began >= patience {
            self.leave(at, Stop::Lost);
        } else {
            self.process(at).stage = Stage::Pausing { call, began, pause };
            self.alarm_in(at, pause);
        }
    }

    /// An answer arrives; maybe to a question that nobody asks any more.
    pub(super) fn reply(&mut self, reply: &Reply) {
        let at = reply.operator;
        let Some(process) = &mut self.operators[at].process else { return };
        if let Some(lease) = &mut process.lease
            && let Some((id, asked)) = lease.asked
            && id == reply.id
        {
            return self.kept(at, asked, &reply.result);
        }
        match &process.stage {
            Stage::Sent { id, .. } if *id == reply.id => {}
            Stage::Releasing { id } if *id == reply.id => return self.gone(at),
            Stage::Looking { id, .. } | Stage::Parting { id, .. } if *id == reply.id => {
                return self.looked(at, &reply.result);
            }
            _ => return,
        }
        let stage = std::mem::replace(&mut process.stage, Stage::Free);
        let Stage::Sent { call, began, asked, pause, .. } = stage else { return };
        self.operators[at].generation += 1;
        if let Some(ledger) = self.operators[at].runs.last_mut() {
            ledger.durable = ledger.facts.len();
        }
        match &reply.result {
            Answered::Unreachable => self.unanswered(at, call, began, pause, false),
            Answered::Answer(answer) => match &**answer {
                Answer::Refused(problem) if problem.status >= 500 => {
                    self.unanswered(at, call, began, pause, true);
                }
                answer => self.hear(at, answer.clone(), asked),
            },
            Answered::Fine | Answered::Guards(_) => {}
        }
        self.go_on(at);
    }

    fn hear(&mut self, at: usize, answer: Answer, asked: u64) {
        self.process(at).arrived = true;
        if let Answer::Granted { fence, anchor } = &answer {
            let lease = Lease {
                fence: fence.clone(),
                anchor: anchor.clone(),
                agreed: asked,
                refused: false,
                asked: None,
                round: 0,
            };
            self.process(at).lease = Some(lease);
            let incarnation = self.operators[at].incarnation;
            let when = self.now + TTL / 3;
            self.at(when, Event::Renewal { operator: at, incarnation, round: 0 });
        }
        match &mut self.process(at).conversation {
            Conversation::Run(protocol) => protocol.heard(answer),
            Conversation::Opening { .. } => match answer {
                Answer::State(there) if there.provisional.is_none() => self.begin(at, &there),
                Answer::State(_) => {
                    self.leave(at, Stop::Early);
                }
                Answer::Refused(problem) => {
                    self.leave(at, Stop::Refused(Box::new(problem)));
                }
                _ => {}
            },
        }
    }

    /// The run's first fact.
    fn begin(&mut self, at: usize, there: &State) {
        let run = self.run_of(at);
        let plan = self.operators[at].plan;
        let undo = self.operators[at].runs.last().map(Ledger::state);
        let opening = scenario::opening(run.clone(), plan, undo.as_ref(), there);
        self.witness.begun(plan, &opening);
        self.tell(|| format!("ledger {at} run {run:?} begun on revision {}", there.head));
        let ledger = Ledger { opening: opening.clone(), facts: Vec::new(), durable: 0 };
        self.operators[at].runs.push(ledger);
        let process = self.process(at);
        let Some(lease) = &process.lease else { unreachable!("it was granted before the look") };
        let protocol = Protocol::granted(opening, 1, lease.fence.clone(), lease.anchor.clone());
        process.conversation = Conversation::Run(Box::new(protocol));
    }
}
