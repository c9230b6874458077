//! What came of the load, as one document, and what must be said about it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::fleet::Pace;
use super::tally::Tally;
use super::threshold::Judged;
use crate::error::count;
use crate::load::counters::FailureKind;
use crate::units::duration;

/// The share of the wanted rate under which it counts as not reached.
const REACHED: f64 = 0.98;
/// A thread that is busier than this has no time left.
const FULL: f64 = 0.9;
/// Own lateness, at the 99th percentile, from which latencies are in doubt.
const LAG_MS: f64 = 5.0;

/// The result of `ctx load`, schema `ctx.load/1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub schema: &'static str,
    pub url: String,
    /// `open` or `closed`.
    pub model: &'static str,
    /// From the start to when the last request left; at least the time asked for.
    pub lasted_s: f64,
    /// Requests a second over that time; absent in a closed loop.
    pub rate_wanted: Option<f64>,
    /// Answers a second over that time.
    pub rate_reached: f64,
    pub sent: u64,
    pub answered: u64,
    /// Failures, wrong statuses, and what was never sent.
    pub errors: u64,
    /// Of all requests that were due; absent without any.
    pub error_rate: Option<f64>,
    pub statuses: BTreeMap<u16, u64>,
    /// Answers that count as wrong: 400 and above, or another one than a webhook expects.
    pub unexpected: u64,
    pub failures: BTreeMap<FailureKind, u64>,
    /// Due, and without a connection until their timeout was over.
    pub unsent: u64,
    /// Found no connection free when they were due.
    pub waited: u64,
    /// From when latencies count.
    pub latency_from: String,
    pub latency: Option<Spread>,
    /// How late requests left though a connection was free.
    pub lag: Option<Spread>,
    /// Processor time of the busiest thread by its life.
    pub busy: f64,
    pub warnings: Vec<String>,
    pub thresholds: Vec<Judged>,
}

/// A distribution in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub p99_9_ms: f64,
    pub max_ms: f64,
}

impl Spread {
    /// `None` of nothing.
    #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self {
            mean_ms: histogram.mean() / 1000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1000.0,
        })
    }
}

