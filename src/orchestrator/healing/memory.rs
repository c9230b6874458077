//! What self-healing did before, and what has come of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Pace;
use super::action::Action;
use crate::control::config::{Canary, Config};
use crate::control::observe::Overrides;
use crate::units::Percent;

/// What was done before. In monitor mode: what would have been.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// When each kind of action was taken on each target; nothing older than the window.
    taken: BTreeMap<String, VecDeque<Duration>>,
    pub(super) episodes: BTreeMap<String, Episode>,
    pub(super) standing: Overrides,
    /// Since when each extension is left out.
    pub(super) left_out: BTreeMap<String, Duration>,
    /// When the share of refused events was last raised or lowered, or events had to wait.
    pub(super) shed_at: Duration,
    /// The canary as it was last seen in the configuration.
    canary: Option<Canary>,
}

/// The time that something is sick.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) began: Duration,
    /// Which of its cures was tried last, and when.
    pub(super) tried: Option<(usize, Duration)>,
    /// Since when there is no other cure left to try.
    pub(super) last_since: Option<Duration>,
    /// Whether a person was told.
    pub(super) escalated: bool,
}

/// Whether an action may be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// It was taken a moment ago.
    Resting,
    /// It was taken as often as it may be.
    Spent,
}

impl Memory {
    /// What is set aside, or in monitor mode would be.
    pub fn standing(&self) -> &Overrides {
        &self.standing
    }

    /// What a person was told of, and what is sick still.
    pub fn escalated(&self) -> impl Iterator<Item = &str> {
        let told = self.episodes.iter().filter(|(_, episode)| episode.escalated);
        told.map(|(what, _)| what.as_str())
    }

    /// Takes note of a configuration: a canary that is set anew is tried anew, and what is gone
    /// is not left out.
    pub(super) fn follow(&mut self, config: &Config) {
        if self.canary != config.canary {
            self.standing.canary_withdrawn = None;
            self.canary.clone_from(&config.canary);
        }
        let there = |id: &String| config.extensions.keys().any(|known| known.as_str() == id);
        self.standing.left_out.retain(there);
        self.left_out.retain(|id, _| there(id));
    }

    /// Whether an action may be taken at `now`.
    pub(super) fn leave(&self, now: Duration, pace: &Pace, action: &Action) -> Leave {
        let Some(taken) = action.counted_as().and_then(|key| self.taken.get(&key)) else {
            return Leave::Granted;
        };
        let recent = taken.iter().filter(|at| now < **at + pace.window).count();
        if recent >= usize::try_from(pace.limit).unwrap_or(usize::MAX) {
            Leave::Spent
        } else if taken.back().is_some_and(|at| now < *at + pace.cooldown) {
            Leave::Resting
        } else {
            Leave::Granted
        }
    }

    /// Notes an action.
    pub(super) fn take(&mut self, now: Duration, pace: &Pace, action: &Action) {
        match action {
            Action::FallBack { extension } => {
                self.standing.left_out.push(extension.clone());
                self.standing.left_out.sort();
                self.left_out.insert(extension.clone(), now);
            }
            Action::GiveBack { extension } => {
                self.standing.left_out.retain(|out| out != extension);
                self.left_out.remove(extension);
            }
            Action::WithdrawCanary { upstream } => {
                self.standing.canary_withdrawn = Some(upstream.clone());
            }
            Action::ShedLoad { share } | Action::Admit { share } => {
                self.standing.shed = *share;
                self.shed_at = now;
            }
            Action::RebuildPool { .. }
            | Action::RestartExtension { .. }
            | Action::OpenBreaker { .. }
            | Action::Escalate { .. } => {}
        }
        if let Some(key) = action.counted_as() {
            self.taken.entry(key).or_default().push_back(now);
        }
        for taken in self.taken.values_mut() {
            while taken.front().is_some_and(|at| now >= *at + pace.window) {
                taken.pop_front();
            }
        }
        self.taken.retain(|_, taken| !taken.is_empty());
    }

    /// The share of refused events.
    pub(super) fn shed(&self) -> Percent {
        self.standing.shed
    }
}
