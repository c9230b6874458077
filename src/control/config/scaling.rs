//! Shares and numbers: the canary, and the scaling of workers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Percent;

/// A second upstream that takes a share of what would go to `legacy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The name of the upstream.
    pub upstream: String,
    /// Its share of the traffic.
    pub weight: Percent,
}

/// Scaling of the event workers, while the flag `auto_scaling` is enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Fewest workers; also the number while scaling is off.
    pub min: u32,
    /// Most workers.
    pub max: u32,
    /// The share of busy workers that scaling aims at.
    pub target: Percent,
}
