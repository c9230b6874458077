//! Canaries: two arms that serve at the same time, judged again and again as traffic comes in.
//!
//! A concurrent control, not a before and after: time itself is one of the biggest sources of
//! change. At each look there is one of three decisions, in one line with both numbers:
//!
//! - **abort**, as soon as one arm is worse beyond chance and by enough to matter;
//! - **promote**, when there is enough traffic and nothing that matters is worse;
//! - **hold**, for everything else: too little traffic, none in an arm, or a difference that would
//!   matter and may be chance. It never raises the weight.
//!
//! Three things are judged: how many requests fail, how long the typical answer takes, and how long
//! the slowest in twenty do, which ranks alone would not show.
//!
//! The law: over all looks, metrics and weights of a phase, an equal canary is aborted with
//! a probability of [`ALPHA`] at most, however often one looks. Each weight is a trial of its own,
//! on requests that no other has counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::arms::{self, FEWEST, FEWEST_OF_TAIL, Finding, Samples, Worse};
use super::stats::fisher::Failures;
use super::stats::looks::Looks;
use super::stats::rank::Counted;
use crate::control::observe::{Bucket, Metrics};

/// The probability of aborting an equal canary, over a whole phase.
pub const ALPHA: f64 = 0.01;
/// How many requests in each arm the first look at failures waits for: with fewer, even all
/// failures of a few percent are no evidence.
const FIRST_FAILURES: u64 = 10;

/// How a canary is compared with the legacy upstream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// How much higher than the control's the canary's error rate may be, as a ratio in 0..=1.
    pub max_error_increase: f64,
    /// How many times as long as the control's a typical answer of the canary may take.
    #[serde(alias = "max_p95_ratio")]
    pub max_latency_ratio: f64,
    /// How many times as long as the control's the canary's 95th percentile may be.
    #[serde(default = "Compare::max_tail_ratio")]
    pub max_tail_ratio: f64,
    /// With fewer requests per arm it is never promoted.
    pub min_samples: u64,
}

impl Default for Compare {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Compare {
    /// What holds unless a plan says otherwise.
    pub const USUAL: Self = Self {
        max_error_increase: 0.01,
        max_latency_ratio: 1.25,
        // The 95th percentile of a hundred answers varies more than their median does.
        max_tail_ratio: 1.5,
        min_samples: 100,
    };

    /// For documents that were written without it.
    fn max_tail_ratio() -> f64 {
        Self::USUAL.max_tail_ratio
    }
}

/// What was measured of one arm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arm {
    pub failures: Failures,
    /// How often each latency was measured. The key is the bits of the milliseconds, which are in
    /// order for numbers that are not negative.
    latencies: BTreeMap<u64, u64>,
}

impl Arm {
    /// Adds requests and failures, and the latencies among them.
    pub fn add(&mut self, failures: Failures, latencies: &[Bucket]) {
        self.failures.requests += failures.requests;
        self.failures.failed += failures.failed;
        for Bucket { ms, n } in latencies.iter().filter(|bucket| bucket.ms >= 0.0) {
            // Adding zero makes the negative one positive.
            *self.latencies.entry((ms + 0.0).to_bits()).or_default() += n;
        }
    }

    /// Adds what the window of a reply says of the arm `name`.
    pub fn add_window(&mut self, metrics: &Metrics, name: &str) {
        let window = metrics.arms.get(name).cloned().unwrap_or_default();
        let failures = Failures { requests: window.requests, failed: window.errors };
        self.add(failures, metrics.latencies.get(name).map_or(&[], Vec::as_slice));
    }

    fn counted(&self) -> Vec<Counted> {
        self.latencies.iter().map(|(bits, n)| (f64::from_bits(*bits), *n)).collect()
    }
}

/// One weight of a canary on trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    wanted: Compare,
    pub control: Arm,
    pub canary: Arm,
    looks: Looking,
}

/// How far each metric was looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Looking {
    errors: Looks,
    slowness: Looks,
    tail: Looks,
}

impl Trial {
    /// A trial that may be wrong about an equal canary with the probability `alpha`, over all looks
    /// and metrics: [`ALPHA`], shared out over the weights of a phase.
    pub fn new(wanted: Compare, alpha: f64) -> Self {
        let looks = |first| Looks::new(alpha / 3.0, first);
        let (errors, slowness, tail) = (FIRST_FAILURES, FEWEST, FEWEST_OF_TAIL);
        let looks = Looking { errors: looks(errors), slowness: looks(slowness), tail: looks(tail) };
        Self { wanted, control: Arm::default(), canary: Arm::default(), looks }
    }

    /// With how many requests in each arm something may be found next. Before that, nothing is
    /// evidence, however often one looks.
    pub fn next(&self) -> u64 {
        let Looking { errors, slowness, tail } = self.looks;
        errors.next().min(slowness.next()).min(tail.next())
    }

