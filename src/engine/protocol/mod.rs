//! The protocol between a run and its orchestrator, as a state machine without I/O.
//!
//! Law: an intent is durable before its request leaves; what became of a request is only ever
//! learnt from its answer or from a read that follows a newer fence; a refusal is never improvised
//! around. Whoever drives it asks [`Protocol::next`] and does the one thing it wants, whatever
//! happened before; the executor does so with a ledger and a socket, the simulator with neither.
//!
//! The machine has little memory of its own ([`Mode`]), and none that matters: a process that is
//! killed loses it, and the next one begins at [`Mode::Unleased`] from the facts alone.
//!
//! ```text
//! Unleased ─ acquire ─► Granted ─ lease_taken ─► Looking ─ state, operation ─► Found ─► Settled
//!    ▲                                             ▲  a fact to record, or a wait  │        │
//!    └── the lease is lost, or a fence is stale ───┴──── a refusal that surprises ─┴────────┘
//! ```

mod calls;
mod hear;

use std::cell::OnceCell;
use std::collections::VecDeque;

use super::decide::{Next, decide};
use super::key::key;
use super::recover::Finding;
use super::state::{MoveState, RunState};
use crate::control::armed::ArmRequest;
use crate::control::wire::{
    Anchor, Fence, Operation, OperationKind, Problem, ProblemCode, RevisionRequest, State,
};
use crate::ledger::fact::{Fact, HaltReason};

/// After so many changes that came to nothing, the phase fails instead of trying for ever.
const MOST_VOIDS: u32 = 3;

/// What the protocol wants done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Make the fact durable, then say [`Protocol::recorded`].
    Record(Fact),
    /// Send it, and again while nobody knows what became of it; then say [`Protocol::heard`].
    Send(Call),
    /// Let a little time pass, then say [`Protocol::waited`].
    Wait { why: String },
    /// Not the protocol's business: do it, and record what comes of it.
    Act(Next),
    /// The run cannot go on by itself.
    Halt { reason: HaltReason, detail: String },
    /// The orchestrator refused something that it should not have, or somebody else is at it.
    GiveUp(Problem),
}

/// A request, ready to be sent as often as needed.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Acquire {
        min_token: u64,
        last_anchor: Option<Anchor>,
    },
    State,
    Operation {
        key: String,
    },
    Apply {
        key: String,
        if_match: u64,
        request: Box<RevisionRequest>,
    },
    Confirm {
        key: String,
        rev: u64,
    },
    Revert {
        key: String,
        rev: u64,
    },
    Arm(Box<ArmRequest>),
    /// Of a phase that the orchestrator took back, or that was left to its run.
    Disarm {
        taken_back: bool,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Granted {
        fence: Fence,
        anchor: Option<Anchor>,
    },
    State(Box<State>),
    Operation(Option<Operation>),
    /// A change, a confirmation or a revert was accepted; this revision is in force.
    Changed {
        rev: u64,
        anchor: Option<Anchor>,
    },
    /// The guards are armed, with this target.
    Armed {
        target: u64,
        anchor: Option<Anchor>,
    },
    Disarmed,
    Refused(Problem),
}

/// A run in conversation with its orchestrator.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What the recorded facts come to.
    pub state: RunState,
    mode: Mode,
    /// How often a change came to nothing since this process began.
    voids: u32,
    pid: u32,
    /// The run's first fact as text, once it was needed.
    record: OnceCell<String>,
}

/// Where the conversation stands, beyond what the facts say.
#[derive(Clone, Debug, PartialEq)]
enum Mode {
    /// There is no lease, or it was lost.
    Unleased,
    /// The lease was refused because our anchor is unknown there: which orchestrator is that?
    Estranged {
        detail: String,
    },
    Granted {
        fence: Fence,
        anchor: Option<Anchor>,
    },
    /// To be compared with the ledger, because something may have happened.
    Looking,
    /// The same, and this request's fate is to be asked for.
    Asking {
        there: Box<State>,
        key: String,
    },
    Found(Finding),
    /// The ledger and the orchestrator agree; the facts decide what is next.
    Settled,
    /// A change may be begun if the orchestrator stands where the ledger thinks.
    Basing {
        index: usize,
        attempt: u32,
    },
    /// Facts to record, in order.
    Recording(VecDeque<Fact>),
    /// A person asked for a stop: the provisional revision is being taken back.
    TakingBack {
        rev: u64,
        intended: bool,
    },
    Stuck(Box<Want>),
}

impl Protocol {
    /// Takes a run up from its facts alone.
    pub fn new(state: RunState, pid: u32) -> Self {
        Self { state, mode: Mode::Unleased, voids: 0, pid, record: OnceCell::new() }
    }

    /// Begins with a lease that is there already: the one under which the run's base was read.
    pub fn granted(state: RunState, pid: u32, fence: Fence, anchor: Option<Anchor>) -> Self {
        Self { mode: Mode::Granted { fence, anchor }, ..Self::new(state, pid) }
    }

    /// The one thing to do now. Asking again changes nothing.
    pub fn next(&self) -> Want {
        match &self.mode {
            Mode::Unleased => Want::Send(self.acquire()),
            Mode::Estranged { .. } | Mode::Looking | Mode::Basing { .. } => Want::Send(Call::State),
            Mode::Granted { fence, anchor } => Want::Record(Fact::LeaseTaken {
                fence: fence.clone(),
                anchor: anchor.clone(),
                pid: self.pid,
            }),
            Mode::Asking { key, .. } => Want::Send(Call::Operation { key: key.clone() }),
            Mode::Found(Finding::Record(fact)) => Want::Record(fact.clone()),
            Mode::Found(Finding::Wait { rev }) => {
                Want::Wait { why: format!("revision {rev} is provisional and not ours") }
            }
            Mode::Found(Finding::Halt { reason, detail }) => {
                Want::Halt { reason: *reason, detail: detail.clone() }
            }
            Mode::Settled | Mode::Found(Finding::GoOn) => self.settled(decide(&self.state)),
            Mode::Recording(facts) => {
                Want::Record(facts.front().expect("an empty queue is not kept").clone())
            }
            Mode::TakingBack { rev, intended } => {
                let (rev, key) = (*rev, self.revert_key(*rev));
                if *intended {
                    Want::Send(Call::Revert { key, rev })
                } else {
                    Want::Record(Fact::RevertIntended { rev, key })
                }
            }
            Mode::Stuck(want) => (**want).clone(),
        }
    }

