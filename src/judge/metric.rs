//! The metrics that guards and criteria can name, each with its unit.
//!
//! How to add one: a variant, its row in [`Metric::ALL`], and its reading in
//! [`Metric::read`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::observe::{ExtensionState, Health, Metrics, Status};

/// A number that the orchestrator measures.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of answers with status 500 and above.
    ErrorRate,
    /// Time within which half of all answers came.
    LatencyP50,
    /// Time within which 95 of 100 answers came.
    LatencyP95,
    /// Time within which 99 of 100 answers came.
    LatencyP99,
    /// Requests per minute.
    Throughput,
    /// Share of all cores of the orchestrator's machine that is busy.
    Cpu,
    /// Share of that machine's memory that is used.
    Memory,
    /// 100% when every health check passes, else 0%.
    Healthy,
    /// Share of observed time without an incident.
    Uptime,
    /// Mean time to repair: how long incidents lasted; without any, 0s.
    Mttr,
    /// Mean time between failures; without any, the time observed.
    Mtbf,
    /// Share of compared shadow answers that were equal.
    Parity,
    /// Share of cacheable requests answered from the cache.
    CacheHitRatio,
    /// Share of upstream requests over pooled connections.
    PooledShare,
    /// Share of the orchestrator's programs that run in the version that is installed. Unknown
    /// while one is being started; all of none is all.
    ExtensionsUp,
}

/// What a metric's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 0..=1, written as a percentage.
    Ratio,
    /// Milliseconds, written as a duration.
    Milliseconds,
    /// Seconds, written as a duration.
    Seconds,
    /// Events a minute, written as a plain number.
    PerMinute,
    /// Anything else, written as a plain number.
    Number,
}

/// How far back an orchestrator can count answers; a sample that is wider loses its older part.
pub const KEPT: Duration = Duration::from_secs(10 * 60);

/// One reading of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Absent where there is nothing to compute it from.
    pub value: Option<f64>,
    /// How many observations it rests on; `None` where that has no meaning, as for cpu.
    pub samples: Option<u64>,
}

impl Metric {
    /// Every metric with its name and unit.
    pub const ALL: [(Self, &'static str, Unit); 15] = [
        (Self::ErrorRate, "error_rate", Unit::Ratio),
        (Self::LatencyP50, "latency_p50", Unit::Milliseconds),
        (Self::LatencyP95, "latency_p95", Unit::Milliseconds),
        (Self::LatencyP99, "latency_p99", Unit::Milliseconds),
        (Self::Throughput, "throughput", Unit::PerMinute),
        (Self::Cpu, "cpu", Unit::Ratio),
        (Self::Memory, "memory", Unit::Ratio),
        (Self::Healthy, "healthy", Unit::Ratio),
        (Self::Uptime, "uptime", Unit::Ratio),
        (Self::Mttr, "mttr", Unit::Seconds),
        (Self::Mtbf, "mtbf", Unit::Seconds),
        (Self::Parity, "parity", Unit::Ratio),
        (Self::CacheHitRatio, "cache_hit_ratio", Unit::Ratio),
        (Self::PooledShare, "pooled_share", Unit::Ratio),
        (Self::ExtensionsUp, "extensions_up", Unit::Ratio),
    ];

    fn row(self) -> &'static (Self, &'static str, Unit) {
        Self::ALL.iter().find(|(metric, ..)| *metric == self).expect("ALL has every metric")
    }

    /// The name in plans and messages.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The unit of its numbers.
    pub fn unit(self) -> Unit {
        self.row().2
    }

    /// Whether it is counted over a window, of which no more than [`KEPT`] is there.
    pub fn is_windowed(self) -> bool {
        use Metric::{Cpu, ExtensionsUp, Healthy, Memory, Mtbf, Mttr, Uptime};
        !matches!(self, Cpu | Memory | Healthy | Uptime | Mttr | Mtbf | ExtensionsUp)
    }

