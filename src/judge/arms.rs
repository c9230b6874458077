//! Two arms that served at the same time, judged on what was measured of each.
//!
//! The law: an arm is worse when it is so beyond chance **and** by enough to matter. What is beyond
//! chance but does not matter passes; what would matter but may be chance is inconclusive, and so
//! is too little of anything: few failures among few requests pass only once an arm that is twice
//! as much worse as matters would hardly have had so few. The verdict does not depend on the unit, and is the same for the same
//! samples, to the byte.
//!
//! Values (latencies, sizes) are compared by their ranks, and what matters is how much the typical
//! one has grown: the median of all differences as a share of the baseline's median. Tails are
//! compared by who has the slowest in twenty, and what matters is how much the 95th percentile has
//! grown. Outcomes are compared by Fisher's exact test, and what matters is by how much the share
//! of failures has grown. What Kayenta decides on, the shift and its confidence interval, misses a tenfold error
//! rate where most samples are zero; ranks and counts do not.

use serde::{Deserialize, Serialize};

use super::stats::fisher::{self, Failures};
use super::stats::rank::{self, Counted};
use super::stats::tail;
use super::{Unit, Verdict};

/// The fewest values of an arm that say anything: with fewer, three equal arms in a hundred look
/// worse than their like (measured of Kayenta's judge).
pub const FEWEST: u64 = 5;
/// The fewest values of an arm that have a tail: with fewer, not one slow answer is expected.
pub const FEWEST_OF_TAIL: u64 = tail::ONE_IN;

/// How probable so few failures may be, of an arm that is worse by twice what matters, for it to
/// pass as no worse.
pub const MISS: f64 = 0.05;

/// What was measured of both arms.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Quantities of which less is better.
    Values { baseline: Vec<f64>, canary: Vec<f64> },
    /// Such quantities with how often each was measured, in order: histograms.
    Counted { baseline: Vec<Counted>, canary: Vec<Counted> },
    /// As those, of which the slowest in twenty are looked at.
    Tails { baseline: Vec<Counted>, canary: Vec<Counted> },
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
            let test = rank::mann_whitney(baseline, canary);
            let test = test.map(|test| (test.p_greater, test.exact));
            let (baseline, canary) = (rank::counted(baseline), rank::counted(canary));
            let arms = [&baseline[..], &canary];
            compared((name, unit), arms, FEWEST, worse, || Some(Compared::typical(arms, test?)))
        }
        Samples::Counted { baseline, canary } => {
            let arms = [&baseline[..], canary];
            compared((name, unit), arms, FEWEST, worse, || {
                let test = rank::mann_whitney_counted(baseline, canary)?;
                Some(Compared::typical(arms, (test.p_greater, test.exact)))
            })
        }
        Samples::Tails { baseline, canary } => {
            let arms = [&baseline[..], canary];
            compared((name, unit), arms, FEWEST_OF_TAIL, worse, || Compared::slowest(arms))
        }
        Samples::Outcomes { baseline, canary } => outcomes(name, *baseline, *canary, worse),
    }
}

/// What two arms of values come to: a number each, and how much worse the canary's is.
struct Compared {
    theirs: f64,
    ours: f64,
    effect: f64,
    p_greater: f64,
    exact: bool,
}

impl Compared {
    /// By the typical value. There are some, and all are finite, as the test has found.
    fn typical([baseline, canary]: [&[Counted]; 2], (p_greater, exact): (f64, bool)) -> Self {
        let (theirs, ours) = (rank::median(baseline), rank::median(canary));
        let effect = relative(rank::shift(baseline, canary), theirs);
        Self { theirs, ours, effect, p_greater, exact }
    }

    /// By the slow ones; `None` where something is not a number.
    fn slowest([baseline, canary]: [&[Counted]; 2]) -> Option<Self> {
        let tail::Tail { p_greater, baseline, canary } = tail::compare(baseline, canary)?;
        let effect = relative(canary - baseline, baseline);
        Some(Self { theirs: baseline, ours: canary, effect, p_greater, exact: true })
    }
}

fn compared(
    (name, unit): (&str, &str),
    arms: [&[Counted]; 2],
    fewest: u64,
    worse: Worse,
    compare: impl FnOnce() -> Option<Compared>,
) -> Finding {
    let [theirs, mine] = arms.map(rank::total);
    let mut finding = Finding::of(theirs, mine);
    let few = theirs.min(mine) < fewest;
    let Some(seen) = (!few).then(compare).flatten() else {
        let why =
            if few { format!("needs {fewest} in each arm") } else { "not a number".to_owned() };
        finding.verdict = Verdict::Inconclusive(format!("{name} {}: {why}", finding.counts()));
        return finding;
    };
    finding.p = Some(seen.p_greater);
    finding.effect = Some(seen.effect).filter(|effect| effect.is_finite());
    finding.exact = seen.exact;
    let line = format!(
        "{name} canary {}{unit} (n={mine}) vs control {}{unit} (n={theirs}), {} worse, limit {}, \
         p {}",
        short(seen.ours),
        short(seen.theirs),
        Unit::Ratio.format(seen.effect.max(0.0)),
        Unit::Ratio.format(worse.min_effect),
        probability(seen.p_greater),
    );
    finding.verdict = worse.verdict(seen.p_greater, seen.effect, &line);
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
    finding.verdict = match worse.verdict(p, effect, &line) {
        Verdict::Pass(_) if fisher::so_few(canary, theirs + 2.0 * worse.min_effect) > MISS => {
            Verdict::Inconclusive(format!("{line} -> too few to tell"))
        }
        verdict => verdict,
    };
    finding
}

impl Worse {
    /// Beyond chance and by enough: worse. By enough, but perhaps chance: unknown.
    fn verdict(self, p: f64, effect: f64, line: &str) -> Verdict {
        // Where nothing is evidence, a p-value too small for a number is none either.
        let clear = self.alpha > 0.0 && p <= self.alpha;
        let matters = effect >= self.min_effect;
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
        assert!(inconclusive(&errors((0, 500), (0, 148))), "two in a hundred may show none yet");
        assert!(errors((0, 500), (0, 149)).verdict.passed());
        assert!(inconclusive(&errors((10, 1000), (1, 100))));
        assert!(errors((10, 1000), (2, 220)).verdict.passed());
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
    fn slow_answers_that_are_few_are_worse_in_their_own_metric_alone() {
        let control: Vec<Counted> = (0..500u32).map(|n| (100.0 + f64::from(n) / 50.0, 1)).collect();
        let mut canary = control[..460].to_vec();
        canary.push((300.0, 40));
        let (baseline, canary) = (control, canary);
        let all = Samples::Counted { baseline: baseline.clone(), canary: canary.clone() };
        assert!(judge("latency", "ms", &all, WORSE).verdict.passed(), "the ranks hardly differ");
        let tails = Samples::Tails { baseline: baseline.clone(), canary: canary.clone() };
        let finding = judge("latency_p95", "ms", &tails, WORSE);
        let why = "latency_p95 canary 300ms (n=500) vs control 109.5ms (n=500), 174";
        let failed = matches!(&finding.verdict, Verdict::Fail(said) if said.starts_with(why));
        assert!(failed, "{finding:?}");
        let swapped = Samples::Tails { baseline: canary, canary: baseline };
        assert!(judge("latency_p95", "ms", &swapped, WORSE).verdict.passed());
        let few = Samples::Tails { baseline: vec![(1.0, 19)], canary: vec![(1.0, 500)] };
        let few = judge("latency_p95", "ms", &few, WORSE).verdict;
        assert!(few.why().ends_with("needs 20 in each arm"), "{few:?}");
    }
}
