//! Servers that requests are forwarded to, and how connections to them are kept.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::duration;

/// A server that requests are forwarded to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://HOST:PORT`, without a path.
    pub url: String,
    /// How long a connection attempt may take.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub connect_timeout: Duration,
    /// How long an answer may take, from the first byte sent to the last byte received.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub timeout: Duration,
}

impl Upstream {
    /// The upstream at `url`, with the limits that it has unless others are given.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
        }
    }
}

/// Pooled connections to upstreams.
///
/// Which share of the requests uses the pool is the flag `connection_pooling`; the others get a
/// connection each, as the legacy client did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Idle connections kept per upstream and per gateway worker.
    pub max_idle: u32,
    /// How long an idle connection is kept; shorter than the upstream's own keep-alive, so that
    /// no request dies on a connection the upstream has just closed.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub idle_timeout: Duration,
}
