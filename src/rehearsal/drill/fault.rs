//! What can go wrong, and how badly.
//!
//! How to add one: a variant, its row in [`Fault::ALL`] and its words; what it does stands in
//! `trial`.

use std::time::Duration;

use crate::judge::Metric;
use crate::judge::guard::Guard;
use crate::judge::limit::Limit;
use crate::rehearsal::legacy::Faults;
use crate::units::Percent;

/// The slowest answer in milliseconds that an upstream still gives in time, which is ten seconds
/// unless a plan says otherwise.
const SLOWEST: f64 = 9500.0;

/// A class of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The app answers a share of the requests with 500.
    Errors,
    /// The app takes longer than the guards allow.
    Latency,
    /// The app takes connections and never answers.
    Hang,
    /// The app refuses connections.
    AppDown,
    /// The monitoring server that a guard asks refuses connections.
    MetricsDown,
    /// The orchestrator dies of `kill -9`, and is started again, whenever the step is in force.
    CrashOrchestrator,
    /// `ctx` dies of `kill -9`; `ctx rollback` is the next that anybody does.
    CrashCtx,
    /// `ctx` dies of `kill -9` and nobody comes, until the orchestrator has taken back by itself
    /// what was provisional.
    CtxGone,
}

impl Fault {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 8] = [
        Self::Errors,
        Self::Latency,
        Self::Hang,
        Self::AppDown,
        Self::MetricsDown,
        Self::CrashOrchestrator,
        Self::CrashCtx,
        Self::CtxGone,
    ];

    /// What it is called on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Hang => "hang",
            Self::AppDown => "app-down",
            Self::MetricsDown => "metrics-down",
            Self::CrashOrchestrator => "crash-orchestrator",
            Self::CrashCtx => "crash-ctx",
            Self::CtxGone => "ctx-gone",
        }
    }

    /// Whether `ctx` itself is killed.
    pub(super) fn kills_ctx(self) -> bool {
        matches!(self, Self::CrashCtx | Self::CtxGone)
    }

    /// Whether it is the app that misbehaves.
    pub(super) fn is_of_app(self) -> bool {
        matches!(self, Self::Errors | Self::Latency | Self::Hang | Self::AppDown)
    }

    /// Whether it is there from the moment that a change is proposed, and found by guards.
    pub(super) fn is_of_surroundings(self) -> bool {
        self.is_of_app() || self == Self::MetricsDown
    }

    /// Whether most of its drill is waiting: for requests to time out, or a lease to lapse.
    pub(super) fn is_slow(self) -> bool {
        matches!(self, Self::Hang | Self::CtxGone)
    }

    /// How the app misbehaves, where it is the app that does: clearly beyond what `guards` allow,
    /// and no more than that.
    pub(super) fn of_app(self, guards: &[Guard]) -> Option<Faults> {
        let worst = |is: fn(Metric) -> bool| {
            let limits = guards.iter().filter(|guard| guard.measure.own().is_some_and(is));
            let bounds = limits.filter_map(|guard| match guard.limit {
                Limit::AtMost(bound) => Some(bound),
                Limit::AtLeast(_) => None,
            });
            bounds.fold(0.0, f64::max)
        };
        match self {
            Self::Errors => {
                let limit = worst(|metric| metric == Metric::ErrorRate);
                // Half of the requests, or more where even that is allowed.
                let share = (limit * 2.0).clamp(0.5, 1.0) * 1000.0;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is clamped to 500..=1000"
                )]
                let percent = (share as u32).div_ceil(10);
                Some(Faults { errors: Percent::whole(percent), ..Faults::default() })
            }
            Self::Latency => {
                let limit = worst(|metric| metric.name().starts_with("latency"));
                // Beyond the timeout it would be no slow answer, but none.
                let longest = SLOWEST.max(limit * 1.05);
                let ms = (limit * 2.0).clamp(1000.0, longest);
                let latency = Duration::from_secs_f64(ms / 1000.0);
                Some(Faults { latency, ..Faults::default() })
            }
            // Longer than anybody waits.
            Self::Hang => Some(Faults { latency: Duration::from_hours(1), ..Faults::default() }),
            Self::AppDown => Some(Faults { refuse: true, ..Faults::default() }),
            Self::MetricsDown | Self::CrashOrchestrator | Self::CrashCtx | Self::CtxGone => None,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name);
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == text)
            .ok_or_else(|| format!("the faults are {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_worse_than_the_guards_allow_and_named_once() {
        assert_eq!(Fault::Errors.of_app(&[]).unwrap().errors, Percent::whole(50));
        assert_eq!(Fault::Latency.of_app(&[]).unwrap().latency, Duration::from_secs(1));
        let slow: Guard = serde_json::from_value(serde_json::json!({
            "id": "slow", "metric": "latency_p95", "limit": { "at_most": 8000.0 }, "breaches": 3,
            "min_samples": 50, "every": "1s", "on_no_data": "fail", "patience": "5m",
        }))
        .unwrap();
        let latency = Fault::Latency.of_app(&[slow]).unwrap().latency;
        assert_eq!(latency, Duration::from_millis(9500), "answered in time all the same");
        assert!(Fault::AppDown.of_app(&[]).unwrap().refuse);
        assert_eq!(Fault::CrashCtx.of_app(&[]), None);
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
        }
        assert!("earthquake".parse::<Fault>().unwrap_err().contains("crash-ctx"));
    }
}
