//! The answer cache.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::duration;

/// The answer cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub mode: CacheMode,
    /// How long an answer may be served again.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub ttl: Duration,
    /// How many answers are kept at most.
    pub capacity: u64,
}

/// What the cache does, for requests that the flag `caching_layer` includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// Nothing is looked up and nothing is stored.
    Off,
    /// Reads are answered from the cache, and fill it when they miss.
    Read,
    /// As `read`; and answers to events are stored under their delivery id, so that a repeated
    /// delivery gets the first answer without running again.
    Write,
}
