//! Health: what is checked, what was found, and what that says about reliability.
//!
//! Law: not knowing is not being healthy. When checks are off, have not run yet, or are older
//! than two intervals, the status is unknown.
//!
//! A round of checks (`probe`) runs on an interval ([`watch()`]); its results are kept here for
//! the next answer and in the store for ever after, incidents with them. What follows from an
//! unhealthy check is decided in [`healing`](super::healing).

mod host;
mod probe;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::watch::watch;
use super::store::Observed;
use crate::clock::Tempo;
use crate::control::config::Config;
use crate::control::observe::{Check, Escalation, Host, Reliability, Status};

/// The use of processor or memory that is too much.
const LIMIT: f64 = 0.95;
/// Shortest time between two rounds: a rehearsal compresses the interval, but not below this.
const SHORTEST: Duration = Duration::from_millis(100);

/// The newest readings.
#[derive(Debug, Default)]
pub struct Vitals {
    readings: Mutex<Readings>,
    alerts: AtomicU64,
    escalations: AtomicU64,
}

#[derive(Debug, Default)]
struct Readings {
    host: Host,
    checks: Vec<Check>,
    /// When the checks were done, on the monotonic clock.
    checked: Option<Duration>,
    /// What self-healing could not cure, while it is sick.
    escalated: Vec<Escalation>,
}

impl Vitals {
    /// The machine's use.
    pub fn host(&self) -> Host {
        self.lock().host
    }

