//! How often a canary is judged wrongly: whole phases are simulated, and judged by [`Trial`] alone,
//! as a canary step is.
//!
//! Between two looks that are due nothing is evidence, however often one looks: the second test
//! shows it, and the others save the time.

use super::Verdict;
use super::canary::{ALPHA, Compare, Trial};
use super::stats::fisher::Failures;
use crate::control::observe::Bucket;
use crate::load::dice::Dice;

/// What a server is like, in shares of 65,536 of its requests.
#[derive(Clone, Copy)]
struct Like {
    /// Requests that fail.
    failing: u64,
    /// What an answer takes in milliseconds; it varies by a tenth.
    typical: f64,
    /// Answers that take three times as long.
    slow: u64,
}

/// One request in a hundred fails, and two take three times as long.
const USUAL: Like = Like { failing: percent(1), typical: 100.0, slow: percent(2) };

const fn percent(n: u64) -> u64 {
    n * 65_536 / 100
}

/// How many heads eight coins can show.
const KINDS: u32 = 9;

/// A trial with both arms' luck: what an arm is like does not change the other's, nor does it
/// matter in what portions they serve.
fn trial(wanted: Compare, seed: u64) -> (Trial, [Dice; 2]) {
    (Trial::new(wanted, ALPHA), [Dice::new(2 * seed), Dice::new(2 * seed + 1)])
}

/// Lets both arms serve `n` more requests.
fn serve(trial: &mut Trial, dice: &mut [Dice; 2], n: u64, likes: [Like; 2]) {
    let arms = [&mut trial.control, &mut trial.canary];
    for ((arm, dice), like) in arms.into_iter().zip(dice).zip(likes) {
        let (mut failed, mut answers) = (0, [0u64; 2 * KINDS as usize]);
        for _ in 0..n {
            let bits = dice.roll();
            // Eight coins: 4 of them on average, by the root of 2.
            let heads = (bits & 0xff).count_ones();
            failed += u64::from(bits >> 16 & 0xffff < like.failing);
            let slow = u32::from(bits >> 32 & 0xffff < like.slow);
            answers[(heads + slow * KINDS) as usize] += 1;
        }
        let took = [like.typical, 3.0 * like.typical].into_iter().flat_map(|typical| {
            (0..KINDS).map(move |heads| typical * (10.1 + f64::from(heads)) / 14.1)
        });
        let buckets = took.zip(answers).filter(|(_, n)| *n > 0).map(|(ms, n)| Bucket { ms, n });
        arm.add(Failures { requests: n, failed }, &buckets.collect::<Vec<_>>());
    }
}

fn failed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail(_))
}

/// What matters to nobody matters here: a least effect would only hide false alarms.
const EVERYTHING: Compare = Compare {
    max_error_increase: 0.0,
    max_latency_ratio: 1.0,
    max_tail_ratio: 1.0,
    min_samples: 100,
};

const SECONDS: u64 = 60;
/// Requests a second in each arm. From 21 on p-values are no longer counted out, which takes time.
const A_SECOND: u64 = 21;

/// After how many seconds of a phase with a look in each a canary is aborted, if it is.
fn aborted(seed: u64, canary: Like, look_each_second: bool) -> Option<u64> {
    let (mut trial, mut dice) = trial(EVERYTHING, seed);
    let mut second = 0;
    loop {
        let until_due = (trial.next() - trial.requests()).div_ceil(A_SECOND);
        let seconds = if look_each_second { 1 } else { until_due };
        second += seconds;
        if second > SECONDS {
            return None;
        }
        serve(&mut trial, &mut dice, seconds * A_SECOND, [USUAL, canary]);
        if failed(&trial.look()) {
            return Some(second);
        }
    }
}

#[test]
fn one_equal_canary_in_a_hundred_is_aborted_at_most_over_all_looks_of_a_phase() {
    let alarms = (0..10_000).filter(|seed| aborted(*seed, USUAL, false).is_some()).count();
    assert!(alarms <= 100, "{alarms} of 10000 phases of {SECONDS} looks");
}

#[test]
fn whoever_looks_each_second_finds_what_those_find_who_look_when_it_is_due() {
    let sick = Like { failing: percent(8), ..USUAL };
    for seed in 0..20 {
        let when_due = aborted(seed, sick, false);
        assert!(when_due.is_some());
        assert_eq!(aborted(seed, sick, true), when_due, "{seed}");
    }
}

/// How many canaries of `all` are aborted by the time that both arms have served so many requests,
/// the first look being at `first`.
fn found(all: u64, (first, within): (u64, u64), arms: [Like; 2]) -> u64 {
    let one = |seed: &u64| {
        let (mut trial, mut dice) = trial(Compare::default(), *seed);
        loop {
            let next = trial.next().max(first);
            if next > within {
                return false;
            }
            let more = next - trial.requests();
            serve(&mut trial, &mut dice, more, arms);
            if failed(&trial.look()) {
                return true;
            }
        }
    };
    (0..all).filter(one).count() as u64
}

#[test]
fn half_as_slow_again_is_found_within_ten_requests() {
    let plain = Like { failing: 0, slow: 0, ..USUAL };
    let found = found(1000, (1, 10), [plain, Like { typical: 150.0, ..plain }]);
    assert!(found >= 990, "{found} of 1000");
}

#[test]
fn three_errors_in_a_hundred_instead_of_one_are_found_within_4_700_requests() {
    let found = found(300, (100, 4_700), [USUAL, Like { failing: percent(3), ..USUAL }]);
    assert!(found >= 297, "{found} of 300");
}

#[test]
fn one_slow_answer_in_ten_instead_of_one_in_fifty_is_found_within_1_400_requests() {
    let found = found(300, (100, 1_400), [USUAL, Like { slow: percent(10), ..USUAL }]);
    assert!(found >= 297, "{found} of 300");
}

/// How many worse canaries in a thousand get the next weight, where the soak has brought each arm
/// `n` requests, and what is held then gets a tenth as many again until it is decided.
fn promoted(n: u64, canary: Like) -> u64 {
    let one = |seed: &u64| {
        let (mut trial, mut dice) = trial(Compare::default(), *seed);
        serve(&mut trial, &mut dice, n, [USUAL, canary]);
        for _ in 0..100 {
            match trial.look() {
                Verdict::Pass(_) => return true,
                Verdict::Fail(_) => return false,
                Verdict::Inconclusive(_) => {}
            }
            serve(&mut trial, &mut dice, n.div_ceil(10), [USUAL, canary]);
        }
        false
    };
    let all = 200;
    (0..all).filter(one).count() as u64 * 1000 / all
}

#[test]
fn a_canary_that_is_worse_by_enough_is_seldom_promoted_and_the_more_it_is_the_less() {
    let (slower, errors, slow) = (
        Like { typical: 150.0, ..USUAL },
        Like { failing: percent(3), ..USUAL },
        Like { slow: percent(10), ..USUAL },
    );
    // Of a thousand, at most: what docs/canary.md tells whoever chooses `min_samples`.
    for (what, n, canary, most) in [
        ("half as slow again", 100, slower, 0),
        ("3% errors", 100, errors, 300),
        ("3% errors", 300, errors, 230),
        ("3% errors", 1000, errors, 80),
        ("one in ten slow", 100, slow, 40),
        ("one in ten slow", 300, slow, 10),
    ] {
        let wrong = promoted(n, canary);
        assert!(wrong <= most, "{what}, {n} requests: {wrong} of 1000 promoted");
    }
}
