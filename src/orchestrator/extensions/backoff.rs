//! How long a program that has ended is left alone, and when it is given up.

use std::time::Duration;

/// The pause after the first failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// A program that has run for this long has not failed to start.
pub(super) const STABLE: Duration = Duration::from_secs(10);
/// Failures in a row after which a program is not started again by itself.
pub(super) const GIVE_UP: u32 = 7;
/// The same for a new version beside one that works: that one need not wait for long.
pub(super) const GIVE_UP_SWAP: u32 = 3;

/// The pause after a number of failures in a row: doubled each time, drawn between half and all.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32 << failures.saturating_sub(1).min(20));
    let longest = doubled.min(LONGEST);
    longest / 2 + (longest / 2).mul_f64(chance.clamp(0.0, 1.0))
}

/// The failures in a row, with one more after a life of `lived`.
pub(super) fn count(failures: u32, lived: Duration) -> u32 {
    if lived >= STABLE { 1 } else { failures + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_grow_within_their_bounds(failures in 1_u32..100, chance in 0.0..=1.0) {
            let now = pause(failures, chance);
            prop_assert!(now >= FIRST / 2 && now <= LONGEST);
            prop_assert!(pause(failures + 1, chance) >= now);
        }
    }

    #[test]
    fn a_long_life_forgives() {
        assert_eq!(count(5, STABLE), 1);
        assert_eq!(count(5, STABLE / 2), 6);
    }
}
