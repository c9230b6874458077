//! The loop behind health, self-healing and scaling: looks at what is due, and does it.

use std::sync::Arc;
use std::time::Duration;

use super::{host::Meter, interval, probe};
use crate::clock::{Leaps, rfc3339};
use crate::control::config::Config;
use crate::control::observe::Check;
use crate::orchestrator::control::server::Shared;
use crate::orchestrator::healing::Healer;
use crate::orchestrator::scaling::Scaler;
use crate::orchestrator::store::{Round, Store};

/// Time between two looks at what is due; health that was just switched on is checked this soon.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two readings of the machine, and between two decisions of scaling and healing.
const EVERY_SECOND: Duration = Duration::from_secs(1);

/// Watches until dropped.
pub async fn watch(shared: Arc<Shared>, judge_cpu: bool) {
    let mut watcher = Watcher::new(shared, judge_cpu);
    watcher.forget();
    loop {
        watcher.look().await;
        tokio::time::sleep(LOOK).await;
    }
}

struct Watcher {
    shared: Arc<Shared>,
    meter: Meter,
    judge_cpu: bool,
    leaps: Leaps,
    /// When the machine was last read.
    read: Option<Duration>,
    /// When the last round of checks ended, while health is on.
    checked: Option<Duration>,
    /// What the last round found.
    checks: Vec<Check>,
    /// The longest wait for a worker within the last full second.
    waited: Duration,
    healer: Healer,
    scaler: Scaler,
}

impl Watcher {
    fn new(shared: Arc<Shared>, judge_cpu: bool) -> Self {
        let meter = Meter::new(&*shared.plane.clock);
        Self {
            shared,
            meter,
            judge_cpu,
            leaps: Leaps::default(),
            read: None,
            checked: None,
            checks: Vec::new(),
            waited: Duration::ZERO,
            healer: Healer::default(),
            scaler: Scaler::default(),
        }
    }

    async fn look(&mut self) {
        let plane = Arc::clone(&self.shared.plane);
        let active = Arc::clone(&plane.active());
        let config = &active.config;
        let now = plane.clock.boot();
        let due = |last: Option<Duration>, every| last.is_none_or(|last| now >= last + every);
        self.scaler.sample(&plane);
        let mut look = false;
        if due(self.read, EVERY_SECOND) {
            self.read = Some(now);
            self.shared.vitals.set_host(self.meter.read(&*plane.clock));
            if let Some(ms) = self.leaps.look(&*plane.clock) {
                tracing::warn!(ms, "the wall clock was set; leases and deadlines do not follow it");
            }
            self.waited = plane.load.read_wait();
            self.scaler.run(config, &plane, self.waited);
            look = true;
        }
        if !config.health.enabled {
            if self.checked.take().is_some() {
                self.forget();
            }
        } else if due(self.checked, interval(config, plane.tempo)) {
            self.checks = self.check(config).await;
            look = true;
        }
        if look {
            self.healer.look(&self.shared, &self.checks, self.waited);
        }
    }

    /// Does a round of checks and puts it on record.
    async fn check(&mut self, config: &Config) -> Vec<Check> {
        let clock = Arc::clone(&self.shared.plane.clock);
        let store = self.shared.desk.ping().map_err(|error| error.to_string());
        let at = rfc3339(clock.wall());
        let (host, running) = (self.shared.vitals.host(), self.shared.plane.extensions.views());
        let mut checks = probe::round(config, host, store, &running, &at).await;
        checks.retain(|check| self.judge_cpu || check.name != probe::CPU);
        let now = clock.boot();
        let elapsed = self.checked.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        self.checked = Some(now);
        self.shared.vitals.set_checks(checks.clone(), Some(now));
        let round = Round {
            at_ms: clock.wall().timestamp_millis(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            checks,
        };
        match self.shared.desk.with_store(|store| store.record_round(&round)) {
            Ok(began) if config.health.alerts => {
                let alerts = round.checks.iter().filter(|check| began.contains(&check.name));
                alerts.for_each(|check| self.shared.vitals.alert(check));
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a round of health checks is not on record"),
        }
        round.checks
    }

    /// Health is not watched (any more): what was open is over.
    fn forget(&mut self) {
        self.shared.vitals.set_checks(Vec::new(), None);
        self.checks.clear();
        self.healer.forget(&self.shared);
        if let Err(error) = self.shared.desk.with_store(Store::end_incidents) {
            tracing::error!(%error, "incidents could not be ended");
        }
    }
}
