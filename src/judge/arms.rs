//! Two arms that served at the same time, judged on what was measured of each.
//!
//! The law: an arm is worse when it is so beyond chance **and** by enough to matter. What is beyond
//! chance but does not matter passes; what would matter but may be chance is inconclusive, and so
//! is too little of anything. The verdict does not depend on the unit, and is the same for the same
//! samples, to the byte.
//!
//! Values (latencies, sizes) are compared by their ranks, and what matters is how much the typical
//! one has grown: the median of all differences as a share of the baseline's median. Outcomes are
//! compared by Fisher's exact test, and what matters is by how much the share of failures has
//! grown. What Kayenta decides on, the shift and its confidence interval, misses a tenfold error
//! rate where most samples are zero; ranks and counts do not.

use serde::{Deserialize, Serialize};

use super::stats::fisher::{self, Failures};
use super::stats::rank::{self, Counted, RankTest};
use super::{Unit, Verdict};

/// The fewest values of an arm that say anything: with fewer, three equal arms in a hundred look
/// worse than their like (measured of Kayenta's judge).
pub const FEWEST: usize = 5;

/// What was measured of both arms.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Quantities of which less is better.
    Values { baseline: Vec<f64>, canary: Vec<f64> },
    /// Such quantities with how often each was measured, in order: histograms.
    Counted { baseline: Vec<Counted>, canary: Vec<Counted> },
    /// Requests and failures.
    Outcomes { baseline: Failures, canary: Failures },
}

/// What counts as worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worse {
    /// The probability of calling an equal arm worse, in 0..1.
    pub alpha: f64,
    /// The least growth that matters: of values as a share of the baseline's (0.1 is a tenth), of
    /// failures in shares of all requests (0.01 is one request in a hundred).
    pub min_effect: f64,
}

/// What the samples say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The probability that chance alone makes the canary look so much worse; absent where it
    /// cannot be known.
    pub p: Option<f64>,
    /// How much worse it is, in the terms of [`Worse::min_effect`].
    pub effect: Option<f64>,
    /// Whether the p-value is exact.
    pub exact: bool,
    /// How many values there are.
    pub baseline_n: u64,
    pub canary_n: u64,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Judges the samples of the metric `name`, with values in `unit`.
pub fn judge(name: &str, unit: &str, samples: &Samples, worse: Worse) -> Finding {
    match samples {
        Samples::Values { baseline, canary } => {
            let n = |arm: &[f64]| u64::try_from(arm.len()).unwrap_or(u64::MAX);
            let test = rank::mann_whitney(baseline, canary);
            values((name, unit), [n(baseline), n(canary)], [baseline, canary], test, worse)
        }
        Samples::Counted { baseline, canary } => {
            let counts = [rank::total(baseline), rank::total(canary)];
            let test = rank::mann_whitney_counted(baseline, canary);
            let [baseline, canary] = [baseline, canary].map(|arm| rank::spread(arm));
            values((name, unit), counts, [&baseline, &canary], test, worse)
        }
        Samples::Outcomes { baseline, canary } => outcomes(name, *baseline, *canary, worse),
    }
}

fn values(
    (name, unit): (&str, &str),
    [theirs, mine]: [u64; 2],
    [baseline, canary]: [&[f64]; 2],
    test: Option<RankTest>,
    worse: Worse,
) -> Finding {
    let mut finding = Finding::of(theirs, mine);
    let few = baseline.len().min(canary.len()) < FEWEST;
    let Some(RankTest { p_greater, exact, .. }) = test.filter(|_| !few) else {
        let why =
            if few { format!("needs {FEWEST} in each arm") } else { "not a number".to_owned() };
        finding.verdict = Verdict::Inconclusive(format!("{name} {}: {why}", finding.counts()));
        return finding;
    };
    let (typical, ours) = (median(baseline), median(canary));
    let effect = relative(rank::shift(baseline, canary), typical);
    finding.p = Some(p_greater);
    finding.effect = Some(effect).filter(|effect| effect.is_finite());
    finding.exact = exact;
    let line = format!(
        "{name} canary {}{unit} (n={}) vs control {}{unit} (n={}), {} worse, limit {}, p {}",
        short(ours),
        mine,
        short(typical),
        theirs,
        Unit::Ratio.format(effect.max(0.0)),
        Unit::Ratio.format(worse.min_effect),
        probability(p_greater),
    );
    finding.verdict = worse.verdict(p_greater, effect, &line);
    finding
}

