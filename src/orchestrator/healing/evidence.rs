//! What self-healing goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::control::config::Healing;
use crate::control::observe::{BreakerView, Check, ExtensionView, Window};
use crate::orchestrator::plane::Plane;

/// What is known at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The newest round of health checks.
    pub checks: Vec<Check>,
    /// Requests and failures by upstream, with those counted that no breaker may act upon.
    pub breakers: Vec<BreakerView>,
    /// Requests by who was asked, over the time that is looked back.
    pub arms: BTreeMap<String, Window>,
    /// The longest that an event waited for a worker within the last second.
    pub queue_delay: Duration,
    /// Whether scaling may still add workers, which is better than to refuse events.
    pub can_grow: bool,
    pub extensions: Vec<ExtensionView>,
}

impl Evidence {
    /// Reads what the plane has measured, but nothing from before `since_ms`, when the revision
    /// in force began. Checks, wait and scaling are the caller's to add.
    pub(super) fn gather(plane: &Plane, settings: &Healing, since_ms: u64) -> Self {
        let look_back = u64::try_from(settings.look_back.as_millis()).unwrap_or(u64::MAX);
        let from_ms = plane.now_ms().saturating_sub(look_back).max(since_ms);
        let breaker = &plane.active().config.breaker;
        Self {
            breakers: plane.breakers.view(breaker, plane.clock.boot()),
            arms: plane.metrics.snapshot(Some(from_ms), plane.now_ms()).arms,
            extensions: plane.extensions.views(),
            ..Self::default()
        }
    }
}