impl Summary {
    /// Of what was counted; `elapsed` is until an interrupt, if there was one.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn new(url: String, pace: &Pace, tally: &Tally, interrupted: Option<Duration>) -> Self {
        let (model, asked, latency_from) = match pace {
            Pace::Open(schedule) => {
                ("open", schedule.lasts(), "when each request was due".to_owned())
            }
            Pace::Closed { lasts, requests, interval } => {
                let asked = if requests.is_some() { Duration::ZERO } else { *lasts };
                let from = "when each request was sent: service times, which leave out what waited";
                let from = interval.map_or(from.to_owned(), |interval| {
                    format!(
                        "when each request was sent, corrected for one every {}",
                        duration::format(interval)
                    )
                });
                ("closed", asked, from)
            }
        };
        let lasted = interrupted.unwrap_or_else(|| asked.max(tally.last_sent));
        let seconds = lasted.as_secs_f64().max(1e-6);
        let due = tally.sent + tally.unsent;
        let rate_wanted = match pace {
            Pace::Open(schedule) => {
                let all = (asked.as_secs_f64()).max(1e-6);
                let area: f64 = schedule
                    .stages()
                    .iter()
                    .map(|s| f64::midpoint(s.from, s.to) * s.lasts.as_secs_f64())
                    .sum();
                let total: f64 = schedule.stages().iter().map(|s| s.lasts.as_secs_f64()).sum();
                let limited = all < total - 1e-9;
                Some(if limited || interrupted.is_some() {
                    due as f64 / seconds.min(all)
                } else {
                    area / all
                })
            }
            Pace::Closed { .. } => None,
        };
        let mut summary = Self {
            schema: "ctx.load/1",
            url,
            model,
            lasted_s: lasted.as_secs_f64(),
            rate_wanted,
            rate_reached: tally.answered as f64 / seconds,
            sent: tally.sent,
            answered: tally.answered,
            errors: tally.errors(),
            error_rate: (due > 0).then(|| tally.errors() as f64 / due as f64),
            statuses: tally.statuses(),
            unexpected: tally.unexpected,
            failures: tally.failures(),
            unsent: tally.unsent,
            waited: tally.waited,
            latency_from,
            latency: Spread::of(tally.latency()),
            lag: Spread::of(tally.lag()),
            busy: tally.busy,
            warnings: Vec::new(),
            thresholds: Vec::new(),
        };
        summary.warnings = summary.doubts();
        summary
    }

    /// What a reader must know before believing the figures.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let behind = self.rate_wanted.is_some_and(|wanted| self.rate_reached < wanted * REACHED);
        let lag = self.lag.map_or(0.0, |lag| lag.p99_ms);
        if behind && self.busy > FULL {
            doubts.push(format!(
                "the generator itself could not keep up: its busiest thread was {:.0}% busy; use more \
                 --threads, or a lower rate",
                self.busy * 100.0
            ));
        } else if self.rate_wanted.is_some() && lag > LAG_MS {
            doubts.push(format!(
                "the generator itself was late: 1% of requests left {lag:.1}ms after they were due, or \
                 more, and their latency counts that too; the machine has no processor free for it"
            ));
        } else if behind && self.waited > 0 && self.answered > 0 {
            let waited = usize::try_from(self.waited).unwrap_or(usize::MAX);
            doubts.push(format!(
                "the rate was not reached: {} found every connection taken; the server is too \
                 slow for it, or --connections too few",
                count(waited, "request")
            ));
        }
        doubts
    }

    /// Whether all thresholds are met.
    pub fn met(&self) -> bool {
        self.thresholds.iter().all(|judged| judged.met)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::{Schedule, Stage};
    use super::*;

    fn open(rate: f64) -> Pace {
        Pace::Open(Schedule::new(vec![Stage::hold(Duration::from_secs(10), rate)], None))
    }

    #[test]
    fn a_rate_that_was_not_reached_is_blamed_on_whoever_was_slow() {
        let summary = |busy: f64, lag_ms: u64| {
            let mut tally = Tally::default();
            (tally.sent, tally.waited, tally.busy) = (500, 400, busy);
            (0..500).for_each(|_| tally.answer(200, true, Duration::from_millis(5), None));
            tally.late(Duration::from_millis(lag_ms));
            Summary::new(String::new(), &open(100.0), &tally, None)
        };
        let check = |busy, lag_ms, words: &str| {
            let warnings = summary(busy, lag_ms).warnings.join("\n");
            assert!(warnings.contains(words), "{warnings}");
        };
        check(0.2, 1, "the server is too slow for it");
        check(0.99, 1, "the generator itself could not keep up");
        check(0.2, 50, "the generator itself was late");
        assert!((summary(0.2, 1).rate_reached - 50.0).abs() < 1e-9);
        assert_eq!(summary(0.2, 1).rate_wanted, Some(100.0));
        // Where nobody answers, nobody is slow.
        let mut tally = Tally::default();
        (tally.sent, tally.waited) = (10, 1);
        (0..10).for_each(|_| tally.failure(FailureKind::Refused, Duration::from_millis(1), None));
        let summary = Summary::new(String::new(), &open(100.0), &tally, None);
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    }

    #[test]
    fn every_request_that_was_due_counts() {
        let mut tally = Tally::default();
        (tally.sent, tally.waited) = (4, 0);
        tally.answer(200, true, Duration::from_millis(1), None);
        tally.answer(503, false, Duration::from_millis(1), None);
        tally.failure(FailureKind::Reset, Duration::from_millis(1), None);
        tally.failure(FailureKind::AnswerTimeout, Duration::from_secs(10), None);
        tally.unsent(Duration::from_secs(11));
        let summary = Summary::new(String::new(), &open(100.0), &tally, None);
        assert_eq!((summary.errors, summary.error_rate), (4, Some(0.8)));
        let max = summary.latency.unwrap().max_ms;
        assert!(max >= 11_000.0, "what never left has waited longest: {max}");
    }

    #[test]
    fn a_closed_loop_is_corrected_where_an_interval_is_expected() {
        let service = |interval| {
            let mut tally = Tally::default();
            (0..99).for_each(|_| tally.answer(200, true, Duration::from_millis(1), interval));
            tally.answer(200, true, Duration::from_secs(1), interval);
            Spread::of(tally.latency()).unwrap().p90_ms
        };
        assert!(service(None) < 2.0);
        assert!(service(Some(Duration::from_millis(10))) > 500.0);
    }
}