fn outcomes(name: &str, baseline: Failures, canary: Failures, worse: Worse) -> Finding {
    let mut finding = Finding::of(baseline.requests, canary.requests);
    let rates = canary.rate().zip(baseline.rate());
    let Some((p, (ours, theirs))) = fisher::p_greater(baseline, canary).zip(rates) else {
        let why = format!("{name} {}: an arm got no traffic", finding.counts());
        finding.verdict = Verdict::Inconclusive(why);
        return finding;
    };
    let effect = ours - theirs;
    (finding.p, finding.effect, finding.exact) = (Some(p), Some(effect), true);
    let line = format!(
        "{name} canary {} (n={}) vs control {} (n={}), limit {} more, p {}",
        Unit::Ratio.format(ours),
        canary.requests,
        Unit::Ratio.format(theirs),
        baseline.requests,
        Unit::Ratio.format(worse.min_effect),
        probability(p),
    );
    finding.verdict = worse.verdict(p, effect, &line);
    finding
}

impl Worse {
    /// Beyond chance and by enough: worse. By enough, but perhaps chance: unknown.
    fn verdict(self, p: f64, effect: f64, line: &str) -> Verdict {
        let (clear, matters) = (p <= self.alpha, effect >= self.min_effect);
        match (clear, matters) {
            (true, true) => Verdict::Fail(format!("{line} -> worse")),
            (false, true) => Verdict::Inconclusive(format!("{line} -> may be chance")),
            (_, false) => Verdict::Pass(format!("{line} -> no worse")),
        }
    }
}

impl Finding {
    fn of(baseline_n: u64, canary_n: u64) -> Self {
        let verdict = Verdict::Inconclusive(String::new());
        Self { p: None, effect: None, exact: false, baseline_n, canary_n, verdict }
    }

    fn counts(&self) -> String {
        format!("canary (n={}) vs control (n={})", self.canary_n, self.baseline_n)
    }
}

/// A shift as a share of what is typical; without limit where nothing is typical but zero.
fn relative(shift: f64, typical: f64) -> f64 {
    if shift == 0.0 { 0.0 } else { shift / typical.abs() }
}

fn median(arm: &[f64]) -> f64 {
    rank::median(&mut arm.to_vec())
}

/// A number to four digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e6).contains(&size) {
        let digits = if size >= 1000.0 {
            0
        } else if size >= 100.0 {
            1
        } else if size >= 1.0 {
            2
        } else {
            5
        };
        let text = format!("{value:.digits$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    } else {
        format!("{value:.3e}")
    }
}