    /// Alerts: incidents, where they raise one, and escalations of self-healing.
    pub fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Relaxed)
    }

    /// How often self-healing gave up and told a person.
    pub fn escalations(&self) -> u64 {
        self.escalations.load(Ordering::Relaxed)
    }

    /// What it told of and is sick still, in the order in which it began.
    pub fn escalated(&self) -> Vec<Escalation> {
        self.lock().escalated.clone()
    }

    /// Tells a person that nothing has helped: an alert, whether or not incidents raise them.
    pub fn escalate(&self, escalation: Escalation) {
        self.alerts.fetch_add(1, Ordering::Relaxed);
        self.escalations.fetch_add(1, Ordering::Relaxed);
        let Escalation { what, because, .. } = &escalation;
        tracing::error!(what, because, "alert: self-healing does not help");
        let mut readings = self.lock();
        readings.escalated.retain(|told| told.what != escalation.what);
        readings.escalated.push(escalation);
    }

    /// Keeps what is sick still.
    pub fn keep_escalated(&self, sick: impl Fn(&str) -> bool) {
        self.lock().escalated.retain(|told| sick(&told.what));
    }

    /// The newest checks and what they come to, at `now`.
    pub fn checks(&self, config: &Config, tempo: Tempo, now: Duration) -> (Status, Vec<Check>) {
        // What was found before checks were turned off says nothing about now.
        if !config.health.enabled {
            return (Status::Unknown, Vec::new());
        }
        let readings = self.lock();
        let fresh = readings.checked.is_some_and(|at| {
            now.saturating_sub(at) <= interval(config, tempo) * 2 + slowest(config)
        });
        let status = if fresh { overall(&readings.checks) } else { Status::Unknown };
        (status, readings.checks.clone())
    }

    fn set_host(&self, host: Host) {
        self.lock().host = host;
    }

    fn set_checks(&self, checks: Vec<Check>, at: Option<Duration>) {
        let mut readings = self.lock();
        readings.checks = checks;
        readings.checked = at;
    }

    fn alert(&self, check: &Check) {
        self.alerts.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(check = check.name, detail = check.detail, "alert: an incident began");
    }

    fn lock(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The real time from one round to the next.
fn interval(config: &Config, tempo: Tempo) -> Duration {
    tempo.to_real(config.health.interval).max(SHORTEST)
}

/// The longest that a round may take by its own timeouts.
fn slowest(config: &Config) -> Duration {
    let limits = config.upstreams.values().map(|u| u.connect_timeout + u.timeout);
    limits.max().unwrap_or_default()
}

fn overall(checks: &[Check]) -> Status {
    let any = |status| checks.iter().any(|check| check.status == status);
    if any(Status::Unhealthy) {
        Status::Unhealthy
    } else if checks.is_empty() || any(Status::Unknown) {
        Status::Unknown
    } else {
        Status::Healthy
    }
}

/// Uptime, MTTR and MTBF in plan time.
///
/// MTTR is the mean length of finished incidents; MTBF the time without an incident per incident
/// that began.
#[expect(clippy::cast_precision_loss, reason = "counts of incidents are far below 2^52")]
pub fn reliability(observed: Observed, tempo: Tempo) -> Reliability {
    let Observed { total_ms, down_ms, failures, repairs, repair_ms } = observed;
    let plan_s = |ms: u64| tempo.to_plan(Duration::from_millis(ms)).as_secs_f64();
    let (total, down) = (plan_s(total_ms), plan_s(down_ms));
    Reliability {
        observed_s: total,
        uptime: (total > 0.0).then(|| 1.0 - down / total),
        failures,
        mttr_s: (repairs > 0).then(|| plan_s(repair_ms) / repairs as f64),
        mtbf_s: (failures > 0).then(|| (total - down) / failures as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: Status) -> Check {
        Check { name: "x".to_owned(), status, detail: String::new(), at: String::new() }
    }

    #[test]
    fn unknown_is_not_healthy() {
        let (good, bad, odd) = (Status::Healthy, Status::Unhealthy, Status::Unknown);
        for (statuses, expect) in
            [(&[][..], odd), (&[good, good], good), (&[good, odd], odd), (&[good, odd, bad], bad)]
        {
            let checks: Vec<Check> = statuses.iter().copied().map(check).collect();
            assert_eq!(overall(&checks), expect);
        }
    }

    #[test]
    fn old_checks_say_nothing() {
        let vitals = Vitals::default();
        let mut config = Config::legacy("http://127.0.0.1:8000");
        config.health.enabled = true;
        let status = |now| vitals.checks(&config, Tempo::default(), Duration::from_secs(now)).0;
        assert_eq!(status(0), Status::Unknown, "nothing was checked yet");
        vitals.set_checks(vec![check(Status::Healthy)], Some(Duration::from_secs(100)));
        // Two intervals of 30 s, and 12 s that the checks themselves may take.
        assert_eq!(status(172), Status::Healthy);
        assert_eq!(status(173), Status::Unknown);
        config.health.enabled = false;
        let found = vitals.checks(&config, Tempo::default(), Duration::from_secs(172));
        assert_eq!(found, (Status::Unknown, Vec::new()), "nobody checks any more");
    }

    #[test]
    fn reliability_is_counted_in_plan_time() {
        let observed = Observed {
            total_ms: 100_000,
            down_ms: 10_000,
            failures: 3,
            repairs: 2,
            repair_ms: 8000,
        };
        let real = reliability(observed, Tempo::default());
        assert_eq!(real.uptime, Some(0.9));
        assert_eq!((real.mttr_s, real.mtbf_s), (Some(4.0), Some(30.0)));
        let rehearsed = reliability(observed, Tempo::new(60.0).unwrap());
        assert_eq!(rehearsed.uptime, Some(0.9));
        assert_eq!((rehearsed.mttr_s, rehearsed.mtbf_s), (Some(240.0), Some(1800.0)));
        let nothing = reliability(Observed::default(), Tempo::default());
        assert_eq!((nothing.uptime, nothing.mttr_s, nothing.mtbf_s), (None, None, None));
    }

    #[test]
    fn a_rehearsal_checks_often_but_not_too_often() {
        let config = Config::legacy("http://127.0.0.1:8000");
        let real = |factor| interval(&config, Tempo::new(factor).unwrap());
        assert_eq!(real(1.0), Duration::from_secs(30));
        assert_eq!(real(100.0), Duration::from_millis(300));
        assert_eq!(real(1e6), Duration::from_millis(100));
    }
}
