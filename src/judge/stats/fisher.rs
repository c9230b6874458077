//! Fisher's exact test (1922): does the canary fail more often than its control?
//!
//! Exact for any counts, one failure in a million included: given how many requests failed in
//! both arms together, it counts in how many of all ways to share them out the canary gets as many
//! failures as it had. As in `scipy.stats.fisher_exact` with `alternative="greater"`.

/// Requests of an arm, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    pub requests: u64,
    pub failed: u64,
}

impl Failures {
    /// Failed requests per request; `None` without requests.
    pub fn rate(self) -> Option<f64> {
        (self.requests > 0).then(|| count(self.failed) / count(self.requests))
    }
}

/// The probability that failures dealt at random give the canary at least as many as it had.
///
/// `None` when an arm has no requests, or more failures than requests.
pub fn p_greater(baseline: Failures, canary: Failures) -> Option<f64> {
    let possible = |arm: Failures| arm.requests > 0 && arm.failed <= arm.requests;
    if !possible(baseline) || !possible(canary) {
        return None;
    }
    let failed = baseline.failed + canary.failed;
    let requests = baseline.requests + canary.requests;
    let most = failed.min(canary.requests);
    // Terms fall towards the greatest count: each is the one before, times a ratio.
    let mut term = (ln_choose(canary.requests, canary.failed)
        + ln_choose(baseline.requests, failed - canary.failed)
        - ln_choose(requests, failed))
    .exp();
    let mut sum = 0.0;
    for at in canary.failed..=most {
        sum += term;
        // At the last count there is nothing left to give the canary.
        let more = count(canary.requests - at) * count(failed - at);
        let fewer = count(at + 1) * (count(baseline.requests + at + 1) - count(failed));
        term *= more / fewer;
        if term < sum * 1e-18 && more < fewer {
            break;
        }
    }
    Some(sum.min(1.0))
}

/// The probability that so few of the requests fail, or fewer, where each fails with the
/// probability `rate`: the binomial distribution.
pub fn so_few(arm: Failures, rate: f64) -> f64 {
    if arm.failed >= arm.requests || rate <= 0.0 {
        return 1.0;
    }
    if rate >= 1.0 {
        return 0.0;
    }
    let Failures { requests, failed } = arm;
    let passed = count(requests - failed);
    let mut term =
        (ln_choose(requests, failed) + count(failed) * rate.ln() + passed * (-rate).ln_1p()).exp();
    let mut sum = 0.0;
    for at in (0..=failed).rev() {
        sum += term;
        // From each count to the one below it.
        let fewer = count(at) / count(requests - at + 1) * (1.0 - rate) / rate;
        term *= fewer;
        if term < sum * 1e-18 && fewer < 1.0 {
            break;
        }
    }
    sum.min(1.0)
}

/// The logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| libm::lgamma(count(n) + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(baseline: (u64, u64), canary: (u64, u64)) -> Option<f64> {
        let arm = |(failed, requests)| Failures { requests, failed };
        p_greater(arm(baseline), arm(canary))
    }

    #[test]
    fn the_lady_tasting_tea() {
        // Fisher's own example: 4 of 4 right by chance is 1 of 70, at least 3 is 17 of 70.
        assert!((p((0, 4), (4, 4)).unwrap() - 1.0 / 70.0).abs() < 1e-12);
        assert!((p((1, 4), (3, 4)).unwrap() - 17.0 / 70.0).abs() < 1e-12);
        assert!((p((4, 4), (0, 4)).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn without_failures_or_without_requests_there_is_nothing_to_say() {
        assert!((p((0, 100), (0, 50)).unwrap() - 1.0).abs() < 1e-12);
        assert!((p((100, 100), (50, 50)).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(p((0, 0), (0, 50)), None);
        assert_eq!(p((0, 10), (11, 10)), None);
    }

    #[test]
    fn it_is_monotone_and_a_probability() {
        let mut last = 1.0;
        for failed in 0..=200 {
            let now = p((20, 1000), (failed, 200)).unwrap();
            assert!((0.0..=1.0).contains(&now) && now <= last + 1e-12, "{failed}: {now}");
            last = now;
        }
        assert!(p((1000, 1_000_000), (400, 100_000)).unwrap() < 1e-50);
    }

    #[test]
    fn so_few_failures_add_up_as_the_binomial_distribution_does() {
        let arm = |failed, requests| Failures { requests, failed };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(so_few(arm(0, 100), 0.02), 0.98f64.powi(100)));
        // 1 + 4 + 6 of 16 ways.
        assert!(close(so_few(arm(2, 4), 0.5), 11.0 / 16.0));
        assert!(close(so_few(arm(4, 4), 0.5), 1.0) && close(so_few(arm(0, 9), 0.0), 1.0));
        assert!(close(so_few(arm(0, 9), 1.0), 0.0));
        // As scipy.stats.binom.cdf says.
        assert!(close(so_few(arm(10, 1000), 0.03), 1.812_991_346_796_405e-5));
    }
}
