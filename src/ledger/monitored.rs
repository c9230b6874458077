//! What was seen outside a phase, by `ctx monitor`.

use serde::{Deserialize, Serialize};

use super::begun::By;
use crate::error::count;
use crate::ids::GuardId;

/// One thing that whoever monitors has seen or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Monitored {
    Begun {
        guards: Vec<GuardId>,
        by: By,
        /// Whether a breach rolls the last phase back.
        rollback: bool,
    },
    /// A guard is breached.
    Breached {
        guard: GuardId,
        why: String,
    },
    /// A guard cannot be judged any more.
    Unknown {
        guard: GuardId,
        why: String,
    },
    /// A guard that was breached, or could not be judged, holds again.
    Recovered {
        guard: GuardId,
        why: String,
    },
    /// A progress report was given.
    Reported(Progress),
    Ended {
        why: String,
    },
}

/// A progress report in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Of the whole migration.
    pub percent: u8,
    pub phases_done: usize,
    pub phases: usize,
    pub milestones_reached: usize,
    pub milestones: usize,
    /// Numbers as they are now, such as `latency_p95 12ms`.
    pub performance: Vec<String>,
    pub issues: usize,
    /// What comes next: commands, or what is needed.
    pub next: Vec<String>,
}

impl Monitored {
    /// In words.
    pub fn sentence(&self) -> String {
        match self {
            Self::Begun { guards, by, rollback } => {
                let then = if *rollback {
                    "a breach rolls the last phase back"
                } else {
                    "a breach is only reported"
                };
                let guards = count(guards.len(), "guard");
                format!("monitoring of {guards} begun by {}@{}; {then}", by.user, by.host)
            }
            Self::Breached { guard, why } => format!("guard `{guard}` BREACHED: {why}"),
            Self::Unknown { guard, why } => format!("guard `{guard}` cannot be judged: {why}"),
            Self::Recovered { guard, why } => format!("guard `{guard}` holds again: {why}"),
            Self::Reported(progress) => {
                let Progress { percent, phases_done, phases, .. } = progress;
                let Progress { milestones_reached, milestones, issues, .. } = progress;
                let issues = count(*issues, "issue");
                format!(
                    "progress: {percent} %, {phases_done} of {phases} phases, \
                     {milestones_reached} of {milestones} milestones, {issues}"
                )
            }
            Self::Ended { why } => format!("monitoring ended: {why}"),
        }
    }
}
