//! The scaling of workers and replicas.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, duration};

/// Scaling of the event workers, while the flag `auto_scaling` is enabled; and by the same rules,
/// but for `min` and `max`, of the replicas of extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Fewest workers; also the number while scaling is off.
    pub min: u32,
    /// Most workers.
    pub max: u32,
    /// The share of busy workers that scaling aims at; above 0%.
    pub target: Percent,
    /// The wait for a free worker beyond which there are too few of them, up to 2s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub queue_delay: Duration,
    /// How long the load must have asked for fewer before there are, up to 1h. In real time, as
    /// the load is.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub stabilization: Duration,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            min: 2,
            max: 8,
            target: Percent::whole(70),
            queue_delay: Duration::from_millis(50),
            stabilization: Duration::from_mins(1),
        }
    }
}
