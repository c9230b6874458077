//! The loop behind health, self-healing and scaling: looks at what is due, and does it.

use std::sync::Arc;
use std::time::Duration;

use super::{host::Meter, interval, probe};
use crate::clock::{Leaps, rfc3339};
use crate::control::config::{Config, HealingMode, flag};
use crate::control::observe::Check;
use crate::orchestrator::control::server::Shared;
use crate::orchestrator::healing::{self, Memory};
use crate::orchestrator::scaling;
use crate::orchestrator::store::{Round, Store};

/// Time between two looks at what is due; health that was just switched on is checked this soon.
const LOOK: Duration = Duration::from_millis(100);
/// Time between two readings of the machine, and between two decisions about workers.
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
    /// What self-healing did before.
    healed: Memory,
}

impl Watcher {
    fn new(shared: Arc<Shared>, judge_cpu: bool) -> Self {
        let meter = Meter::new(&*shared.plane.clock);
        let (leaps, healed) = (Leaps::default(), Memory::default());
        Self { shared, meter, judge_cpu, leaps, read: None, checked: None, healed }
    }

    async fn look(&mut self) {
        let plane = Arc::clone(&self.shared.plane);
        let active = Arc::clone(&plane.active());
        let config = &active.config;
        let now = plane.clock.boot();
        let due = |last: Option<Duration>, every| last.is_none_or(|last| now >= last + every);
        if due(self.read, EVERY_SECOND) {
            self.read = Some(now);
            self.shared.vitals.set_host(self.meter.read(&*plane.clock));
            if let Some(ms) = self.leaps.look(&*plane.clock) {
                tracing::warn!(ms, "the wall clock was set; leases and deadlines do not follow it");
            }
            scaling::run(config, &plane);
        }
        if !config.health.enabled {
            if self.checked.take().is_some() {
                self.forget();
            }
        } else if due(self.checked, interval(config, plane.tempo)) {
            let checks = self.check(config).await;
            self.heal(config, &checks);
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

    /// Does, or says, what the checks ask for.
    fn heal(&mut self, config: &Config, checks: &[Check]) {
        let on = config.flags.get(flag::SELF_HEALING).is_some_and(|flag| flag.enabled);
        let plane = Arc::clone(&self.shared.plane);
        if !on || config.healing.mode == HealingMode::Off {
            return self.healed.forget(&plane);
        }
        let perform = config.healing.mode == HealingMode::Recover;
        let now = plane.clock.boot();
        let cooldown = plane.tempo.to_real(config.healing.cooldown);
        for (action, because) in healing::decide(now, cooldown, checks, &self.healed) {
            let text = action.to_string();
            tracing::warn!(action = text, because, performed = perform, "self-healing");
            self.healed.take(now, action, perform, &plane);
            let at_ms = plane.clock.wall().timestamp_millis();
            let recorded = self
                .shared
                .desk
                .with_store(|store| store.record_healing(at_ms, &text, &because, perform));
            if let Err(error) = recorded {
                tracing::error!(%error, "an action of self-healing is not on record");
            }
        }
    }

    /// Health is not watched (any more): what was open is over.
    fn forget(&mut self) {
        self.shared.vitals.set_checks(Vec::new(), None);
        self.healed.forget(&self.shared.plane);
        if let Err(error) = self.shared.desk.with_store(Store::end_incidents) {
            tracing::error!(%error, "incidents could not be ended");
        }
    }
}
