//! What load must keep to: `p95<100ms`, `errors<1%`, `rate>=900/s`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::schedule;
use super::summary::Summary;

/// A bound for one figure of a summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// As it was written.
    text: String,
    figure: Figure,
    sense: Sense,
    /// Milliseconds, a share, a count, or requests a second, as the figure has it.
    limit: f64,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
    Mean,
    /// Errors as a share of all requests.
    ErrorShare,
    Errors,
    Rate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// Why a text is no threshold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no threshold; write it like `p95<100ms`, `errors<1%`, `errors<=0` or `rate>=900/s`"
)]
pub struct ThresholdError(pub String);

/// A threshold, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    pub threshold: String,
    /// In the figure's own unit, as what follows: milliseconds, a share of 1, a count, or requests
    /// a second.
    pub limit: f64,
    /// Absent without data.
    pub actual: Option<f64>,
    pub met: bool,
    /// How far from the limit it was, when it is not met.
    pub missed_by: Option<f64>,
    /// What it was, in words.
    #[serde(skip)]
    pub shown: String,
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let parsed = || {
            let at = text.find(['<', '>'])?;
            let (name, rest) = (text[..at].trim(), &text[at..]);
            let (sense, value) = match rest.as_bytes() {
                [b'<', b'=', ..] => (Sense::AtMost, &rest[2..]),
                [b'<', ..] => (Sense::Below, &rest[1..]),
                [b'>', b'=', ..] => (Sense::AtLeast, &rest[2..]),
                _ => (Sense::Above, &rest[1..]),
            };
            let (figure, limit) = limit(name, value.trim())?;
            Some(Self { text: text.to_owned(), figure, sense, limit })
        };
        parsed().ok_or_else(|| ThresholdError(text.to_owned()))
    }
}

fn limit(name: &str, value: &str) -> Option<(Figure, f64)> {
    let figure = match name {
        "p50" => Figure::P50,
        "p90" => Figure::P90,
        "p95" => Figure::P95,
        "p99" => Figure::P99,
        "p99.9" => Figure::P999,
        "max" => Figure::Max,
        "mean" => Figure::Mean,
        "rate" => return Some((Figure::Rate, schedule::rate(value).ok()?)),
        "errors" => {
            return match value.strip_suffix('%') {
                Some(share) => Some((Figure::ErrorShare, positive(share)? / 100.0)),
                None => Some((Figure::Errors, positive(value)?)),
            };
        }
        _ => return None,
    };
    let at = value.find(|c: char| c.is_alphabetic())?;
    let unit = match &value[at..] {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some((figure, positive(&value[..at])? * unit))
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

impl Threshold {
    /// Compares it with what came of the load. A figure without data is not met: silence is no
    /// proof.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn judge(&self, summary: &Summary) -> Judged {
        let ms = |pick: fn(&super::summary::Spread) -> f64| summary.latency.as_ref().map(pick);
        let (actual, unit) = match self.figure {
            Figure::P50 => (ms(|l| l.p50_ms), "ms"),
            Figure::P90 => (ms(|l| l.p90_ms), "ms"),
            Figure::P95 => (ms(|l| l.p95_ms), "ms"),
            Figure::P99 => (ms(|l| l.p99_ms), "ms"),
            Figure::P999 => (ms(|l| l.p99_9_ms), "ms"),
            Figure::Max => (ms(|l| l.max_ms), "ms"),
            Figure::Mean => (ms(|l| l.mean_ms), "ms"),
            Figure::ErrorShare => (summary.error_rate, "%"),
            Figure::Errors => (summary.error_rate.map(|_| summary.errors as f64), ""),
            Figure::Rate => (Some(summary.rate_reached), "/s"),
        };
        let met = actual.is_some_and(|actual| match self.sense {
            Sense::Below => actual < self.limit,
            Sense::AtMost => actual <= self.limit,
            Sense::Above => actual > self.limit,
            Sense::AtLeast => actual >= self.limit,
        });
        let missed_by = actual.filter(|_| !met).map(|actual| (actual - self.limit).abs());
        let shown = match (actual, missed_by) {
            (None, _) => "no data".to_owned(),
            (Some(actual), None) => amount(actual, unit),
            (Some(actual), Some(by)) => {
                let side = match self.sense {
                    Sense::Below | Sense::AtMost => "too much",
                    Sense::Above | Sense::AtLeast => "too little",
                };
                let (actual, by) = (amount(actual, unit), amount(by, unit));
                // At the limit itself there is nothing to add.
                let by = Some(by).filter(|by| *by != amount(0.0, unit));
                by.map_or(actual.clone(), |by| format!("{actual}, {by} {side}"))
            }
        };
        let (threshold, limit) = (self.text.clone(), self.limit);
        Judged { threshold, limit, actual, met, missed_by, shown }
    }
}

/// A figure with its unit.
fn amount(value: f64, unit: &str) -> String {
    match unit {
        "%" => format!("{:.2}%", value * 100.0),
        "" => format!("{value}"),
        "ms" if value < 10.0 => format!("{value:.2}ms"),
        unit => format!("{value:.1}{unit}"),
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.met { "met" } else { "NOT MET" };
        write!(f, "{}: {word}, it was {}", self.threshold, self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_read_or_refused() {
        let check = |text: &str, expect: Option<(Figure, Sense, f64)>| {
            let got = text.parse::<Threshold>().ok().map(|t| (t.figure, t.sense, t.limit));
            assert_eq!(got, expect, "{text}");
        };
        check("p95<100ms", Some((Figure::P95, Sense::Below, 100.0)));
        check("p99.9 <= 1.5s", Some((Figure::P999, Sense::AtMost, 1500.0)));
        check("max<250us", Some((Figure::Max, Sense::Below, 0.25)));
        check("errors<1%", Some((Figure::ErrorShare, Sense::Below, 0.01)));
        check("errors<=0", Some((Figure::Errors, Sense::AtMost, 0.0)));
        check("rate>=900/s", Some((Figure::Rate, Sense::AtLeast, 900.0)));
        check("rate>54000/m", Some((Figure::Rate, Sense::Above, 900.0)));
        for bad in [
            "",
            "p95",
            "p95=1ms",
            "p95<100",
            "p42<1ms",
            "errors<x%",
            "p95<-1ms",
            "<1ms",
            "p95<<1ms",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let nothing = Summary::default();
        for text in ["p95<100ms", "errors<1%", "errors<=0", "rate>=1/s"] {
            assert!(!text.parse::<Threshold>().unwrap().judge(&nothing).met, "{text}");
        }
    }

    #[test]
    fn a_bound_is_kept_on_its_own_side() {
        let summary = Summary {
            rate_reached: 900.0,
            errors: 1,
            error_rate: Some(0.01),
            ..Summary::default()
        };
        let check = |text: &str, met: bool, shown: &str| {
            let judged = text.parse::<Threshold>().unwrap().judge(&summary);
            assert_eq!((judged.met, judged.to_string().as_str()), (met, shown));
        };
        check("rate>=900", true, "rate>=900: met, it was 900.0/s");
        check("rate>900", false, "rate>900: NOT MET, it was 900.0/s");
        check("rate>=1000", false, "rate>=1000: NOT MET, it was 900.0/s, 100.0/s too little");
        check("errors<1%", false, "errors<1%: NOT MET, it was 1.00%");
        check("errors<0.25%", false, "errors<0.25%: NOT MET, it was 1.00%, 0.75% too much");
        check("errors<=0", false, "errors<=0: NOT MET, it was 1, 1 too much");
        check("errors<=1", true, "errors<=1: met, it was 1");
    }
}
