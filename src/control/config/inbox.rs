//! The durable inbox.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::duration;

/// Events that are stored before they are acknowledged, for events that the own processor takes
/// and the flag `durable_inbox` includes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Which events it takes.
    pub mode: InboxMode,
    /// How often a handler may answer with a failure before the event goes to the dead letters.
    /// Attempts that reach no handler do not count: the event is not to blame.
    pub max_attempts: u32,
    /// How long an event is tried at all before it goes to the dead letters.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub give_up: Duration,
    /// The longest wait before the second attempt; it doubles from attempt to attempt, and the wait
    /// itself is drawn at random between half of it and all.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub first_retry: Duration,
    /// The longest wait between two attempts.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub max_retry: Duration,
    /// How long a delivery is remembered, so that the same one again is answered and not run.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub remember: Duration,
    /// How many stored events may wait; beyond that, senders are told to come again.
    pub capacity: u64,
    /// How many stored events are handled at the same time.
    pub concurrency: u32,
}

/// When an event is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboxMode {
    /// With its handler's answer, whatever that is.
    Off,
    /// With its handler's answer; where that is a failure, the event is stored, acknowledged with
    /// 200, and tried again.
    Rescue,
    /// With 200 as soon as it is stored; handled after that.
    Store,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            mode: InboxMode::Off,
            max_attempts: 12,
            give_up: Duration::from_hours(24),
            first_retry: Duration::from_secs(1),
            max_retry: Duration::from_secs(60),
            // Linear and GitHub send again for up to 7 days.
            remember: Duration::from_hours(8 * 24),
            capacity: 100_000,
            concurrency: 64,
        }
    }
}
