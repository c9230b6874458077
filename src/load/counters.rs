//! What load has met so far: counted while it runs, readable at any moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::control::observe::Latency;
use crate::judge::Metric;
use crate::judge::metric::Reading;

/// Longest latency that is told apart, in microseconds: longer than any timeout here.
const LONGEST_US: u64 = 120_000_000;

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Nobody listens.
    Refused,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection broke before the answer was complete.
    Reset,
    /// The answer was not complete in time.
    AnswerTimeout,
    /// Anything else, such as an answer that is not HTTP.
    Other,
}

impl FailureKind {
    pub const ALL: [Self; 5] =
        [Self::Refused, Self::ConnectTimeout, Self::Reset, Self::AnswerTimeout, Self::Other];

    /// The kind in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::ConnectTimeout => "connection timed out",
            Self::Reset => "connection reset",
            Self::AnswerTimeout => "answer timed out",
            Self::Other => "other failure",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Live counters. Each number is exact; two of them read together may be a request apart.
pub struct Counters {
    sent: AtomicU64,
    answered: AtomicU64,
    unexpected: AtomicU64,
    dropped: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
    /// By status, 0..1000.
    statuses: Vec<AtomicU64>,
    /// Microseconds from the intended start to the end of the answer.
    latency: Mutex<Histogram<u64>>,
}

impl Default for Counters {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are valid");
        Self {
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            unexpected: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failures: Default::default(),
            statuses: std::iter::repeat_with(|| AtomicU64::new(0)).take(1000).collect(),
            latency: Mutex::new(latency),
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl Counters {
    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request that should have been answered with `expect`.
    pub(super) fn count(&self, result: Result<u16, FailureKind>, expect: u16, took: Duration) {
        match result {
            Err(kind) => {
                self.failures[kind as usize].fetch_add(1, Ordering::Relaxed);
            }
            Ok(status) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                if status != expect {
                    self.unexpected.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(count) = self.statuses.get(usize::from(status)) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
                self.latency.lock().expect("recording does not panic").saturating_record(us.max(1));
            }
        }
    }

    /// Everything so far; `lasted` is for how long requests have been sent.
    pub fn outcome(&self, lasted: Duration) -> Outcome {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let failures = FailureKind::ALL.into_iter().zip(self.failures.iter().map(read));
        let statuses = (0..).zip(self.statuses.iter().map(read));
        Outcome {
            lasted,
            sent: read(&self.sent),
            answered: read(&self.answered),
            unexpected: read(&self.unexpected),
            dropped: read(&self.dropped),
            failures: failures.filter(|(_, n)| *n > 0).collect(),
            statuses: statuses.filter(|(_, n)| *n > 0).collect(),
            latency: quantiles(&self.latency.lock().expect("recording does not panic")),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
fn quantiles(histogram: &Histogram<u64>) -> Option<Latency> {
    let ms = |us: u64| us as f64 / 1000.0;
    (!histogram.is_empty()).then(|| Latency {
        p50_ms: ms(histogram.value_at_quantile(0.50)),
        p95_ms: ms(histogram.value_at_quantile(0.95)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        max_ms: ms(histogram.max()),
    })
}

/// What came of some load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// For how long requests were sent.
    #[serde(serialize_with = "crate::units::duration::serialize")]
    pub lasted: Duration,
    pub sent: u64,
    pub answered: u64,
    /// Answers with another status than the sender counts as right.
    pub unexpected: u64,
    /// Requests that were due and never sent, because too many were in flight.
    pub dropped: u64,
    pub failures: BTreeMap<FailureKind, u64>,
    pub statuses: BTreeMap<u16, u64>,
    /// From the intended start to the end of the answer; absent without answers.
    pub latency: Option<Latency>,
}

impl Outcome {
    /// Requests without an answer.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests without an answer, or with the wrong one.
    pub fn errors(&self) -> u64 {
        self.unexpected + self.failed()
    }

    /// Answers a minute.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn throughput(&self) -> f64 {
        self.answered as f64 * 60.0 / self.lasted.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Reads a metric as the sender saw it; metrics that only the orchestrator knows are empty.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn read(&self, metric: Metric) -> Reading {
        let ended = self.answered + self.failed();
        let value = match metric {
            Metric::ErrorRate => (ended > 0).then(|| self.errors() as f64 / ended as f64),
            Metric::LatencyP50 => self.latency.map(|l| l.p50_ms),
            Metric::LatencyP95 => self.latency.map(|l| l.p95_ms),
            Metric::LatencyP99 => self.latency.map(|l| l.p99_ms),
            Metric::Throughput => (ended > 0).then(|| self.throughput()),
            _ => return Reading { value: None, samples: None },
        };
        Reading { value, samples: Some(ended) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once_where_it_belongs() {
        let counters = Counters::default();
        let ms = Duration::from_millis;
        for _ in 0..10 {
            counters.count_sent();
        }
        for n in 1..=7 {
            counters.count(Ok(200), 200, ms(n));
        }
        counters.count(Ok(500), 200, ms(8));
        counters.count(Ok(500), 500, ms(9));
        counters.count(Err(FailureKind::Refused), 200, ms(1));
        counters.count_dropped();
        let outcome = counters.outcome(Duration::from_secs(6));
        assert_eq!((outcome.sent, outcome.answered, outcome.dropped), (10, 9, 1));
        assert_eq!((outcome.unexpected, outcome.failed(), outcome.errors()), (1, 1, 2));
        assert_eq!(outcome.statuses, BTreeMap::from([(200, 7), (500, 2)]));
        assert_eq!(outcome.read(Metric::ErrorRate).value, Some(0.2));
        assert_eq!(outcome.read(Metric::Throughput).value, Some(90.0));
        assert_eq!(outcome.read(Metric::Cpu).value, None);
        let p50 = outcome.read(Metric::LatencyP50).value.unwrap();
        assert!((p50 - 5.0).abs() < 0.01, "{p50}");
    }

    #[test]
    fn nothing_sent_reads_as_nothing() {
        let outcome = Counters::default().outcome(Duration::ZERO);
        for (metric, ..) in Metric::ALL {
            assert_eq!(outcome.read(metric).value, None, "{metric}");
        }
    }
}
