//! The rank test of Mann and Whitney (1947): are the values of one arm larger than the other's?
//!
//! It asks for nothing but the order of the values, so that its answer is the same in seconds and
//! in nanoseconds, and one monstrous outlier counts no more than any other largest value. Ties get
//! the mean of their ranks. Small samples are judged exactly, by counting all ways to deal the
//! ranks to the arms, ties included; larger ones by the normal approximation with the variance
//! corrected for ties and a continuity correction of one half, as in `scipy.stats.mannwhitneyu`.
//!
//! Why not an existing crate: `statrs` 0.19 returns the complement of its exact p-value whenever
//! the first arm is the smaller one, which a canary's always is.

/// Up to how many pairs of values the exact distribution is counted out: 20 values per arm.
pub const EXACT_PAIRS: usize = 400;

/// What the ranks of two arms say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// Pairs in which the canary's value is the larger one; half for each tie.
    pub u: f64,
    /// How probable it is for ranks dealt at random to favour the canary's values so much.
    pub p_greater: f64,
    /// Likewise for the other direction.
    pub p_less: f64,
    /// The probability that a value of the canary is larger than one of the baseline (common
    /// language effect size): 0.5 is no difference.
    pub cles: f64,
    /// Whether all ways were counted.
    pub exact: bool,
}

impl RankTest {
    /// The two-sided p-value.
    pub fn p_two_sided(&self) -> f64 {
        (2.0 * self.p_greater.min(self.p_less)).min(1.0)
    }
}

/// Compares two arms. `None` when one is empty or has a value that is not a finite number.
pub fn mann_whitney(baseline: &[f64], canary: &[f64]) -> Option<RankTest> {
    mann_whitney_up_to(EXACT_PAIRS, baseline, canary)
}

/// As [`mann_whitney`], exact up to a number of pairs.
pub fn mann_whitney_up_to(
    exact_pairs: usize,
    baseline: &[f64],
    canary: &[f64],
) -> Option<RankTest> {
    let finite = |arm: &[f64]| !arm.is_empty() && arm.iter().all(|value| value.is_finite());
    if !finite(baseline) || !finite(canary) {
        return None;
    }
    let (ours, theirs) = (count(canary.len()), count(baseline.len()));
    let pairs = ours * theirs;
    let ranks = Ranks::of(baseline, canary);
    let u = ranks.canary_sum / 2.0 - ours * (ours + 1.0) / 2.0;
    let exact = canary.len().saturating_mul(baseline.len()) <= exact_pairs;
    let (p_greater, p_less) = if exact {
        ranks.exact(canary.len())
    } else {
        let all = ours + theirs;
        let variance = pairs / 12.0 * ((all + 1.0) - ranks.ties / (all * (all - 1.0)));
        (upper_tail(u, pairs / 2.0, variance), upper_tail(pairs - u, pairs / 2.0, variance))
    };
    Some(RankTest { u, p_greater, p_less, cles: u / pairs, exact })
}

/// As [`mann_whitney`], of values that come with how often each was measured, in order.
///
/// A million measurements in a thousand buckets cost as much as a thousand values.
pub fn mann_whitney_counted(baseline: &[Counted], canary: &[Counted]) -> Option<RankTest> {
    let (ours, theirs) = (total(canary), total(baseline));
    if ours.saturating_mul(theirs) <= EXACT_PAIRS as u64 {
        return mann_whitney(&spread(baseline), &spread(canary));
    }
    let finite = |arm: &[Counted]| arm.iter().all(|(value, _)| value.is_finite());
    if ours.min(theirs) == 0 || !finite(baseline) || !finite(canary) {
        return None;
    }
    let tagged = |arm: &[Counted], ours: bool| {
        arm.iter().map(move |(v, n)| if ours { (*v, 0, *n) } else { (*v, *n, 0) }).collect()
    };
    let mut all: Vec<(f64, u64, u64)> = tagged(baseline, false);
    all.extend::<Vec<_>>(tagged(canary, true));
    all.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let (mut u, mut ties, mut below) = (0.0, 0.0, 0.0);
    #[expect(clippy::float_cmp, reason = "ties are values that are equal")]
    for group in all.chunk_by(|(a, ..), (b, ..)| a == b) {
        let theirs = number(group.iter().map(|(_, n, _)| n).sum());
        let ours = number(group.iter().map(|(.., n)| n).sum());
        u += ours * (below + theirs / 2.0);
        below += theirs;
        let size = ours + theirs;
        ties += size * size * size - size;
    }
    let (ours, theirs) = (number(ours), number(theirs));
    let (pairs, all) = (ours * theirs, ours + theirs);
    let variance = pairs / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    let p_greater = upper_tail(u, pairs / 2.0, variance);
    let p_less = upper_tail(pairs - u, pairs / 2.0, variance);
    Some(RankTest { u, p_greater, p_less, cles: u / pairs, exact: false })
}

