//! Circuit breakers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, duration};

/// When an upstream is not asked any more for a while: one breaker per upstream, for requests that
/// the flag `circuit_breaking` includes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The time that failures are counted over.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub window: Duration,
    /// The fewest requests within the window that say anything.
    pub min_requests: u32,
    /// The share of failed requests from which on it opens.
    pub max_failures: Percent,
    /// How long it stays open before it lets probes through.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub open_for: Duration,
    /// How many probes must succeed, one after the other, for it to close again.
    pub probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_requests: 20,
            max_failures: Percent::whole(50),
            open_for: Duration::from_secs(5),
            probes: 3,
        }
    }
}
