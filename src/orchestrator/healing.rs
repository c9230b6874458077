//! Self-healing: from unhealthy checks to actions.
//!
//! Law: an action is at most repeated after its cooldown, and each is on record with its
//! evidence, whether it was performed or (in monitor mode) only named.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::plane::Plane;
use crate::control::observe::{Check, Status};

/// What self-healing can do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Drops idle connections, which may lead to a server that is gone.
    RebuildPool { upstream: String },
    /// Leaves a platform's events to the legacy app.
    FallBack { extension: String },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebuildPool { upstream } => write!(f, "rebuild pool of upstream {upstream}"),
            Self::FallBack { extension } => {
                write!(f, "fall back to legacy for extension {extension}")
            }
        }
    }
}

/// What unhealthy checks ask for, with the evidence; nothing that was done within `cooldown`.
pub fn decide(
    now: Duration,
    cooldown: Duration,
    checks: &[Check],
    last: &BTreeMap<Action, Duration>,
) -> Vec<(Action, String)> {
    checks
        .iter()
        .filter(|check| check.status == Status::Unhealthy)
        .filter_map(|check| Some((remedy(&check.name)?, check.detail.clone())))
        .filter(|(action, _)| last.get(action).is_none_or(|at| now >= *at + cooldown))
        .collect()
}

fn remedy(check: &str) -> Option<Action> {
    match check.split_once(' ')? {
        ("upstream", name) => Some(Action::RebuildPool { upstream: name.to_owned() }),
        ("extension", id) => Some(Action::FallBack { extension: id.to_owned() }),
        _ => None,
    }
}
