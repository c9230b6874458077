//! How much evidence a look needs.
//!
//! The law: whoever looks at data that grows, and stops at the first look that seems clear, is
//! misled far more often than by a single look. So the whole probability of a false alarm, `alpha`,
//! is shared out over all looks there can ever be: the k-th one, from 0, may use `alpha / ((k + 1)
//! (k + 2))`, which adds up to `alpha` (the union bound; spending of alpha as in Lan and
//! `DeMets`, 1983). And one looks only when there is half as much again to see as the last time: at 5
//! values, at 8, 12, 18, ..., so that asking every second costs nothing.
//!
//! When one looks depends on the number of values alone, never on the values.

/// How evidence is asked for. The looks that were taken are the caller's to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Looks {
    alpha: f64,
    taken: u32,
    next: u64,
}

impl Looks {
    /// Looks that are all together wrong with a probability of `alpha` at most, the first of them
    /// at `first` values.
    pub fn new(alpha: f64, first: u64) -> Self {
        Self { alpha, taken: 0, next: first.max(1) }
    }

    /// The greatest p-value that is evidence now that there are `values`; `None` while there are
    /// too few for another look.
    pub fn take(&mut self, values: u64) -> Option<f64> {
        if values < self.next {
            return None;
        }
        let k = f64::from(self.taken);
        self.taken += 1;
        self.next = values + values.div_ceil(2);
        Some(self.alpha / ((k + 1.0) * (k + 2.0)))
    }

    /// Takes every look that is due by now that there are `values`, and gives what the last of
    /// them may use; `None` when none was due.
    ///
    /// Which look it is then follows from the number of values alone, so that whoever looks, and
    /// whoever goes on after a crash, asks for the same evidence.
    pub fn catch_up(&mut self, values: u64) -> Option<f64> {
        let mut last = None;
        while self.next <= values {
            last = self.take(self.next);
        }
        last
    }

    /// The number of values that the next look waits for.
    pub fn next(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_looks_together_use_what_there_is() {
        let mut looks = Looks::new(0.01, 5);
        let (mut used, mut at) = (0.0, Vec::new());
        for values in 1..100_000 {
            if let Some(alpha) = looks.take(values) {
                used += alpha;
                at.push(values);
            }
        }
        assert_eq!(at[..6], [5, 8, 12, 18, 27, 41]);
        assert!(used < 0.01 && used > 0.0095, "{used}");
    }

    #[test]
    fn whoever_catches_up_takes_the_look_that_the_number_of_values_says() {
        let (mut steady, mut late) = (Looks::new(0.01, 5), Looks::new(0.01, 5));
        let last = (1..=1000).filter_map(|values| steady.catch_up(values)).last();
        assert_eq!(late.catch_up(1000), last);
        assert_eq!((late, late.catch_up(1000)), (steady, None));
    }

    #[test]
    fn values_that_come_in_heaps_cost_one_look() {
        let mut looks = Looks::new(0.01, 5);
        assert_eq!(looks.take(4), None);
        assert_eq!(looks.take(1000), Some(0.005));
        assert_eq!((looks.take(1499), looks.next()), (None, 1500));
    }
}
