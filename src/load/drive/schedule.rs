//! When each request is due: stages that hold a rate, or ramp from one to another.
//!
//! The expected number of requests until `t` is the integral of the rate; the n-th request is due
//! where it reaches n. Within a ramp that is a quadratic, solved in the form that does not cancel.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::units::duration;

/// The highest rate, in requests a second.
const HIGHEST: f64 = 1e6;
/// The longest stage.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A time in which the rate is held, or goes from one to another in a straight line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    pub lasts: Duration,
    /// Requests a second when it begins.
    pub from: f64,
    /// Requests a second when it ends.
    pub to: f64,
}

/// Why a text is no rate or no stage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StageError {
    #[error("`{0}` is no rate; write it like `500/s` or `30000/m`, up to 1000000/s")]
    Rate(String),
    #[error("`{0}` is no stage; write it like `30s:500/s`, or `30s:0..500/s` for a ramp")]
    Stage(String),
    #[error("`{0}`: a stage lasts more than 0 and at most 24h")]
    Lasts(String),
}

/// Reads `500`, `500/s`, `30000/m` or `3600/h` as requests a second.
pub fn rate(text: &str) -> Result<f64, StageError> {
    let error = || StageError::Rate(text.to_owned());
    let (number, per) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => return Err(error()),
    };
    let rate = number.trim().parse::<f64>().map_err(|_| error())? / per;
    if (0.0..=HIGHEST).contains(&rate) { Ok(rate) } else { Err(error()) }
}

impl FromStr for Stage {
    type Err = StageError;

    fn from_str(text: &str) -> Result<Self, StageError> {
        let error = || StageError::Stage(text.to_owned());
        let (lasts, rates) = text.split_once(':').ok_or_else(error)?;
        let lasts = duration::parse(lasts).map_err(|_| error())?;
        if lasts.is_zero() || lasts > LONGEST {
            return Err(StageError::Lasts(text.to_owned()));
        }
        let (from, to) = match rates.split_once("..") {
            None => (rate(rates)?, rate(rates)?),
            Some((from, to)) => {
                // The unit of `0..500/m` is for both.
                let unit = to.split_once('/').map_or("s", |(_, unit)| unit);
                let from =
                    if from.contains('/') { rate(from) } else { rate(&format!("{from}/{unit}")) };
                (from.map_err(|_| error())?, rate(to)?)
            }
        };
        Ok(Self { lasts, from, to })
    }
}

impl Stage {
    /// One that holds a rate.
    pub fn hold(lasts: Duration, rate: f64) -> Self {
        Self { lasts, from: rate, to: rate }
    }

    /// Requests that are due within it.
    fn arrivals(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.lasts.as_secs_f64()
    }

    /// When the integral of the rate reaches `n`, in seconds from its beginning.
    fn reaches(&self, n: f64) -> f64 {
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let root = (2.0 * slope).mul_add(n, self.from * self.from).max(0.0).sqrt();
        let sum = self.from + root;
        if n <= 0.0 || sum <= 0.0 { 0.0 } else { 2.0 * n / sum }
    }
}

impl fmt::Display for Stage {
    #[expect(clippy::float_cmp, reason = "a stage that holds has the same number twice")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasts = duration::format(self.lasts);
        if self.from == self.to {
            write!(f, "{lasts} at {}/s", self.from)
        } else {
            write!(f, "{lasts} from {} to {}/s", self.from, self.to)
        }
    }
}

/// Stages, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    stages: Vec<Stage>,
    /// The most requests.
    limit: u64,
}

impl Schedule {
    /// Of these stages, and no more than `limit` requests.
    pub fn new(stages: Vec<Stage>, limit: Option<u64>) -> Self {
        Self { stages, limit: limit.unwrap_or(u64::MAX) }
    }

    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The most requests, if it is told.
    pub fn limit(&self) -> Option<u64> {
        (self.limit != u64::MAX).then_some(self.limit)
    }

    /// When the n-th request (from 0) is due, after the start; `None` when there are no more.
    #[expect(clippy::cast_precision_loss, reason = "2^52 requests take a century")]
    pub fn due(&self, n: u64) -> Option<Duration> {
        if n >= self.limit {
            return None;
        }
        let (mut left, mut at) = (n as f64, Duration::ZERO);
        for stage in &self.stages {
            let arrivals = stage.arrivals();
            // A hair's breadth is rounding, and not one more request.
            if left < arrivals - 1e-6 {
                let within =
                    Duration::try_from_secs_f64(stage.reaches(left)).unwrap_or(stage.lasts);
                return Some(at + within.min(stage.lasts));
            }
            left = (left - arrivals).max(0.0);
            at += stage.lasts;
        }
        None
    }

