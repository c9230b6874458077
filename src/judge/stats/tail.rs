//! The slow answers: does the canary have more of the slowest in twenty than its control?
//!
//! Ranks of all answers hardly move when only a few of them become slow, and a quantile of each arm
//! says nothing about chance. So a line is drawn that leaves about one in twenty of **both arms
//! together** above it, and whether the canary has more than its part of those is asked of
//! Fisher's exact test. Where the line is depends on the values alone and not on whose they are, so
//! that the p-value is exact whatever they are like: of equal arms every share-out is as probable as
//! any other.

use super::fisher::{self, Failures};
use super::rank::{Counted, quantile, total};

/// One answer in so many is a slow one.
pub const ONE_IN: u64 = 20;

/// What the slow answers say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// How probable it is that chance alone gives the canary so many of the slow answers.
    pub p_greater: f64,
    /// What nineteen in twenty of an arm's values do not exceed.
    pub baseline: f64,
    pub canary: f64,
}

/// Compares the slow answers of two arms, each in order. `None` when one is empty or has a value
/// that is not a finite number.
pub fn compare(baseline: &[Counted], canary: &[Counted]) -> Option<Tail> {
    let finite = |arm: &[Counted]| arm.iter().all(|(value, _)| value.is_finite());
    if !finite(baseline) || !finite(canary) {
        return None;
    }
    let from = slow_from(baseline, canary);
    let arm = |arm: &[Counted]| {
        let slow = arm.iter().filter(|(value, _)| from.is_some_and(|from| *value >= from));
        Failures { requests: total(arm), failed: slow.map(|(_, n)| n).sum() }
    };
    let p_greater = fisher::p_greater(arm(baseline), arm(canary))?;
    let typical = |arm: &[Counted]| quantile(arm, ONE_IN - 1, ONE_IN);
    Some(Tail { p_greater, baseline: typical(baseline)?, canary: typical(canary)? })
}

/// The value from which on an answer is a slow one: the one with which the share of slow answers
/// of both arms comes nearest to one in [`ONE_IN`], by its ratio. `None` where all are equal.
fn slow_from(baseline: &[Counted], canary: &[Counted]) -> Option<f64> {
    let mut all = [baseline, canary].concat();
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (whole, mut slow) = (total(&all), 0);
    let mut nearest: Option<(f64, f64)> = None;
    #[expect(clippy::float_cmp, reason = "ties are values that are equal")]
    for group in all.chunk_by(|(a, _), (b, _)| a == b) {
        slow += total(group);
        if slow == whole {
            break;
        }
        let share = number(slow) * number(ONE_IN) / number(whole);
        let off = share.max(1.0 / share);
        if nearest.is_none_or(|(best, _)| off < best) {
            nearest = Some((off, group[0].0));
        }
        if share > 1.0 {
            break;
        }
    }
    nearest.map(|(_, from)| from)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
fn number(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_in_ten_slow_answers_are_seen_also_where_they_are_all_equal() {
        let control = [(100.0, 500), (101.0, 500)];
        let canary = [(100.0, 450), (101.0, 450), (300.0, 100)];
        let tail = compare(&control, &canary).unwrap();
        assert_eq!((tail.baseline, tail.canary), (101.0, 300.0));
        assert!(tail.p_greater < 1e-20, "{tail:?}");
        let back = compare(&canary, &control).unwrap();
        assert!(back.p_greater > 0.999, "{back:?}");
    }

    #[test]
    fn equal_answers_have_no_slow_ones_among_them() {
        let tail = compare(&[(7.0, 100)], &[(7.0, 10)]).unwrap();
        assert_eq!((tail.p_greater, tail.baseline, tail.canary), (1.0, 7.0, 7.0));
        assert_eq!(compare(&[], &[(7.0, 10)]), None);
        assert_eq!(compare(&[(f64::NAN, 1)], &[(7.0, 10)]), None);
    }

    #[test]
    fn the_line_leaves_about_one_in_twenty_above_it() {
        let values: Vec<Counted> = (0..1000u32).map(|n| (f64::from(n), 1)).collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = values.iter().partition(|(v, _)| v % 3.0 < 1.0);
        assert_eq!(slow_from(&theirs, &ours), Some(950.0));
    }

    proptest! {
        #[test]
        fn whose_the_values_are_does_not_move_the_line(
            values in prop::collection::vec((0u8..60, any::<bool>()), 40..200),
        ) {
            let arm = |ours: bool| {
                let those = values.iter().filter(|(_, mine)| *mine == ours);
                super::super::rank::counted(&those.map(|(v, _)| f64::from(*v)).collect::<Vec<_>>())
            };
            prop_assert_eq!(slow_from(&arm(true), &arm(false)), slow_from(&arm(false), &arm(true)));
            prop_assert_eq!(slow_from(&arm(true), &arm(false)),
                slow_from(&[], &[arm(true), arm(false)].concat()));
        }
    }
}