    /// How many requests the arm with fewer of them has.
    pub fn requests(&self) -> u64 {
        self.control.failures.requests.min(self.canary.failures.requests)
    }

    /// Looks at what was measured so far.
    ///
    /// Failed requests count among the latencies: an arm that fails fast is caught by its failures,
    /// and one that fails slowly by all metrics.
    pub fn look(&mut self) -> Verdict {
        let n = self.requests();
        let (baseline, canary) = (self.control.failures, self.canary.failures);
        let outcomes = Samples::Outcomes { baseline, canary };
        let (baseline, canary) = (self.control.counted(), self.canary.counted());
        let tails = Samples::Tails { baseline: baseline.clone(), canary: canary.clone() };
        let values = Samples::Counted { baseline, canary };
        let look = |looks: &mut Looks, min_effect: f64| {
            // Between two looks nothing is evidence.
            Worse { alpha: looks.catch_up(n).unwrap_or(0.0), min_effect }
        };
        let Compare { max_error_increase, max_latency_ratio, max_tail_ratio, .. } = self.wanted;
        let errors = look(&mut self.looks.errors, max_error_increase);
        let slowness = look(&mut self.looks.slowness, max_latency_ratio - 1.0);
        let tail = look(&mut self.looks.tail, max_tail_ratio - 1.0);
        let findings = [
            arms::judge("error_rate", "", &outcomes, errors),
            arms::judge("latency", "ms", &values, slowness),
            arms::judge("latency_p95", "ms", &tails, tail),
        ];
        self.decide(n, &findings)
    }

