//! A rollback, as far as the facts say it has come.

use crate::ledger::fact::Undo;

/// A rollback, as far as it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    pub cause: String,
    /// A provisional revision of ours whose revert is under way.
    pub reverting: Option<(u64, String)>,
    pub restore: Restore,
    /// What was done outside the configuration, last first, and whether it is settled.
    pub undo: Vec<(Undo, Settled)>,
    /// The configuration equals the target: read back.
    pub read_back: Option<bool>,
}

/// How far the configuration has been put back.
#[derive(Clone, Debug, PartialEq)]
pub enum Restore {
    Needed { attempt: u32 },
    Intended { attempt: u32, key: String, if_match: u64 },
    Applied { attempt: u32, rev: u64 },
    Confirming { attempt: u32, rev: u64, key: String },
    Confirmed { rev: u64 },
}

/// Whether a local act was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Open,
    Undone,
    /// It cannot be: the plan said so.
    Irreversible,
    /// It should have been, and failed.
    Failed,
}

impl Rollback {
    pub(super) fn new(cause: String, undo: Vec<(Undo, Settled)>) -> Self {
        Self {
            cause,
            reverting: None,
            restore: Restore::Needed { attempt: 1 },
            undo,
            read_back: None,
        }
    }
}

impl Restore {
    /// The number of the attempt under way, or of the next one.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Needed { attempt }
            | Self::Intended { attempt, .. }
            | Self::Applied { attempt, .. }
            | Self::Confirming { attempt, .. } => *attempt,
            Self::Confirmed { .. } => 1,
        }
    }
}
