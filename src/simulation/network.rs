//! Messages on their way: lost, late, or doubled, independently of each other.

use std::rc::Rc;

use super::rng::Rng;
use crate::control::armed::{ArmRequest, Armed};
use crate::control::wire::{Fence, LeaseRequest, RevisionRequest};
use crate::engine::protocol::Answer;

/// How long a message that is late may take: longer than a lease lives.
const LATEST: u64 = 60_000;

/// A request of one process.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// No two requests have the same; a copy has that of its original.
    pub(super) id: u64,
    pub(super) operator: usize,
    pub(super) fence: Option<Fence>,
    pub(super) what: What,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// With a fence: a renewal.
    Lease(Rc<LeaseRequest>),
    Release,
    State,
    Operation {
        key: String,
    },
    Apply {
        key: String,
        if_match: u64,
        request: Rc<RevisionRequest>,
    },
    Confirm {
        key: String,
        rev: u64,
    },
    Revert {
        key: String,
        rev: u64,
    },
    Arm(Rc<ArmRequest>),
    Disarm {
        taken_back: bool,
    },
    /// What is armed, tripped and asked.
    Guards,
}

/// What comes back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) id: u64,
    pub(super) operator: usize,
    pub(super) result: Answered,
}

#[derive(Clone, Debug)]
pub(super) enum Answered {
    Answer(Rc<Answer>),
    /// A renewal or a release was accepted.
    Fine,
    Guards(Option<Rc<Armed>>),
    /// Nobody listens there.
    Unreachable,
}

/// How bad it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Per mille of all messages.
    pub(super) loss: u64,
    pub(super) late: u64,
    pub(super) doubled: u64,
}

impl Weather {
    pub(super) const ROUGH: Self = Self { loss: 120, late: 60, doubled: 60 };
    pub(super) const CALM: Self = Self { loss: 0, late: 0, doubled: 0 };

    /// How long each copy of a message takes; none when it is lost.
    pub(super) fn travel(self, rng: &mut Rng) -> [Option<u64>; 2] {
        let mut copy = || {
            let (from, to) = if rng.chance(self.late) { (1_000, LATEST) } else { (1, 200) };
            rng.within(from, to)
        };
        let (first, second) = (copy(), copy());
        let (lost, doubled) = (rng.chance(self.loss), rng.chance(self.doubled));
        [(!lost).then_some(first), doubled.then_some(second)]
    }
}