    fn decide(&self, n: u64, findings: &[Finding]) -> Verdict {
        let lines = |wanted: fn(&Verdict) -> bool| {
            let those = findings.iter().map(|finding| &finding.verdict).filter(|v| wanted(v));
            those.map(Verdict::why).collect::<Vec<_>>().join("; ")
        };
        let failed = lines(|verdict| matches!(verdict, Verdict::Fail(_)));
        if !failed.is_empty() {
            return Verdict::Fail(format!("abort: {failed}"));
        }
        if n < self.wanted.min_samples {
            let all = lines(|_| true);
            let needs = self.wanted.min_samples;
            return Verdict::Inconclusive(format!("hold: {all}; needs {needs} in each arm"));
        }
        let unclear = lines(|verdict| matches!(verdict, Verdict::Inconclusive(_)));
        if unclear.is_empty() {
            return Verdict::Pass(format!("promote: {}", lines(|_| true)));
        }
        let next = self.next();
        Verdict::Inconclusive(format!("hold: {unclear}; looks again at {next} in each arm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::dice::Dice;

    const WANTED: Compare = Compare {
        max_error_increase: 0.01,
        max_latency_ratio: 1.25,
        max_tail_ratio: 1.5,
        min_samples: 100,
    };

    /// Adds requests to both arms, of which so many of a thousand fail, and each takes a typical
    /// time that varies by a tenth.
    fn serve(trial: &mut Trial, dice: &mut Dice, n: u64, failing: [u64; 2], typical: [u64; 2]) {
        for (arm, (failing, typical)) in [&mut trial.control, &mut trial.canary]
            .into_iter()
            .zip(failing.into_iter().zip(typical))
        {
            for _ in 0..n {
                let failed = u64::from(dice.below(1000) < failing);
                let sum: u64 = (0..12).map(|_| dice.below(1000)).sum();
                // In steps as a histogram has them.
                let us = u32::try_from(typical * (4000 + sum) / 10_000 / 50 * 50).unwrap();
                let ms = f64::from(us) / 1000.0;
                arm.add(Failures { requests: 1, failed }, &[Bucket { ms, n: 1 }]);
            }
        }
    }

    #[test]
    fn an_equal_canary_is_promoted_in_one_line() {
        let (mut trial, mut dice) = (Trial::new(WANTED, ALPHA), Dice::new(1));
        serve(&mut trial, &mut dice, 500, [0, 0], [20_000, 20_000]);
        let verdict = trial.look();
        assert!(verdict.passed(), "{verdict:?}");
        let why = verdict.why();
        assert!(why.starts_with("promote: error_rate canary 0% (n=500) vs control 0%"), "{why}");
        assert!(why.contains("; latency canary ") && !why.contains('\n'), "{why}");
        // The same again says the same.
        assert_eq!(trial.look(), verdict);
    }

    #[test]
    fn errors_and_slowness_abort_at_once() {
        let (mut trial, mut dice) = (Trial::new(WANTED, ALPHA), Dice::new(2));
        serve(&mut trial, &mut dice, 60, [0, 400], [20_000, 20_000]);
        let verdict = trial.look();
        assert!(matches!(&verdict, Verdict::Fail(why) if why.starts_with("abort: error_rate")));
        let mut trial = Trial::new(WANTED, ALPHA);
        serve(&mut trial, &mut dice, 10, [0, 0], [20_000, 30_000]);
        let verdict = trial.look();
        assert!(matches!(&verdict, Verdict::Fail(why) if why.starts_with("abort: latency")));
    }

    #[test]
    fn too_little_is_held() {
        let (mut trial, mut dice) = (Trial::new(WANTED, ALPHA), Dice::new(3));
        let held = |verdict: &Verdict| matches!(verdict, Verdict::Inconclusive(_));
        assert!(held(&trial.look()), "no traffic at all");
        serve(&mut trial, &mut dice, 99, [0, 0], [20_000, 20_000]);
        let verdict = trial.look();
        assert!(held(&verdict) && verdict.why().ends_with("needs 100 in each arm"), "{verdict:?}");
        serve(&mut trial, &mut dice, 40, [0, 0], [20_000, 20_000]);
        let verdict = trial.look();
        assert!(held(&verdict) && verdict.why().contains("-> too few to tell"), "{verdict:?}");
        let mut trial = Trial::new(WANTED, ALPHA);
        trial.control.add(Failures { requests: 1000, failed: 0 }, &[Bucket { ms: 1.0, n: 1000 }]);
        assert!(held(&trial.look()), "a canary without traffic");
        let mut trial = Trial::new(WANTED, ALPHA);
        trial.control.add(Failures { requests: 200, failed: 2 }, &[Bucket { ms: 1.0, n: 200 }]);
        trial.canary.add(Failures { requests: 200, failed: 6 }, &[Bucket { ms: 1.0, n: 200 }]);
        let verdict = trial.look();
        assert!(held(&verdict) && verdict.why().contains("may be chance"), "{verdict:?}");
    }

    #[test]
    fn the_unit_of_latencies_changes_nothing() {
        for factor in [1e-9, 1e-3, 1e9] {
            let arm = |ms: f64| {
                let mut arm = Arm::default();
                let spread = (0..40u32).map(|at| (ms * (1.0 + f64::from(at) / 200.0)) * factor);
                let buckets: Vec<_> = spread.map(|ms| Bucket { ms, n: 5 }).collect();
                arm.add(Failures { requests: 200, failed: 0 }, &buckets);
                arm
            };
            let mut trial = Trial::new(WANTED, ALPHA);
            (trial.control, trial.canary) = (arm(10.0), arm(11.0));
            assert!(trial.look().passed(), "{factor}");
            let mut trial = Trial::new(WANTED, ALPHA);
            (trial.control, trial.canary) = (arm(10.0), arm(15.0));
            assert!(matches!(trial.look(), Verdict::Fail(_)), "{factor}");
        }
    }

    #[test]
    fn between_two_looks_nothing_is_evidence() {
        let mut trial = Trial::new(WANTED, ALPHA);
        let answers = [Bucket { ms: 1.0, n: 150 }];
        trial.control.add(Failures { requests: 500, failed: 0 }, &answers);
        trial.canary.add(Failures { requests: 150, failed: 0 }, &answers);
        assert!(trial.look().passed());
        // Failures were looked at when there were 120 requests, and will be when there are 180.
        trial.canary.add(Failures { requests: 29, failed: 29 }, &[]);
        let verdict = trial.look();
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
        assert!(verdict.why().ends_with("looks again at 180 in each arm"), "{verdict:?}");
        trial.canary.add(Failures { requests: 1, failed: 1 }, &[]);
        assert!(matches!(trial.look(), Verdict::Fail(_)));
    }

    #[test]
    fn a_canary_whose_slowest_answers_alone_are_slower_is_aborted() {
        let mut trial = Trial::new(WANTED, ALPHA);
        let body = [Bucket { ms: 20.0, n: 500 }, Bucket { ms: 21.0, n: 500 }];
        trial.control.add(Failures { requests: 1000, failed: 0 }, &body);
        let (half, slow) = (Bucket { ms: 20.0, n: 230 }, Bucket { ms: 90.0, n: 40 });
        trial
            .canary
            .add(Failures { requests: 500, failed: 0 }, &[half, Bucket { ms: 21.0, ..half }, slow]);
        let verdict = trial.look();
        let why = "abort: latency_p95 canary 90ms (n=500) vs control 21ms (n=1000)";
        assert!(matches!(&verdict, Verdict::Fail(said) if said.starts_with(why)), "{verdict:?}");
    }

    #[test]
    fn what_an_older_run_compares_by_is_still_read() {
        let kept = r#"{"max_error_increase":0.01,"max_p95_ratio":1.25,"min_samples":100}"#;
        assert_eq!(serde_json::from_str::<Compare>(kept).unwrap(), WANTED);
    }
}
