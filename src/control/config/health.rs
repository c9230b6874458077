//! Health checks and self-healing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::duration;

/// Health checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub enabled: bool,
    /// Time from one check to the next.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub interval: Duration,
    /// Whether an incident raises an alert.
    pub alerts: bool,
}

/// Self-healing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    pub mode: HealingMode,
    /// Least time between two actions of the same kind on the same target.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub cooldown: Duration,
}

/// How far self-healing goes, while the flag `self_healing` is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealingMode {
    Off,
    /// Records what it would do.
    Monitor,
    /// Does it, and records it.
    Recover,
}
