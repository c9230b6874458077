//! What the data plane and the control plane share: the configuration in force.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::clock::{Clock, Tempo};
use crate::control::config::Config;

/// One revision of the configuration, as the gateway uses it. Never changed, only replaced.
#[derive(Debug)]
pub struct Active {
    pub rev: u64,
    pub config: Config,
}

/// The shared heart of an orchestrator.
pub struct Plane {
    active: ArcSwap<Active>,
    pub clock: Arc<dyn Clock>,
    /// Plan time per real time, for uptime, MTTR and MTBF.
    pub tempo: Tempo,
    /// [`Clock::boot`] when the orchestrator started.
    pub started: Duration,
}

impl Plane {
    pub fn new(active: Active, clock: Arc<dyn Clock>, tempo: Tempo) -> Self {
        let started = clock.boot();
        Self { active: ArcSwap::from_pointee(active), clock, tempo, started }
    }

    /// The configuration in force, without a lock.
    pub fn active(&self) -> Guard<Arc<Active>> {
        self.active.load()
    }

    /// Puts a revision in force. Only after it is durable in the store.
    pub fn activate(&self, active: Active) {
        self.active.store(Arc::new(active));
    }

    /// Milliseconds since the orchestrator started, as in `GET /v1/metrics`.
    pub fn now_ms(&self) -> u64 {
        let up = self.clock.boot().saturating_sub(self.started);
        u64::try_from(up.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("rev", &self.active().rev).finish_non_exhaustive()
    }
}
