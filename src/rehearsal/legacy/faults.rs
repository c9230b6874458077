//! How the legacy app misbehaves on demand.

use std::time::Duration;

use crate::units::Percent;

/// What is wrong with the app; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The share of requests answered with 500 and not handled.
    pub errors: Percent,
    /// Time added before every answer.
    pub latency: Duration,
    /// Connections are refused, and open ones cut.
    pub refuse: bool,
}

/// Whether the n-th request is among the share that fails. Spread evenly rather than drawn, so
/// that a small sample has the share too.
pub(super) fn is_hit(n: u64, share: Percent) -> bool {
    let share = u128::from(share.thousandths());
    let failed_before = |n: u64| u128::from(n) * share / u128::from(Percent::DENOMINATOR);
    failed_before(n.wrapping_add(1)) > failed_before(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_errors_is_exact_and_evenly_spread() {
        let hits = |share, n: u64| (0..n).filter(|n| is_hit(*n, share)).count();
        assert_eq!(hits(Percent::ZERO, 1000), 0);
        assert_eq!(hits(Percent::ALL, 1000), 1000);
        assert_eq!(hits(Percent::whole(20), 50), 10);
        assert_eq!(hits(Percent::whole(20), 5), 1);
        assert_eq!(hits("0.5%".parse().unwrap(), 2000), 10);
    }
}
