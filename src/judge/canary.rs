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
//! The law: over all looks, both metrics and all weights of a phase, an equal canary is aborted with
//! a probability of [`ALPHA`] at most, however often one looks. Each weight is a trial of its own,
//! on requests that no other has counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::arms::{self, FEWEST, Finding, Samples, Worse};
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
    /// With fewer requests per arm it is never promoted.
    pub min_samples: u64,
}

impl Default for Compare {
    fn default() -> Self {
        Self { max_error_increase: 0.01, max_latency_ratio: 1.25, min_samples: 100 }
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
    errors: Looks,
    slowness: Looks,
}

impl Trial {
    /// A trial that may be wrong about an equal canary with the probability `alpha`, over all looks
    /// and both metrics: [`ALPHA`], shared out over the weights of a phase.
    pub fn new(wanted: Compare, alpha: f64) -> Self {
        let (errors, slowness) =
            (Looks::new(alpha / 2.0, FIRST_FAILURES), Looks::new(alpha / 2.0, FEWEST as u64));
        Self { wanted, control: Arm::default(), canary: Arm::default(), errors, slowness }
    }

    /// Looks at what was measured so far.
    ///
    /// Failed requests count among the latencies: an arm that fails fast is caught by its failures,
    /// and one that fails slowly by both.
    pub fn look(&mut self) -> Verdict {
        let (control, canary) = (self.control.failures, self.canary.failures);
        let n = control.requests.min(canary.requests);
        let outcomes = Samples::Outcomes { baseline: control, canary };
        let values =
            Samples::Counted { baseline: self.control.counted(), canary: self.canary.counted() };
        let look = |looks: &mut Looks, min_effect: f64| {
            // Between two looks nothing is evidence.
            Worse { alpha: looks.catch_up(n).unwrap_or(0.0), min_effect }
        };
        let errors = look(&mut self.errors, self.wanted.max_error_increase);
        let slowness = look(&mut self.slowness, self.wanted.max_latency_ratio - 1.0);
        let findings = [
            arms::judge("error_rate", "", &outcomes, errors),
            arms::judge("latency", "ms", &values, slowness),
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
        let next = self.errors.next().min(self.slowness.next());
        Verdict::Inconclusive(format!("hold: {unclear}; looks again at {next} in each arm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::dice::Dice;

    const WANTED: Compare =
        Compare { max_error_increase: 0.01, max_latency_ratio: 1.25, min_samples: 100 };

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
    fn what_is_worse_by_half_is_found_within_ten_requests() {
        let mut dice = Dice::new(4);
        let found = (0..1000).filter(|_| {
            let mut trial = Trial::new(WANTED, ALPHA);
            (0..10).any(|_| {
                serve(&mut trial, &mut dice, 1, [0, 0], [20_000, 30_000]);
                matches!(trial.look(), Verdict::Fail(_))
            })
        });
        let found = found.count();
        assert!(found >= 990, "{found} of 1000");
    }
}
