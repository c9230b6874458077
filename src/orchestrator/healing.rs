//! Self-healing: from unhealthy checks to actions.
//!
//! Law: an action is repeated after its cooldown at the earliest, and each is on record with its
//! evidence, whether it was performed or (in monitor mode) only named. What was taken away from
//! an extension is given back once it is healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::plane::Plane;
use crate::control::observe::{Check, Status};

/// What self-healing can do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Drops idle connections, which may lead to a server that is gone.
    RebuildPool { upstream: String },
    /// Leaves the extension's events to whoever handles them without it.
    FallBack { extension: String },
    /// Ends that.
    GiveBack { extension: String },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebuildPool { upstream } => write!(f, "rebuild pool of upstream {upstream}"),
            Self::FallBack { extension } => {
                write!(f, "fall back to legacy for extension {extension}")
            }
            Self::GiveBack { extension } => write!(f, "give events back to extension {extension}"),
        }
    }
}

/// What was done before.
#[derive(Debug, Default)]
pub struct Memory {
    /// When each action was last taken.
    last: BTreeMap<Action, Duration>,
    /// Extensions that are left out.
    shunned: BTreeSet<String>,
}

/// What the checks ask for at `now`, with the evidence.
pub fn decide(
    now: Duration,
    cooldown: Duration,
    checks: &[Check],
    memory: &Memory,
) -> Vec<(Action, String)> {
    let rested = |action: &Action| memory.last.get(action).is_none_or(|at| now >= *at + cooldown);
    checks
        .iter()
        .filter_map(|check| Some((remedy(check, &memory.shunned)?, check.detail.clone())))
        .filter(|(action, _)| matches!(action, Action::GiveBack { .. }) || rested(action))
        .collect()
}

fn remedy(check: &Check, shunned: &BTreeSet<String>) -> Option<Action> {
    let (what, name) = check.name.split_once(' ')?;
    let name = name.to_owned();
    match (what, check.status) {
        ("upstream", Status::Unhealthy) => Some(Action::RebuildPool { upstream: name }),
        ("extension", Status::Unhealthy) if !shunned.contains(&name) => {
            Some(Action::FallBack { extension: name })
        }
        ("extension", Status::Healthy) if shunned.contains(&name) => {
            Some(Action::GiveBack { extension: name })
        }
        _ => None,
    }
}

impl Memory {
    /// Notes an action, and does it unless it is only to be named.
    pub fn take(&mut self, now: Duration, action: Action, perform: bool, plane: &Plane) {
        if perform {
            match &action {
                Action::RebuildPool { .. } => plane.rebuild_pools(),
                Action::FallBack { extension } => {
                    self.shunned.insert(extension.clone());
                    plane.shun(&self.shunned);
                }
                Action::GiveBack { extension } => {
                    self.shunned.remove(extension);
                    plane.shun(&self.shunned);
                }
            }
        }
        self.last.insert(action, now);
    }

    /// Gives back everything, because nobody heals any more.
    pub fn forget(&mut self, plane: &Plane) {
        if !self.shunned.is_empty() {
            plane.shun(&BTreeSet::new());
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{ManualClock, Tempo};
    use crate::control::config::Config;
    use crate::orchestrator::plane::Active;

    const COOLDOWN: Duration = Duration::from_secs(30);

    fn checks(checks: &[(&str, Status)]) -> Vec<Check> {
        let check = |&(name, status): &(&str, Status)| Check {
            name: name.to_owned(),
            status,
            detail: "status 503".to_owned(),
            at: String::new(),
        };
        checks.iter().map(check).collect()
    }

    fn plane() -> Plane {
        let active = Active { rev: 1, config: Config::legacy("http://127.0.0.1:8000") };
        Plane::new(active, Arc::new(ManualClock::default()), Tempo::default())
    }

    fn named(decided: &[(Action, String)]) -> Vec<String> {
        decided.iter().map(|(action, _)| action.to_string()).collect()
    }

    #[test]
    fn only_what_is_unhealthy_and_curable_is_acted_upon() {
        let found = checks(&[
            ("store", Status::Unhealthy),
            ("cpu", Status::Unhealthy),
            ("upstream legacy", Status::Unhealthy),
            ("upstream canary", Status::Healthy),
            ("upstream new", Status::Unknown),
            ("extension linear", Status::Unhealthy),
        ]);
        let decided = decide(Duration::ZERO, COOLDOWN, &found, &Memory::default());
        assert_eq!(
            named(&decided),
            ["rebuild pool of upstream legacy", "fall back to legacy for extension linear"]
        );
        assert_eq!(decided[0].1, "status 503");
    }

    #[test]
    fn an_action_rests_for_its_cooldown() {
        let (plane, mut memory) = (plane(), Memory::default());
        let found = checks(&[("upstream legacy", Status::Unhealthy)]);
        let at = |seconds: u64| Duration::from_secs(100 + seconds);
        let before = plane.pool_generation();
        for (action, _) in decide(at(0), COOLDOWN, &found, &memory) {
            memory.take(at(0), action, true, &plane);
        }
        assert_eq!(plane.pool_generation(), before + 1);
        assert!(decide(at(29), COOLDOWN, &found, &memory).is_empty());
        assert_eq!(decide(at(30), COOLDOWN, &found, &memory).len(), 1);
    }

    #[test]
    fn in_monitor_mode_nothing_is_done() {
        let (plane, mut memory) = (plane(), Memory::default());
        let found =
            checks(&[("upstream legacy", Status::Unhealthy), ("extension x", Status::Unhealthy)]);
        let before = plane.pool_generation();
        for (action, _) in decide(Duration::ZERO, COOLDOWN, &found, &memory) {
            memory.take(Duration::ZERO, action, false, &plane);
        }
        assert_eq!(plane.pool_generation(), before);
        assert!(memory.shunned.is_empty());
        assert!(decide(Duration::ZERO, COOLDOWN, &found, &memory).is_empty(), "but it rests");
    }

    #[test]
    fn an_extension_gets_its_events_back_once_it_is_healthy() {
        let (plane, mut memory) = (plane(), Memory::default());
        let sick = checks(&[("extension x", Status::Unhealthy)]);
        for (action, _) in decide(Duration::ZERO, COOLDOWN, &sick, &memory) {
            memory.take(Duration::ZERO, action, true, &plane);
        }
        assert!(decide(COOLDOWN, COOLDOWN, &sick, &memory).is_empty(), "it is out already");
        let well = checks(&[("extension x", Status::Healthy)]);
        let decided = decide(COOLDOWN, COOLDOWN, &well, &memory);
        assert_eq!(named(&decided), ["give events back to extension x"]);
    }
}
