//! Success criteria: a metric against its limit.

use super::metric::Reading;
use super::{Limit, Metric, Verdict};

/// Judges one reading against a limit.
///
/// Inconclusive without a value, with a value that is not a number, or with fewer observations
/// than `min_samples`. A mean time between failures that only counts time without a failure
/// passes when that time is long enough, and is otherwise inconclusive rather than failed: it is
/// a lower bound.
pub fn judge(
    metric: Metric,
    limit: Limit,
    min_samples: u64,
    reading: Reading,
    failures: u64,
) -> Verdict {
    let name = metric.name();
    let Some(value) = reading.value.filter(|v| v.is_finite()) else {
        return Verdict::Inconclusive(format!("{name}: no data, limit {}", limit.describe(metric)));
    };
    let actual = metric.unit().format(value);
    let n = reading.samples.map(|n| format!(" (n={n})")).unwrap_or_default();
    let sentence = format!("{name} {actual}{n}, limit {}", limit.describe(metric));
    if reading.samples.is_some_and(|n| n < min_samples) {
        return Verdict::Inconclusive(format!("{sentence}: needs {min_samples} samples"));
    }
    match limit.holds(value) {
        true => Verdict::Pass(sentence),
        false if metric == Metric::Mtbf && failures == 0 => {
            Verdict::Inconclusive(format!("{sentence}: no failure yet, but not observed that long"))
        }
        false => Verdict::Fail(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(value: f64, samples: u64) -> Reading {
        Reading { value: Some(value), samples: Some(samples) }
    }

    #[test]
    fn both_numbers_and_the_count_are_in_the_sentence() {
        let limit = Limit::AtMost(0.01);
        let verdict = judge(Metric::ErrorRate, limit, 50, reading(0.062, 1240), 0);
        assert_eq!(verdict, Verdict::Fail("error_rate 6.2% (n=1240), limit at most 1%".into()));
        let verdict = judge(Metric::ErrorRate, limit, 50, reading(0.01, 50), 0);
        assert!(verdict.passed());
    }

    #[test]
    fn what_cannot_be_known_is_inconclusive() {
        let limit = Limit::AtMost(100.0);
        for reading in [
            Reading { value: None, samples: Some(0) },
            reading(f64::NAN, 100),
            reading(f64::INFINITY, 100),
            reading(5.0, 49),
        ] {
            let verdict = judge(Metric::LatencyP95, limit, 50, reading, 0);
            assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
        }
    }

    #[test]
    fn time_without_a_failure_is_a_lower_bound() {
        let day = Limit::AtLeast(86_400.0);
        let seen = |s| Reading { value: Some(s), samples: None };
        assert!(judge(Metric::Mtbf, day, 0, seen(90_000.0), 0).passed());
        assert!(matches!(judge(Metric::Mtbf, day, 0, seen(60.0), 0), Verdict::Inconclusive(_)));
        assert!(matches!(judge(Metric::Mtbf, day, 0, seen(60.0), 2), Verdict::Fail(_)));
    }
}
