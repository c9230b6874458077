//! Guards: conditions that hold while a phase is in flight, judged on a streak of disjoint
//! samples.
//!
//! One look at a 5 % limit with 50 requests is wrong 8 times in 100 at a true rate of 2 %; three
//! disjoint looks in a row are wrong 5 times in 10,000. So a guard counts consecutive breaches,
//! never overlapping windows, and a sample that is too small is collected further, not judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::Reading;
use super::{Limit, Measure, Verdict, criterion};
use crate::ids::GuardId;
use crate::units::duration;

/// A condition that must hold all the time while a phase is in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    pub id: GuardId,
    /// Called `metric` where it is kept: that of the orchestrator is its plain name.
    #[serde(rename = "metric")]
    pub measure: Measure,
    pub limit: Limit,
    /// Consecutive breaches, on disjoint samples, that make it fail.
    pub breaches: u32,
    /// Fewer observations than this are inconclusive.
    pub min_samples: u64,
    /// Time from one look to the next; also the least width of a sample.
    #[serde(with = "duration")]
    pub every: Duration,
    /// What a guard without data does when `patience` has passed.
    pub on_no_data: OnNoData,
    /// How long a guard may stay inconclusive.
    #[serde(with = "duration")]
    pub patience: Duration,
}

/// What to do about a guard that cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoData {
    /// Treat it as failed.
    Fail,
    /// Go on without it.
    Ignore,
}

/// What a guard has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Streak {
    /// Consecutive breaches.
    pub breaches: u32,
    /// When it was last conclusive, or first looked at, on the caller's monotonic clock.
    conclusive_at: Option<Duration>,
}

/// What a look at a guard says.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// Within the limit.
    Held(String),
    /// Outside the limit, but not yet often enough in a row.
    Suspect(String),
    /// Too little to judge; keep the sample and look again.
    Waiting(String),
    /// Breached: the phase must be rolled back.
    Breached(String),
}

impl Look {
    /// The sentence that explains it.
    pub fn why(&self) -> &str {
        match self {
            Self::Held(why) | Self::Suspect(why) | Self::Waiting(why) | Self::Breached(why) => why,
        }
    }
}

/// Judges a sample that shares no observation with any sample judged before.
pub fn look(guard: &Guard, streak: Streak, reading: Reading, now: Duration) -> (Streak, Look) {
    let verdict = match &guard.measure {
        Measure::Own(metric) => {
            criterion::judge(*metric, guard.limit, guard.min_samples, reading, 1)
        }
        Measure::Query(query) => {
            let value = reading.value.ok_or_else(|| "no data".to_owned());
            query.judge(guard.limit, value)
        }
    };
    heed(guard, streak, verdict, now)
}

/// Counts a verdict on a sample that shares no observation with any sample judged before.
pub fn heed(guard: &Guard, streak: Streak, verdict: Verdict, now: Duration) -> (Streak, Look) {
    let since = streak.conclusive_at.unwrap_or(now);
    match verdict {
        Verdict::Pass(why) => (Streak { breaches: 0, conclusive_at: Some(now) }, Look::Held(why)),
        Verdict::Fail(why) => {
            let breaches = streak.breaches + 1;
            let why = format!("{why}, breach {breaches} of {}", guard.breaches);
            let next = Streak { breaches, conclusive_at: Some(now) };
            let failed = breaches >= guard.breaches;
            (next, if failed { Look::Breached(why) } else { Look::Suspect(why) })
        }
        Verdict::Inconclusive(why) => {
            let next = Streak { breaches: streak.breaches, conclusive_at: Some(since) };
            let overdue = now.saturating_sub(since) >= guard.patience;
            let look = match guard.on_no_data {
                OnNoData::Fail if overdue => {
                    let patience = crate::units::duration::format(guard.patience);
                    Look::Breached(format!("{why}; inconclusive for {patience}"))
                }
                OnNoData::Fail | OnNoData::Ignore => Look::Waiting(why),
            };
            (next, look)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Metric;

    fn guard() -> Guard {
        Guard {
            id: "error-rate".parse().unwrap(),
            measure: Metric::ErrorRate.into(),
            limit: Limit::AtMost(0.05),
            breaches: 3,
            min_samples: 50,
            every: Duration::from_secs(1),
            on_no_data: OnNoData::Fail,
            patience: Duration::from_secs(300),
        }
    }

    fn after(rates: &[(f64, u64)]) -> Look {
        let mut streak = Streak::default();
        let mut last = Look::Waiting(String::new());
        for (second, (rate, samples)) in (0..).zip(rates) {
            let reading = Reading { value: Some(*rate), samples: Some(*samples) };
            (streak, last) = look(&guard(), streak, reading, Duration::from_secs(second));
        }
        last
    }

    #[test]
    fn only_consecutive_breaches_count() {
        let (bad, good) = ((0.2, 100), (0.0, 100));
        assert!(matches!(after(&[bad, bad]), Look::Suspect(_)));
        assert!(matches!(after(&[bad, bad, bad]), Look::Breached(_)));
        assert!(matches!(after(&[bad, bad, good, bad, bad]), Look::Suspect(_)));
    }

    #[test]
    fn a_small_sample_neither_breaks_nor_feeds_the_streak() {
        let (bad, few) = ((0.2, 100), (1.0, 3));
        assert!(matches!(after(&[few, few, few, few]), Look::Waiting(_)));
        assert!(matches!(after(&[bad, bad, few, bad]), Look::Breached(_)));
    }

    #[test]
    fn silence_is_not_health_for_ever() {
        let nothing = Reading { value: None, samples: Some(0) };
        let (streak, first) = look(&guard(), Streak::default(), nothing, Duration::ZERO);
        assert!(matches!(first, Look::Waiting(_)));
        let (_, later) = look(&guard(), streak, nothing, Duration::from_secs(300));
        assert!(matches!(&later, Look::Breached(why) if why.contains("inconclusive for 5m")));
        let ignoring = Guard { on_no_data: OnNoData::Ignore, ..guard() };
        let (_, later) = look(&ignoring, streak, nothing, Duration::from_secs(900));
        assert!(matches!(later, Look::Waiting(_)));
    }

    #[test]
    fn the_sentence_has_both_numbers() {
        let Look::Breached(why) = after(&[(0.062, 124); 3]) else { panic!() };
        assert_eq!(why, "error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3");
    }
}