    /// How long all stages take; with a limit, until its last request is due.
    pub fn lasts(&self) -> Duration {
        let all = self.stages.iter().map(|stage| stage.lasts).sum();
        // The request after the last: `n` requests at a rate take `n / rate`.
        let unlimited = Self { stages: self.stages.clone(), limit: u64::MAX };
        if self.limit == u64::MAX { all } else { unlimited.due(self.limit).unwrap_or(all) }
    }

    /// The rate wanted at a moment after the start.
    pub fn rate_at(&self, mut at: Duration) -> f64 {
        for stage in &self.stages {
            if at < stage.lasts {
                let part = at.as_secs_f64() / stage.lasts.as_secs_f64();
                return (stage.to - stage.from).mul_add(part, stage.from);
            }
            at -= stage.lasts;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(stages: &[&str], limit: Option<u64>) -> Schedule {
        Schedule::new(stages.iter().map(|text| text.parse().unwrap()).collect(), limit)
    }

    fn total(schedule: &Schedule) -> u64 {
        (0..1 << 20).take_while(|n| schedule.due(*n).is_some()).count() as u64
    }

    #[test]
    fn a_rate_has_a_unit() {
        let check = |text: &str, expect: Option<f64>| assert_eq!(rate(text).ok(), expect, "{text}");
        check("500", Some(500.0));
        check("500/s", Some(500.0));
        check("90/m", Some(1.5));
        check("3600/h", Some(1.0));
        for bad in ["", "x", "-1", "1/x", "2e6", "NaN", "inf", "1//s", "/s"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_stage_holds_or_ramps() {
        let stage = |text: &str| text.parse::<Stage>();
        let (ten, hold) = (Duration::from_secs(10), Stage::hold);
        assert_eq!(stage("10s:500/s"), Ok(hold(ten, 500.0)));
        assert_eq!(stage("10s:0"), Ok(hold(ten, 0.0)));
        assert_eq!(stage("10s:0..60/m"), Ok(Stage { lasts: ten, from: 0.0, to: 1.0 }));
        assert_eq!(stage("10s:60/m..5/s"), Ok(Stage { lasts: ten, from: 1.0, to: 5.0 }));
        for bad in
            ["", "10s", "500/s:10s", "10s:", "10s:1..", "10s:..1", "10s:a..b", "0s:1/s", "48h:1"]
        {
            assert!(stage(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_held_rate_is_evenly_spaced() {
        let hold = schedule(&["10s:250/s"], None);
        assert_eq!(total(&hold), 2500);
        assert_eq!(hold.due(0), Some(Duration::ZERO));
        assert_eq!(hold.due(250), Some(Duration::from_secs(1)));
        assert_eq!(schedule(&["10s:250/s"], Some(500)).lasts(), Duration::from_secs(2));
        assert_eq!(total(&schedule(&["10s:250/s"], Some(500))), 500);
    }

    #[test]
    fn a_ramp_has_the_area_under_it() {
        let ramp = schedule(&["10s:0..100/s", "5s:100/s", "5s:0/s", "10s:100..0/s"], None);
        assert_eq!(total(&ramp), 500 + 500 + 500);
        let half =
            (0..1 << 20).take_while(|n| ramp.due(*n).unwrap() < Duration::from_secs(5)).count();
        assert_eq!(half, 125, "a quarter of the area lies under the first half of a ramp");
        for (second, rate) in [(5, 50.0), (12, 100.0), (60, 0.0)] {
            let found = ramp.rate_at(Duration::from_secs(second));
            assert!((found - rate).abs() < 1e-9, "{found} at {second} s");
        }
        assert_eq!(ramp.due(1000), Some(Duration::from_secs(20)), "after the pause");
    }

    proptest! {
        #[test]
        fn requests_are_due_in_order_and_within_the_time(
            stages in proptest::collection::vec((1..5u64, 0..200u32, 0..200u32), 1..4),
        ) {
            let stages = stages.into_iter().map(|(lasts, from, to)| Stage {
                lasts: Duration::from_secs(lasts), from: f64::from(from), to: f64::from(to),
            });
            let schedule = Schedule::new(stages.collect(), None);
            let (mut n, mut last) = (0, Duration::ZERO);
            while let Some(due) = schedule.due(n) {
                prop_assert!(due >= last && due <= schedule.lasts(), "{n}: {due:?} after {last:?}");
                (n, last) = (n + 1, due);
            }
        }
    }
}
