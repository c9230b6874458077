//! A phase unrolled: every part of every step as one move, with the whole document it leads to.
//!
//! Targets are computed once, from the configuration that the run found; nothing is computed from
//! what happens to be there when a step is reached. So a resumed run proposes the same bytes, and
//! anything else that was written meanwhile is noticed as drift instead of merged by accident.

use std::time::Duration;

use serde_json::json;

use crate::control::config::Config;
use crate::control::document::{Assignment, DocumentError, assign};
use crate::ledger::fact::At;
use crate::plan::model::{Action, Criterion, Phase, Step};

/// One change, or one thing done, with the soak that follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub at: At,
    pub act: Act,
    pub soak: Duration,
    /// Must hold before the move is begun; only the first part of a step has any.
    pub require: Vec<Criterion>,
}

/// What a move does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Writes a configuration.
    Change { target: Box<Config> },
    /// Acts outside the configuration, or waits.
    Local(Action),
}

/// Unrolls a phase, beginning from `base`.
///
/// # Errors
/// When a step cannot be applied to the configuration it would meet.
pub fn unroll(phase: &Phase, base: &Config) -> Result<Vec<Move>, (At, DocumentError)> {
    let mut moves = Vec::new();
    let mut config = base.clone();
    for step in &phase.steps {
        let parts = u32::try_from(step.parts()).expect("a plan has fewer than 2^32 parts");
        for part in 1..=parts {
            let at = At { step: step.id.clone(), part, parts };
            let act = match assignments(step, part) {
                Some(assignments) => {
                    config = assign(&config, &assignments).map_err(|e| (at.clone(), e))?;
                    Act::Change { target: Box::new(config.clone()) }
                }
                None => Act::Local(step.action.clone()),
            };
            let require = if part == 1 { step.require.clone() } else { Vec::new() };
            moves.push(Move { at, act, soak: step.soak, require });
        }
    }
    Ok(moves)
}

/// What part `part` (from 1) of a step assigns; `None` for a step outside the configuration.
pub fn assignments(step: &Step, part: u32) -> Option<Vec<Assignment>> {
    let index = usize::try_from(part - 1).expect("a part is a small number");
    let one = |path: String, value| Assignment { path, value };
    match &step.action {
        Action::Set { assignments } => Some(assignments.clone()),
        Action::Ramp { flag, to } => Some(vec![
            one(format!("flags.{flag}.enabled"), json!(true)),
            one(format!("flags.{flag}.percentage"), json!(to[index])),
        ]),
        Action::Canary { upstream, url, to, .. } => {
            let legacy_like = url.as_ref().map(|url| {
                let value = json!({"url": url, "connect_timeout": "2s", "timeout": "10s"});
                one(format!("upstreams.{upstream}"), value)
            });
            let split = one("canary".into(), json!({"upstream": upstream, "weight": to[index]}));
            Some(legacy_like.into_iter().chain([split]).collect())
        }
        Action::Install { assignment } | Action::Uninstall { assignment } => {
            Some(vec![assignment.clone()])
        }
        Action::Test { .. }
        | Action::Run { .. }
        | Action::Call { .. }
        | Action::Backup
        | Action::Approve { .. }
        | Action::Soak => None,
    }
}
