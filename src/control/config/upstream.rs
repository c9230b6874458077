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
    /// What is different about the connections to this one; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<UpstreamPool>,
}

/// What is different about the connections to one upstream. What is absent is as in `pool`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamPool {
    /// Connections kept open at least, over all gateway workers together, while the flag
    /// `connection_pooling` is on for anybody; absent is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// Connections open at most, over all gateway workers together, pooled or not; absent is
    /// as many as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max: Option<u32>,
    /// Idle connections kept per gateway worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_idle: Option<u32>,
    /// How long an idle connection is kept.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::option")]
    #[schemars(with = "Option<duration::Text>")]
    pub idle_timeout: Option<Duration>,
    /// How long a request waits for a connection when there are `max` already; absent is 1s.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::option")]
    #[schemars(with = "Option<duration::Text>")]
    pub wait: Option<Duration>,
}

impl Upstream {
    /// The upstream at `url`, with the limits that it has unless others are given.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            pool: None,
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
