//! Health checks and self-healing.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, duration};

/// Health checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Whether anything is checked.
    pub enabled: bool,
    /// Time from one check to the next.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub interval: Duration,
    /// Whether an incident raises an alert.
    pub alerts: bool,
}

/// Self-healing: when something is sick, how often something may be done about it, and how long
/// that has to help. It works while the flag `self_healing` and `health` are enabled.
///
/// Times between actions are times of the plan, which a rehearsal compresses; `look_back`,
/// `max_delay` and `release` are about requests, and so are real ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    /// Whether it acts.
    pub mode: HealingMode,
    /// Least time between two actions of the same kind on the same target, and the least time
    /// that an extension is left out.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub cooldown: Duration,
    /// How long an action has to help before the next one is tried, or a person is told.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub patience: Duration,
    /// How often the same action may be taken on the same target within `window`; at least 1.
    pub limit: u32,
    /// The time that `limit` counts over.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub window: Duration,
    /// How far back requests are counted, from 1s to 5m; a new revision begins anew.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub look_back: Duration,
    /// The fewest requests that say anything; at least 1.
    pub min_requests: u32,
    /// The share of failed requests from which on an extension is sick, and how much higher than
    /// that of the legacy app the share of a canary may be.
    pub max_errors: Percent,
    /// The wait for a free worker from which on events are too many, up to 2s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub max_delay: Duration,
    /// The most of new events that may be refused.
    pub max_shed: Percent,
    /// How long events must not have waited before a step fewer of them are refused.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub release: Duration,
}

impl Default for Healing {
    fn default() -> Self {
        Self {
            mode: HealingMode::Off,
            cooldown: Duration::from_secs(30),
            patience: Duration::from_mins(2),
            limit: 5,
            window: Duration::from_hours(1),
            look_back: Duration::from_secs(10),
            min_requests: 20,
            max_errors: Percent::whole(10),
            max_delay: Duration::from_millis(500),
            max_shed: Percent::whole(90),
            release: Duration::from_secs(5),
        }
    }
}

/// How far self-healing goes, while the flag `self_healing` is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealingMode {
    /// Nothing is looked at.
    Off,
    /// Records what it would do.
    Monitor,
    /// Does it, and records it.
    Recover,
}
