//! Self-healing: from what is sick to what is done about it.
//!
//! Law: an action is repeated after its cooldown at the earliest and at most so often within a
//! window; each is on record with its evidence, whether it was performed or (in monitor mode) only
//! named; and where actions do not help, a person is told, once. Nothing of it is written into the
//! configuration: what is set aside is set aside beside it ([`Overrides`]), and given back when
//! what was sick is well, or nobody heals any more.
//!
//! Each second, and after each round of health checks: [`Evidence`] is gathered; [`remedies`] say
//! what is sick and what might cure it, the mildest first; [`decide`] picks what is due, knowing
//! what was done before ([`Memory`]); and the [`Healer`] does it. All but the first and the last
//! are functions of values. Monitor mode runs the same decisions with a memory of what it would
//! have set aside, and leaves out the doing.
//!
//! # How to add a remedy
//! A function in `remedies.rs` and its row in `REMEDIES`; for a new action, a variant of
//! [`Action`] with its words, and its doing in `healer.rs`, where the compiler asks for it.

mod action;
mod decide;
mod evidence;
mod healer;
mod memory;
mod remedies;
#[cfg(test)]
mod stories;

use std::time::Duration;

pub use self::action::{Action, Intervention};
pub use self::decide::decide;
pub use self::evidence::Evidence;
pub use self::healer::Healer;
pub use self::memory::Memory;
pub use self::remedies::{Ailment, Case, remedies};
use crate::clock::Tempo;
use crate::control::config::Healing;
#[cfg(doc)]
use crate::control::observe::Overrides;

/// The settings that decide how often and for how long, in real time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    pub cooldown: Duration,
    pub patience: Duration,
    pub limit: u32,
    pub window: Duration,
    pub release: Duration,
}

impl Pace {
    /// Times between actions follow the plan's time; what is about requests does not.
    pub fn of(healing: &Healing, tempo: Tempo) -> Self {
        Self {
            cooldown: tempo.to_real(healing.cooldown),
            patience: tempo.to_real(healing.patience),
            limit: healing.limit,
            window: tempo.to_real(healing.window),
            release: healing.release,
        }
    }
}
