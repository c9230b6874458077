//! Latencies in log-linear buckets: 64 per power of two, so every quantile is within 0.8 %.
//!
//! From 1 µs to 67 s, in 1,344 buckets of fixed bounds; histograms of any two workers or slots add
//! up bucket by bucket. The same shape as `HdrHistogram` with two significant digits.

use crate::control::observe::{Bucket, Latency};

/// Buckets per power of two, as a power of two.
const SUB_BITS: u32 = 6;
/// 2^26 µs: 67 s, longer than any upstream's timeout.
const TOP_BITS: u32 = 26;
/// The number of buckets.
pub(super) const BUCKETS: usize = ((TOP_BITS - SUB_BITS + 1) as usize) << SUB_BITS;

/// The bucket of a latency in microseconds; longer than the top goes to the last one.
#[expect(clippy::cast_possible_truncation, reason = "below 2^26 by the first line")]
pub(super) fn index(us: u64) -> u16 {
    let us = us.min((1 << TOP_BITS) - 1) as u32;
    if us < 1 << SUB_BITS {
        return us as u16;
    }
    let shift = us.ilog2() - SUB_BITS;
    // The leading bit of `us >> shift` is always set: it counts as one more group of 64.
    ((shift << SUB_BITS) + (us >> shift)) as u16
}

/// The middle of a bucket, in microseconds.
fn middle(index: u16) -> f64 {
    let index = u32::from(index);
    if index < 1 << (SUB_BITS + 1) {
        return f64::from(index);
    }
    let shift = (index >> SUB_BITS) - 1;
    let low = (index - (shift << SUB_BITS)) << shift;
    f64::from(low) + f64::from((1u32 << shift) - 1) / 2.0
}

/// A sum of histograms.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, max_us: 0 }
    }
}

impl Sum {
    /// Adds non-empty buckets and the greatest latency among them.
    pub(super) fn add(&mut self, buckets: &[(u16, u32)], max_us: u64) {
        for &(index, count) in buckets {
            self.buckets[usize::from(index)] += u64::from(count);
            self.count += u64::from(count);
        }
        self.max_us = self.max_us.max(max_us);
    }

    /// The non-empty buckets, in order.
    pub(super) fn buckets(&self) -> Vec<Bucket> {
        let full = (0..).zip(&self.buckets).filter(|(_, n)| **n > 0);
        full.map(|(at, n)| Bucket { ms: middle(at) / 1000.0, n: *n }).collect()
    }

    /// The quantiles, by nearest rank; `None` without a latency.
    #[expect(clippy::cast_precision_loss, reason = "a maximum in µs is far below 2^52")]
    pub(super) fn latency(&self) -> Option<Latency> {
        let max_ms = self.max_us as f64 / 1000.0;
        let quantile = |percent: u64| {
            let rank = (self.count * percent).div_ceil(100).max(1);
            let mut seen = 0;
            let at = self.buckets.iter().position(|count| {
                seen += count;
                seen >= rank
            })?;
            Some((middle(u16::try_from(at).ok()?) / 1000.0).min(max_ms))
        };
        Some(Latency {
            p50_ms: quantile(50)?,
            p95_ms: quantile(95)?,
            p99_ms: quantile(99)?,
            max_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_buckets_are_all_used_and_in_order() {
        let mut last = 0;
        for us in 0..1u64 << 18 {
            let at = index(us);
            assert!(at == last || at == last + 1, "{us} µs skips from {last} to {at}");
            last = at;
        }
        assert_eq!(usize::from(index(u64::MAX)), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let mut sum = Sum::default();
        assert_eq!(sum.latency(), None);
        for ms in 1..=100u64 {
            sum.add(&[(index(ms * 1000), 1)], ms * 1000);
        }
        let latency = sum.latency().unwrap();
        for (got, want) in [(latency.p50_ms, 50.0), (latency.p95_ms, 95.0), (latency.p99_ms, 99.0)]
        {
            assert!((got - want).abs() <= want * 0.01, "{got} instead of {want}");
        }
        assert!((latency.max_ms - 100.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_bucket_stands_for_its_latencies_within_one_percent(us in 0u64..1 << 26) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^26")]
            let exact = us as f64;
            prop_assert!((middle(index(us)) - exact).abs() <= exact * 0.008);
        }
    }
}