fn probability(p: f64) -> String {
    if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::cast_precision_loss, reason = "small counts of a simulation")]

    use super::*;
    use crate::judge::stats::looks::Looks;

    const WORSE: Worse = Worse { alpha: 0.01, min_effect: 0.1 };

    /// Numbers that look random and are the same each time: `SplitMix64`.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (((z ^ (z >> 31)) >> 32) * n) >> 32
        }

        /// A value around 1 that varies by a tenth: twelve throws add up to nearly normal ones.
        fn normal(&mut self) -> f64 {
            let sum: u64 = (0..12).map(|_| self.below(1 << 20)).sum();
            1.0 + 0.1 * (sum as f64 / f64::from(1 << 20) - 6.0)
        }

        /// How many of 20 requests fail, when so many of a hundred do.
        fn failures(&mut self, percent: u64) -> u64 {
            (0..20).filter(|_| self.below(100) < percent).count() as u64
        }
    }

    fn latency(baseline: &[f64], canary: &[f64]) -> Finding {
        let (baseline, canary) = (baseline.to_vec(), canary.to_vec());
        judge("latency", "ms", &Samples::Values { baseline, canary }, WORSE)
    }

    fn errors(baseline: (u64, u64), canary: (u64, u64)) -> Finding {
        let arm = |(failed, requests)| Failures { requests, failed };
        let samples = Samples::Outcomes { baseline: arm(baseline), canary: arm(canary) };
        judge("error_rate", "", &samples, Worse { alpha: 0.01, min_effect: 0.01 })
    }

    #[test]
    fn a_verdict_is_one_line_with_both_numbers() {
        let slow: Vec<f64> = (0..10).map(|n| 150.0 + f64::from(n)).collect();
        let fast: Vec<f64> = (0..10).map(|n| 100.0 + f64::from(n)).collect();
        assert_eq!(
            latency(&fast, &slow).verdict,
            Verdict::Fail(
                "latency canary 154.5ms (n=10) vs control 104.5ms (n=10), 47.847% worse, limit 10%, \
                 p 5.4e-6 -> worse"
                    .to_owned()
            )
        );
        assert!(latency(&slow, &fast).verdict.passed());
        assert_eq!(
            errors((11, 1130), (77, 1240)).verdict.why(),
            "error_rate canary 6.21% (n=1240) vs control 0.973% (n=1130), limit 1% more, \
             p 1.0e-12 -> worse"
        );
    }

    #[test]
    fn what_may_be_chance_or_is_too_little_decides_nothing() {
        let inconclusive = |finding: &Finding| matches!(finding.verdict, Verdict::Inconclusive(_));
        assert!(inconclusive(&latency(&[1.0; 4], &[9.0; 4])), "four are too few");
        assert!(inconclusive(&latency(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.5, 2.5, 3.5, 6.0, 7.0])));
        assert!(inconclusive(&errors((1, 100), (3, 100))));
        assert!(inconclusive(&errors((0, 0), (3, 100))));
        assert!(inconclusive(&latency(&[1.0; 5], &[f64::NAN; 5])));
    }

    #[test]
    fn what_does_not_matter_passes_however_clear_it_is() {
        let slow: Vec<f64> = (0..1000).map(|n| 105.0 + f64::from(n % 7) / 10.0).collect();
        let fast: Vec<f64> = (0..1000).map(|n| 100.0 + f64::from(n % 7) / 10.0).collect();
        let finding = latency(&fast, &slow);
        assert!(finding.p.unwrap() < 1e-100 && finding.verdict.passed(), "{finding:?}");
    }

    #[test]
    fn a_metric_that_was_zero_may_only_get_worse() {
        let finding = latency(&[0.0; 10], &[1.0; 10]);
        assert!(matches!(finding.verdict, Verdict::Fail(_)) && finding.effect.is_none());
        assert!(latency(&[0.0; 10], &[0.0; 10]).verdict.passed());
    }

    #[test]
    fn the_unit_does_not_change_the_verdict() {
        let arm = |factor: f64, seed| {
            let mut dice = Dice(seed);
            (0..30).map(|_| factor * dice.normal()).collect::<Vec<_>>()
        };
        for seed in 0..20 {
            let decided = |unit: f64| {
                let finding = latency(&arm(unit, seed), &arm(unit * 1.12, seed + 100));
                (finding.p, std::mem::discriminant(&finding.verdict))
            };
            for unit in [1e-9, 1e-5, 1e9] {
                assert_eq!(decided(unit), decided(1.0), "{seed} {unit}");
            }
        }
    }

    #[test]
    fn a_shift_by_half_is_found_within_ten_values() {
        let mut dice = Dice(1);
        let mut found = 0;
        for _ in 0..2000 {
            let baseline: Vec<f64> = (0..10).map(|_| dice.normal()).collect();
            let canary: Vec<f64> = (0..10).map(|_| 1.5 * dice.normal()).collect();
            let mut looks = Looks::new(0.005, 5);
            found += usize::from((1..=10).any(|n| {
                looks.take(n as u64).is_some_and(|alpha| {
                    let samples = Samples::Values {
                        baseline: baseline[..n].to_vec(),
                        canary: canary[..n].to_vec(),
                    };
                    let worse = Worse { alpha, min_effect: 0.1 };
                    matches!(judge("latency", "", &samples, worse).verdict, Verdict::Fail(_))
                })
            }));
        }
        assert!(found >= 1980, "{found} of 2000");
    }

    /// A phase of 60 looks, a second apart, at arms that are alike: 20 requests a second each, of
    /// which one in a hundred fails.
    fn alike_looks_worse(seed: u64) -> bool {
        let mut dice = Dice(seed);
        let (mut baseline, mut canary) = (Vec::new(), Vec::new());
        let mut failures = [Failures::default(); 2];
        let (mut by_rank, mut by_failure) = (Looks::new(0.005, 5), Looks::new(0.005, 20));
        for second in 0..60 {
            // A tenth of the latencies is enough to be looked at, and quicker.
            for _ in 0..2 {
                baseline.push(dice.normal());
                canary.push(dice.normal());
            }
            for arm in &mut failures {
                arm.requests += 20;
                arm.failed += dice.failures(1);
            }
            let values = baseline.len() as u64;
            let slower = by_rank.take(values).is_some_and(|alpha| {
                // The least effect is left out: it would only hide false alarms.
                let test = rank::mann_whitney(&baseline, &canary).expect("numbers");
                test.p_greater <= alpha
            });
            let sicker = by_failure.take(20 * (second + 1)).is_some_and(|alpha| {
                fisher::p_greater(failures[0], failures[1]).is_some_and(|p| p <= alpha)
            });
            if slower || sicker {
                return true;
            }
        }
        false
    }

    #[test]
    fn looking_all_the_time_raises_no_more_false_alarms_than_stated() {
        let alarms = (0..10_000).filter(|seed| alike_looks_worse(*seed)).count();
        assert!(alarms <= 100, "{alarms} of 10000 phases, over all looks");
    }

    #[test]
    fn three_failures_in_a_hundred_instead_of_one_are_found_within_4_500_requests() {
        let found = (0..300).filter(|seed| {
            let mut dice = Dice(*seed);
            let mut arms = [Failures::default(); 2];
            let mut looks = Looks::new(0.005, 20);
            (0..225).any(|_| {
                for (arm, rate) in arms.iter_mut().zip([1, 3]) {
                    arm.requests += 20;
                    arm.failed += dice.failures(rate);
                }
                looks.take(arms[1].requests).is_some_and(|alpha| {
                    fisher::p_greater(arms[0], arms[1]).is_some_and(|p| p <= alpha)
                })
            })
        });
        let found = found.count();
        assert!(found >= 297, "{found} of 300 canaries with 4,500 requests in each arm");
    }
}