/// A value, and how often it was measured.
pub type Counted = (f64, u64);

/// How many measurements there are.
pub fn total(arm: &[Counted]) -> u64 {
    arm.iter().map(|(_, n)| n).sum()
}

/// The measurements one by one.
fn spread(arm: &[Counted]) -> Vec<f64> {
    let times = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    arm.iter().flat_map(|(value, n)| std::iter::repeat_n(*value, times(*n))).collect()
}

/// The smallest value that at least `part` of `of` measurements do not exceed; `None` of none.
pub fn quantile(arm: &[Counted], part: u64, of: u64) -> Option<f64> {
    let all = u128::from(total(arm));
    let wanted = (all * u128::from(part)).div_ceil(u128::from(of)).max(1);
    let mut seen = 0;
    let reached = arm.iter().find(|(_, n)| {
        seen += u128::from(*n);
        seen >= wanted
    });
    reached.map(|(value, _)| *value)
}

/// The median, of measurements that there are.
pub fn median(arm: &[Counted]) -> f64 {
    let all = total(arm);
    let at = |rank: u64| quantile(arm, rank, all).expect("there are measurements");
    between(at(all.div_ceil(2)), at(all / 2 + 1))
}

/// Values in order, each counted once.
pub fn counted(values: &[f64]) -> Vec<Counted> {
    let mut counted: Vec<Counted> = values.iter().map(|value| (*value, 1)).collect();
    counted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    counted
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn number(n: u64) -> f64 {
    n as f64
}

/// The ranks of all values, doubled, so that means of ranks are whole numbers.
struct Ranks {
    doubled: Vec<usize>,
    /// The sum of the canary's doubled ranks.
    canary_sum: f64,
    /// The sum of `t^3 - t` over groups of `t` equal values.
    ties: f64,
}

impl Ranks {
    fn of(baseline: &[f64], canary: &[f64]) -> Self {
        let tagged = |arm: &[f64], ours| arm.iter().map(move |v| (*v, ours)).collect::<Vec<_>>();
        let mut all = tagged(baseline, false);
        all.extend(tagged(canary, true));
        all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut ranks = Self { doubled: Vec::with_capacity(all.len()), canary_sum: 0.0, ties: 0.0 };
        // `-0.0` and `0.0` are one value, though not to `total_cmp`, which puts them side by side.
        #[expect(clippy::float_cmp, reason = "ties are values that are equal")]
        for group in all.chunk_by(|(a, _), (b, _)| a == b) {
            // Ranks from `first + 1` to `first + group.len()`: twice their mean.
            let doubled = 2 * ranks.doubled.len() + group.len() + 1;
            ranks.doubled.extend(std::iter::repeat_n(doubled, group.len()));
            let ours = group.iter().filter(|(_, ours)| *ours).count();
            ranks.canary_sum += count(doubled) * count(ours);
            let size = count(group.len());
            ranks.ties += size * size * size - size;
        }
        ranks
    }

    /// The probabilities that `taken` ranks drawn at random add up to at least, and at most, what
    /// the canary's do.
    ///
    /// `ways[k][s]` counts the ways to draw `k` ranks with the sum `s`. Only additions: as floating
    /// point numbers the counts are right to some 15 digits, however large. Without ties the k-th
    /// rank drawn is at least `k`, and counts for what it is more.
    fn exact(&self, taken: usize) -> (f64, f64) {
        let distinct = self.ties == 0.0;
        let others = self.doubled.len() - taken;
        let (most, observed) = if distinct {
            let least = count(taken) * (count(taken) + 1.0) / 2.0;
            (taken * others, self.canary_sum / 2.0 - least)
        } else {
            (self.doubled.iter().rev().take(taken).sum(), self.canary_sum)
        };
        let mut ways = vec![vec![0.0; most + 1]; taken + 1];
        ways[0][0] = 1.0;
        for (seen, rank) in self.doubled.iter().enumerate() {
            for k in (1..=taken.min(seen + 1)).rev() {
                let (fewer, more) = ways.split_at_mut(k);
                let (from, to) = (&fewer[k - 1], &mut more[0]);
                let counts = if distinct { seen + 1 - k } else { *rank };
                for (to, from) in to.iter_mut().skip(counts).zip(from) {
                    *to += from;
                }
            }
        }
        let all: f64 = ways[taken].iter().sum();
        let sums = || (0u32..).map(f64::from).zip(&ways[taken]);
        let share = |of: f64| (of / all).min(1.0);
        let at_least = sums().filter(|(sum, _)| *sum >= observed).map(|(_, n)| n).sum();
        let at_most = sums().filter(|(sum, _)| *sum <= observed).map(|(_, n)| n).sum();
        (share(at_least), share(at_most))
    }
}

/// The probability of at least `u` by the normal approximation; 1 where all values are equal.
fn upper_tail(u: f64, mean: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (u - mean - 0.5) / variance.sqrt();
    (libm::erfc(z / std::f64::consts::SQRT_2) / 2.0).min(1.0)
}

/// The median of all differences between the arms (Hodges and Lehmann, 1963), in the values' own
/// unit. Both arms are in order, finite and not empty.
///
/// The differences are never all formed: how many of them are at most `x`, and which ones are next
/// to `x`, is found in one walk along both arms, and halving the numbers between the least and the
/// greatest finds the middle one in 64 walks at most, in a handful as a rule. So a million
/// measurements cost what their buckets do.
pub fn shift(baseline: &[Counted], canary: &[Counted]) -> f64 {
    let pairs = u128::from(total(baseline)) * u128::from(total(canary));
    let (lower, upper) = (pairs.div_ceil(2), pairs / 2 + 1);
    let low = difference(baseline, canary, lower);
    let around = Around::of(baseline, canary, low);
    between(low, if around.at_most >= upper { low } else { around.above })
}

/// The `rank`-th smallest of all differences, from 1.
fn difference(baseline: &[Counted], canary: &[Counted], rank: u128) -> f64 {
    let ends = |arm: &[Counted]| (arm[0].0, arm[arm.len() - 1].0);
    let ((least, most), (first, last)) = (ends(baseline), ends(canary));
    let (mut low, mut high) = (minus(first, most), minus(last, least));
    while low < high {
        let middle = value_at(place(low) + (place(high) - place(low)) / 2);
        let around = Around::of(baseline, canary, if middle < high { middle } else { low });
        if around.at_most >= rank {
            high = around.below;
        } else {
            low = around.above;
        }
    }
    high
}

/// The differences around a number.
struct Around {
    /// How many are at most the number.
    at_most: u128,
    /// The greatest of those, and the least of the others.
    below: f64,
    above: f64,
}

impl Around {
    fn of(baseline: &[Counted], canary: &[Counted], number: f64) -> Self {
        let (mut left, mut theirs) = (u128::from(total(baseline)), 0);
        let mut around = Self { at_most: 0, below: f64::NEG_INFINITY, above: f64::INFINITY };
        for (ours, n) in canary {
            while theirs < baseline.len() && minus(*ours, baseline[theirs].0) > number {
                left -= u128::from(baseline[theirs].1);
                theirs += 1;
            }
            around.at_most += u128::from(*n) * left;
            if theirs > 0 {
                around.above = around.above.min(minus(*ours, baseline[theirs - 1].0));
            }
            if let Some((value, _)) = baseline.get(theirs) {
                around.below = around.below.max(minus(*ours, *value));
            }
        }
        around
    }
}

/// The difference, with no negative zero.
fn minus(ours: f64, theirs: f64) -> f64 {
    ours - theirs + 0.0
}

/// Where a number stands among all numbers, in their order.
fn place(value: f64) -> u64 {
    let bits = value.to_bits();
    if value.is_sign_negative() { !bits } else { bits | SIGN }
}

/// The number at a place.
fn value_at(place: u64) -> f64 {
    f64::from_bits(if place & SIGN == 0 { !place } else { place & !SIGN })
}

const SIGN: u64 = 1 << 63;

fn between(lower: f64, upper: f64) -> f64 {
    lower + (upper - lower) / 2.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-12 * left.abs().max(right.abs()).max(1e-300)
    }

    proptest! {
            #[test]
            fn counted_values_say_what_the_values_themselves_say(
                baseline in prop::collection::vec((0u8..30, 1u64..9), 1..20),
                canary in prop::collection::vec((0u8..30, 1u64..9), 1..20),
            ) {
                let counted = |arm: &[(u8, u64)]| {
                    let mut arm: Vec<Counted> = arm.iter().map(|(v, n)| (f64::from(*v), *n)).collect();
                    arm.sort_by(|(a, _), (b, _)| a.total_cmp(b));
                    arm
                };
                let (baseline, canary) = (counted(&baseline), counted(&canary));
                let (theirs, ours) = (spread(&baseline), spread(&canary));
                let whole = mann_whitney(&theirs, &ours).unwrap();
                let brief = mann_whitney_counted(&baseline, &canary).unwrap();
                prop_assert!(close(whole.u, brief.u) && whole.exact == brief.exact);
                prop_assert!((whole.p_greater - brief.p_greater).abs() < 1e-9);
                prop_assert!((whole.p_less - brief.p_less).abs() < 1e-9);
                let middle = |mut values: Vec<f64>| {
                    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
                };
                let differences = ours.iter().flat_map(|a| theirs.iter().map(move |b| a - b));
                prop_assert!(close(shift(&baseline, &canary), middle(differences.collect())));
                prop_assert!(close(median(&canary), middle(ours)));
            }

            #[test]
            fn places_are_in_the_order_of_their_numbers(a in any::<f64>(), b in any::<f64>()) {
                prop_assert_eq!(place(a).cmp(&place(b)), a.total_cmp(&b));
                prop_assert_eq!(value_at(place(a)).to_bits(), a.to_bits());
            }
        }

    #[test]
    fn a_quantile_is_a_measurement_that_was_made() {
        let arm = [(1.0, 19), (7.0, 1)];
        assert_eq!(quantile(&arm, 19, 20), Some(1.0));
        assert_eq!(quantile(&[(1.0, 18), (7.0, 2)], 19, 20), Some(7.0));
        assert_eq!(quantile(&[], 19, 20), None);
    }

    #[test]
    fn the_published_example_of_mann_and_whitney_s_table() {
        // Three against four, no overlap: 1 of 35 ways.
        let test = mann_whitney(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0]).unwrap();
        assert!(close(test.p_greater, 1.0 / 35.0) && test.exact);
        assert!(close(test.p_less, 1.0));
        assert!(close(shift(&counted(&[1.0, 2.0, 3.0, 4.0]), &counted(&[5.0, 6.0, 7.0])), 3.5));
        assert!(close(test.cles, 1.0));
    }

    #[test]
    fn equal_values_are_no_evidence() {
        for n in [3, 50] {
            let test = mann_whitney(&vec![7.0; n], &vec![7.0; n]).unwrap();
            assert!(close(test.p_greater, 1.0) && close(test.p_less, 1.0), "{test:?}");
            assert!(close(test.cles, 0.5));
        }
    }

    #[test]
    fn what_is_not_a_number_is_not_judged() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[1.0], &[f64::NAN]), None);
        assert_eq!(mann_whitney(&[f64::INFINITY], &[1.0]), None);
    }

    /// All ways to deal the values to the arms, counted one by one.
    fn brute(baseline: &[f64], canary: &[f64]) -> f64 {
        let all = [baseline, canary].concat();
        let u = |mask: u32| {
            let ours = |at: &usize| mask >> at & 1 == 1;
            let (mine, theirs): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(ours);
            let beats = |a: f64, b: f64| {
                if a > b {
                    1.0
                } else if a < b {
                    0.0
                } else {
                    0.5
                }
            };
            mine.iter().flat_map(|m| theirs.iter().map(|t| beats(all[*m], all[*t]))).sum::<f64>()
        };
        let dealt = (0u32..1 << all.len()).filter(|m| m.count_ones() as usize == canary.len());
        let observed = u(((1 << canary.len()) - 1) << baseline.len());
        let us: Vec<f64> = dealt.map(u).collect();
        count(us.iter().filter(|u| **u >= observed).count()) / count(us.len())
    }

    proptest! {
        #[test]
        fn the_exact_p_value_is_the_share_of_all_ways(
            baseline in proptest::collection::vec(0..6i32, 1..7),
            canary in proptest::collection::vec(0..6i32, 1..6),
        ) {
            let arm = |values: &[i32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (baseline, canary) = (arm(&baseline), arm(&canary));
            let test = mann_whitney(&baseline, &canary).unwrap();
            prop_assert!((test.p_greater - brute(&baseline, &canary)).abs() < 1e-12);
        }

        #[test]
        fn the_unit_does_not_matter(
            baseline in proptest::collection::vec(1..1_000_000u32, 1..60),
            canary in proptest::collection::vec(1..1_000_000u32, 1..60),
        ) {
            let arm = |values: &[u32], unit| {
                values.iter().map(|v| f64::from(*v) * unit).collect::<Vec<_>>()
            };
            let plain = mann_whitney(&arm(&baseline, 1.0), &arm(&canary, 1.0)).unwrap();
            for unit in [1e-9, 1e-4, 1e9] {
                let scaled = mann_whitney(&arm(&baseline, unit), &arm(&canary, unit)).unwrap();
                prop_assert_eq!((scaled.u, scaled.p_greater), (plain.u, plain.p_greater));
            }
        }

        #[test]
        fn the_other_way_round_is_the_other_way_round(
            baseline in proptest::collection::vec(0..50u32, 1..60),
            canary in proptest::collection::vec(0..50u32, 1..60),
        ) {
            let arm = |values: &[u32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (baseline, canary) = (arm(&baseline), arm(&canary));
            let one = mann_whitney(&baseline, &canary).unwrap();
            let other = mann_whitney(&canary, &baseline).unwrap();
            prop_assert!((one.p_greater - other.p_less).abs() < 1e-12);
            prop_assert!((one.cles + other.cles - 1.0).abs() < 1e-12);
            let (baseline, canary) = (counted(&baseline), counted(&canary));
            prop_assert!((shift(&baseline, &canary) + shift(&canary, &baseline)).abs() < 1e-9);
        }
    }
}
