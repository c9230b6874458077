//! A person with a ledger and a command line, who comes back until there is nothing left to do.

use crate::control::wire::{Anchor, Fence, Problem, State};
use crate::engine::decide::Next;
use crate::engine::protocol::{Call, Protocol};
use crate::engine::state::RunState;
use crate::ids::RunId;
use crate::ledger::fact::{Fact, HaltReason, Outcome};

#[derive(Debug)]
pub(super) struct Operator {
    pub(super) plan: usize,
    /// Leaves soaks to the orchestrator, with so long to confirm.
    pub(super) grace: Option<u64>,
    /// Undoes the phase when it is done.
    pub(super) changes_mind: bool,
    /// The runs, oldest first; the last one may be in flight.
    pub(super) runs: Vec<Ledger>,
    pub(super) begun: u64,
    pub(super) process: Option<Process>,
    /// Counts processes.
    pub(super) incarnation: u64,
    /// Counts what a process waits for, so that an old alarm is recognised.
    pub(super) generation: u64,
    pub(super) last: Option<Last>,
}

/// How it ended for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Last {
    Ended(Outcome2),
    Halted(Halt2),
    /// Went away and never came back.
    Gone,
}

/// [`Outcome`] with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome2 {
    Done,
    RolledBack,
    Held,
    Incomplete,
    Undone,
}

/// [`HaltReason`] with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Halt2 {
    Drift,
    Stranger,
    Regression,
    Tampered,
}

impl From<Outcome> for Outcome2 {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Held | Outcome::Abandoned => Self::Held,
            Outcome::RollbackIncomplete => Self::Incomplete,
        }
    }
}

impl From<HaltReason> for Halt2 {
    fn from(reason: HaltReason) -> Self {
        match reason {
            HaltReason::Drift => Self::Drift,
            HaltReason::WrongOrchestrator => Self::Stranger,
            HaltReason::StateRegression => Self::Regression,
            HaltReason::Tampered | HaltReason::PlanChanged => Self::Tampered,
        }
    }
}

/// What an operator's disk holds of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// What the first fact comes to.
    pub(super) opening: RunState,
    /// The facts after it.
    pub(super) facts: Vec<Fact>,
    /// How many of them a crash cannot take away.
    pub(super) durable: usize,
}

impl Ledger {
    pub(super) fn state(&self) -> RunState {
        let mut state = self.opening.clone();
        for fact in &self.facts {
            state.evolve(fact).expect("the facts are those of one run");
        }
        state
    }
}

/// A running command line.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) conversation: Conversation,
    pub(super) stage: Stage,
    pub(super) lease: Option<Lease>,
    /// The orchestrator has answered before.
    pub(super) arrived: bool,
    /// Ledger and orchestrator have agreed once.
    pub(super) agreed: bool,
    pub(super) asked_to_stop: bool,
    pub(super) asked_to_undo: bool,
    /// Why it is about to leave.
    pub(super) leaving: Option<Stop>,
}

#[derive(Debug)]
pub(super) enum Conversation {
    /// The run is not begun yet.
    Opening {
        run: RunId,
    },
    Run(Box<Protocol>),
}

/// What a process is in the middle of.
#[derive(Debug)]
pub(super) enum Stage {
    Free,
    /// A request is out.
    Sent {
        call: Call,
        id: u64,
        began: u64,
        asked: u64,
        pause: u64,
    },
    /// It is about to be sent again.
    Pausing {
        call: Call,
        began: u64,
        pause: u64,
    },
    /// Something is awaited that others do.
    Waiting,
    /// Watching, or acting outside the configuration.
    Busy {
        next: Next,
        until: u64,
        breach: bool,
    },
    /// The same, while a question is out about what others did.
    Looking {
        next: Next,
        until: u64,
        breach: bool,
        id: u64,
    },
    /// A soak is being left to the orchestrator, and that is what is asked there.
    Parting {
        index: usize,
        there: Option<Box<State>>,
        id: u64,
        began: u64,
    },
    /// The lease is being given back.
    Releasing {
        id: u64,
    },
}

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) fence: Fence,
    /// The anchor that came with it.
    pub(super) anchor: Option<Anchor>,
    pub(super) agreed: u64,
    pub(super) refused: bool,
    /// The renewal that is out, and when it was sent.
    pub(super) asked: Option<(u64, u64)>,
    /// Counts renewals.
    pub(super) round: u64,
}

/// Why a process ends.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    Ended(Outcome),
    Interrupted,
    /// Somebody asked for it elsewhere.
    Paused,
    /// The soak goes on without the process, for so long.
    Left(u64),
    Halted(HaltReason, String),
    /// Somebody else's change is provisional; nothing is begun on it.
    Early,
    /// No answer for too long.
    Lost,
    Refused(Box<Problem>),
}

impl Operator {
    pub(super) fn new(plan: usize, changes_mind: bool, grace: Option<u64>) -> Self {
        Self {
            plan,
            grace,
            changes_mind,
            runs: Vec::new(),
            begun: 0,
            process: None,
            incarnation: 0,
            generation: 0,
            last: None,
        }
    }
}