    /// A fact is durable: one that [`Protocol::next`] wanted, or one that an act led to.
    ///
    /// # Errors
    /// When it is not a fact of this run.
    pub fn recorded(&mut self, fact: &Fact) -> Result<(), super::state::StateError> {
        let wanted = matches!(self.next(), Want::Record(wanted) if wanted == *fact);
        self.state.evolve(fact)?;
        if !wanted {
            // What an act led to does not touch the conversation.
            return Ok(());
        }
        self.mode = match std::mem::replace(&mut self.mode, Mode::Settled) {
            Mode::Granted { .. } => Mode::Looking,
            // The head need not have moved, so a change that is still on its way could come into
            // force after the disarming; under a new fence it cannot.
            Mode::Found(Finding::Record(Fact::TakenBack { .. })) if self.is_changing() => {
                Mode::Unleased
            }
            Mode::Found(Finding::Record(_)) => match self.given_up(fact) {
                Some(failed) => Mode::Recording([failed].into()),
                None => Mode::Looking,
            },
            Mode::Recording(mut facts) => {
                facts.pop_front();
                if facts.is_empty() { Mode::Settled } else { Mode::Recording(facts) }
            }
            Mode::TakingBack { rev, .. } => Mode::TakingBack { rev, intended: true },
            same => same,
        };
        Ok(())
    }

    /// The wait is over: everything is looked at again.
    pub fn waited(&mut self) {
        self.mode = Mode::Looking;
    }

    /// The lease is not ours any more, or cannot be known to be.
    pub fn lease_lost(&mut self) {
        self.mode = Mode::Unleased;
    }

    /// Begins a change whose requirements hold, if the orchestrator stands where it should.
    pub fn begin_change(&mut self, index: usize, attempt: u32) {
        self.mode = Mode::Basing { index, attempt };
    }

    /// Has the provisional revision taken back because a person asked for a stop; false when
    /// there is none, or no lease to do it with.
    pub fn take_back(&mut self) -> bool {
        let leased = !matches!(self.mode, Mode::Unleased | Mode::Granted { .. });
        match self.state.provisional() {
            Some((_, rev)) if leased => {
                self.mode = Mode::TakingBack { rev, intended: false };
                true
            }
            _ => false,
        }
    }

    /// Whether ledger and orchestrator agree, as far as anybody knows.
    pub fn is_settled(&self) -> bool {
        matches!(self.mode, Mode::Settled | Mode::Found(Finding::GoOn))
    }

    /// Whether [`Protocol::take_back`] is under way.
    pub fn is_taking_back(&self) -> bool {
        matches!(self.mode, Mode::TakingBack { .. } | Mode::Recording(_))
    }

    /// What the facts lead to while ledger and orchestrator agree.
    fn settled(&self, next: Next) -> Want {
        match next {
            Next::BeginRollback { cause } => Want::Record(Fact::RollbackBegun { cause }),
            Next::BeginConfirm { index, rev } => Want::Record(self.confirm_intended(index, rev)),
            Next::BeginRevert { rev } => {
                Want::Record(Fact::RevertIntended { rev, key: self.revert_key(rev) })
            }
            Next::BeginRestoreConfirm { rev } => Want::Record(self.restore_confirm_intended(rev)),
            Next::BeginRestore { .. } | Next::ReadBack => Want::Send(Call::State),
            Next::SendChange { index } => self.send_change(index),
            Next::SendConfirm { index } => self.send_confirm(index),
            Next::SendRevert { rev } => self.send_revert(rev),
            Next::SendRestore | Next::SendRestoreConfirm => self.send_restore(),
            Next::Arm => Want::Send(Call::Arm(Box::new(self.arm_request()))),
            Next::Disarm => Want::Send(Call::Disarm { taken_back: self.state.taken_back }),
            Next::Backup
            | Next::Begin { .. }
            | Next::Soak { .. }
            | Next::Local { .. }
            | Next::Judge
            | Next::Undo { .. }
            | Next::End { .. }
            | Next::Ended(_) => Want::Act(next),
        }
    }

    /// Whether a change may be on its way.
    fn is_changing(&self) -> bool {
        self.state.at.iter().any(|at| matches!(at, MoveState::Intended { .. }))
    }

    /// A change that keeps coming to nothing fails the phase.
    fn given_up(&mut self, fact: &Fact) -> Option<Fact> {
        let Fact::ChangeVoid { at, why } = fact else { return None };
        self.voids += 1;
        (self.voids >= MOST_VOIDS).then(|| Fact::StepFailed {
            at: at.clone(),
            why: format!("came to nothing {} times; last: {why}", self.voids),
        })
    }

    /// The idempotency key of a request of this run.
    pub fn key(&self, position: &str, attempt: u32, kind: OperationKind) -> String {
        key(&self.state.begun.phase_hash, &self.state.run, position, attempt, kind)
    }

    fn revert_key(&self, rev: u64) -> String {
        self.key(&format!("(revert {rev})"), 1, OperationKind::Revert)
    }
}
