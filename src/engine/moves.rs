//! A phase unrolled: every part of every step as one move, with the whole document it leads to.
//!
//! Targets are computed once, from the configuration that the run found; nothing is computed from
//! what happens to be there when a step is reached. So a resumed run proposes the same bytes, and
//! anything else that was written meanwhile is noticed as drift instead of merged by accident.

use std::time::Duration;

use crate::control::config::Config;
use crate::control::document::{DocumentError, assign};
use crate::ledger::fact::At;
use crate::plan::effect::assignments;
use crate::plan::model::{Action, Criterion, Phase};

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
            let act = if step.is_configuration() {
                let index = usize::try_from(part - 1).expect("a part is a small number");
                config = assign(&config, &assignments(&step.action, index))
                    .map_err(|error| (at.clone(), error))?;
                Act::Change { target: Box::new(config.clone()) }
            } else {
                Act::Local(step.action.clone())
            };
            let require = if part == 1 { step.require.clone() } else { Vec::new() };
            moves.push(Move { at, act, soak: step.soak, require });
        }
    }
    Ok(moves)
}