    /// Reads the metric from what an orchestrator reports.
    ///
    /// MTTR without a failure reads 0 s, and MTBF without a failure reads the time observed:
    /// the least that is certain in either case.
    #[expect(clippy::cast_precision_loss, reason = "counts within a window are far below 2^52")]
    pub fn read(self, metrics: &Metrics, health: &Health) -> Reading {
        let total = &metrics.total;
        let counts = &metrics.counts;
        let reliability = &health.reliability;
        let of = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let counted = |value, samples| Reading { value, samples: Some(samples) };
        let plain = |value| Reading { value, samples: None };
        let latency = |pick: fn(&crate::control::observe::Latency) -> f64| {
            counted(total.latency.as_ref().map(pick), total.requests)
        };
        match self {
            Self::ErrorRate => counted(total.error_rate(), total.requests),
            Self::LatencyP50 => latency(|l| l.p50_ms),
            Self::LatencyP95 => latency(|l| l.p95_ms),
            Self::LatencyP99 => latency(|l| l.p99_ms),
            Self::Throughput => {
                let window_ms = metrics.to_ms.saturating_sub(metrics.from_ms);
                let rate =
                    (window_ms > 0).then(|| total.requests as f64 * 60_000.0 / window_ms as f64);
                counted(rate, total.requests)
            }
            Self::Cpu => plain(metrics.host.cpu),
            Self::Memory => plain(metrics.host.memory),
            Self::Healthy => plain(match health.status {
                Status::Healthy => Some(1.0),
                Status::Unhealthy => Some(0.0),
                Status::Unknown => None,
            }),
            Self::Uptime => plain(reliability.uptime),
            Self::Mttr => plain(match reliability.failures {
                0 if reliability.observed_s > 0.0 => Some(0.0),
                _ => reliability.mttr_s,
            }),
            Self::Mtbf => plain(match reliability.failures {
                0 if reliability.observed_s > 0.0 => Some(reliability.observed_s),
                _ => reliability.mtbf_s,
            }),
            Self::Parity => {
                counted(of(counts.shadow_equal, counts.shadow_compared), counts.shadow_compared)
            }
            Self::CacheHitRatio => {
                let asked = counts.cache_hits + counts.cache_misses;
                counted(of(counts.cache_hits, asked), asked)
            }
            Self::PooledShare => {
                let sent = counts.pooled + counts.unpooled;
                counted(of(counts.pooled, sent), sent)
            }
            Self::ExtensionsUp => {
                let Some(all) = &metrics.extensions else { return plain(None) };
                let number = |state| all.iter().filter(|view| view.state == state).count() as u64;
                let up = of(number(ExtensionState::Running), all.len() as u64).unwrap_or(1.0);
                plain((number(ExtensionState::Starting) == 0).then_some(up))
            }
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map(|row| row.0).ok_or(())
    }
}

impl Unit {
    /// Prints a number of this unit as a plan would write it: `5%`, `500ms`, `24h`, `10000/min`.
    pub fn format(self, value: f64) -> String {
        use crate::units::duration;
        let span = |seconds: f64| {
            let duration = std::time::Duration::try_from_secs_f64(seconds.max(0.0));
            duration.map_or_else(|_| "for ever".to_owned(), duration::format)
        };
        let trim = |text: String| {
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        };
        match self {
            Self::Ratio => format!("{}%", trim(format!("{:.3}", value * 100.0))),
            Self::Milliseconds if value < 1000.0 => format!("{}ms", trim(format!("{value:.1}"))),
            Self::Milliseconds => span(value / 1000.0),
            Self::Seconds if value < 1.0 && value > 0.0 => {
                format!("{}ms", trim(format!("{:.1}", value * 1000.0)))
            }
            Self::Seconds => span(value.round()),
            Self::PerMinute => format!("{value:.0}/min"),
            Self::Number => trim(format!("{value:.3}")),
        }
    }

    /// Reads a number of this unit as a plan writes it.
    ///
    /// # Errors
    /// Says what the text should look like.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        use crate::units::{Percent, duration};
        match self {
            Self::Ratio => {
                text.parse::<Percent>().map(Percent::ratio).map_err(|error| error.to_string())
            }
            Self::Milliseconds => duration::parse(text)
                .map(|d| d.as_secs_f64() * 1000.0)
                .map_err(|error| error.to_string()),
            Self::Seconds => {
                duration::parse(text).map(|d| d.as_secs_f64()).map_err(|error| error.to_string())
            }
            Self::Number => text
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| format!("`{text}` is not a number")),
            Self::PerMinute => text
                .strip_suffix("/min")
                .unwrap_or(text)
                .parse::<f64>()
                .ok()
                .filter(|v| v.is_finite() && *v >= 0.0)
                .ok_or_else(|| format!("`{text}` is not a number of events a minute")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_once_and_reads_nothing_from_nothing() {
        let (metrics, health) = (Metrics::default(), Health::default());
        for (metric, name, _) in Metric::ALL {
            assert_eq!(name.parse(), Ok(metric));
            let json = serde_json::to_value(metric).unwrap();
            assert_eq!(json, name);
            assert_eq!(metric.read(&metrics, &health).value, None, "{name}");
        }
    }

    #[test]
    fn numbers_print_as_a_plan_writes_them() {
        assert_eq!(Unit::Ratio.format(0.05), "5%");
        assert_eq!(Unit::Ratio.format(0.9995), "99.95%");
        assert_eq!(Unit::Milliseconds.format(500.0), "500ms");
        assert_eq!(Unit::Milliseconds.format(12.34), "12.3ms");
        assert_eq!(Unit::Seconds.format(86_400.0), "1d");
        assert_eq!(Unit::PerMinute.format(10_000.0), "10000/min");
        assert_eq!(Unit::PerMinute.parse("10000/min"), Unit::PerMinute.parse("10000"));
        for (unit, text) in [(Unit::Ratio, "5%"), (Unit::Milliseconds, "500ms")] {
            assert_eq!(unit.format(unit.parse(text).unwrap()), text);
        }
    }
}
