//! Feature flags: whether a key is within a flag's percentage.
//!
//! The law: the same key always gets the same answer, and a key that is in at 10 % is in at 25 %.
//! Both follow from hashing the key to one fixed bucket and comparing it with the percentage, so
//! raising a percentage only adds keys and lowering it takes the last ones out first.
//!
//! The bucketing is flagd's `fractional`, second version, bit for bit: 32-bit murmur3 (seed 0)
//! over flag key and targeting key, scaled to thousandths of a percent by a multiplication. The
//! flag's own name is part of the hash, so two flags at 10 % do not pick the same tenth.

//!
//! Reading order: this file (percentages, as the gateway asks them), [`evaluator`] (a flag for a
//! context, as applications ask it), `evaluate` (the operators of a rule), [`explain`].

pub mod book;
mod evaluate;
pub mod evaluator;
pub mod explain;
mod murmur;
mod value;
mod version;

use std::cell::Cell;

use self::murmur::Murmur;
use crate::control::config::Flag;
use crate::units::Percent;

/// What a request is recognised by when a percentage is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A value that stays the same from request to request; never empty.
    Sticky(&'a [u8]),
    /// Nothing to recognise it by: each question is a new throw of the dice.
    Random,
}

impl<'a> Key<'a> {
    /// The key for a targeting key that may be absent. As in flagd, an empty one is absent.
    pub fn from_value(value: Option<&'a [u8]>) -> Self {
        value.filter(|value| !value.is_empty()).map_or(Self::Random, Self::Sticky)
    }
}

/// A flag as it is asked on each request: its name and the share of keys that are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    name: Box<str>,
    percentage: Percent,
    /// The hash so far, when a key comes: that of the name.
    begun: Murmur,
}

impl Share {
    /// The share of keys that `flag` includes; none without a flag, or while it is disabled.
    pub fn of_flag(name: &str, flag: Option<&Flag>) -> Self {
        let share = flag.filter(|flag| flag.enabled).map_or(Percent::ZERO, |flag| flag.percentage);
        Self::new(name, share)
    }

    /// A share decided under a name of its own, which serves as its salt.
    pub fn new(name: &str, share: Percent) -> Self {
        Self { name: name.into(), percentage: share, begun: Murmur::of(name.as_bytes()) }
    }

    /// The name it is decided under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether no key is in.
    pub fn is_nobody(&self) -> bool {
        self.percentage == Percent::ZERO
    }

    /// Whether `key` is in, if that is so each time one asks; `None` where the dice decide.
    pub fn settled(&self, key: Key<'_>) -> Option<bool> {
        match (self.percentage, key) {
            (Percent::ZERO | Percent::ALL, _) | (_, Key::Sticky(_)) => Some(self.includes(key)),
            (_, Key::Random) => None,
        }
    }

    /// Whether `key` is in.
    pub fn includes(&self, key: Key<'_>) -> bool {
        match (self.percentage, key) {
            (Percent::ZERO, _) => false,
            (Percent::ALL, _) => true,
            (share, Key::Sticky(key)) => scale(self.hash(key)) < share.thousandths(),
            (share, Key::Random) => scale(dice()) < share.thousandths(),
        }
    }

    /// The hash of name and key, which decides: the key is in iff its bucket is below the
    /// percentage in thousandths of a percent.
    fn hash(&self, key: &[u8]) -> u32 {
        self.begun.then(key).finish()
    }
}

/// Scales a hash to a bucket without a division: `hash * 100,000 / 2^32`.
fn scale(hash: u32) -> u32 {
    let scaled = (u64::from(hash) * u64::from(Percent::DENOMINATOR)) >> 32;
    u32::try_from(scaled).expect("a 32-bit hash scaled by less than 2^32 fits 32 bits")
}

/// A random number for a percentage: `SplitMix64` per thread, seeded by the operating system.
/// Fair, fast, and guards no secret.
fn dice() -> u32 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(
            getrandom::u64().expect("the operating system gives random bytes"),
        );
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mut z = next;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) >> 32).expect("the upper half of 64 bits fits 32 bits")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_of_any_length_is_hashed_after_the_flag_key() {
        for length in [1, 200, 256, 257, 5000] {
            let key = vec![b'k'; length];
            let joined = [b"flag".as_slice(), &key].concat();
            let share = Share::new("flag", Percent::ALL);
            assert_eq!(share.hash(&key), Murmur::of(&joined).finish());
        }
    }

    #[test]
    fn an_absent_or_disabled_flag_includes_nobody() {
        let flag = Flag::boolean(false, Percent::ALL);
        for share in [Share::of_flag("f", None), Share::of_flag("f", Some(&flag))] {
            assert!(!share.includes(Key::Sticky(b"user-1")));
            assert!(!share.includes(Key::Random));
        }
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert_eq!(Key::from_value(Some(b"")), Key::Random);
        assert_eq!(Key::from_value(None), Key::Random);
        assert_eq!(Key::from_value(Some(b"x")), Key::Sticky(b"x"));
    }

    #[test]
    fn random_keys_fill_about_the_share_they_should() {
        let share = Share::new("f", Percent::whole(25));
        let within = (0..40_000).filter(|_| share.includes(Key::Random)).count();
        assert!((9_300..10_700).contains(&within), "{within} of 40000 at 25%");
    }

    proptest! {
        #[test]
        fn a_key_that_is_in_stays_in_as_the_percentage_rises(
            key in proptest::collection::vec(any::<u8>(), 1..80),
            low in 0..=100_000u32,
            more in 0..=100_000u32,
        ) {
            let high = low.saturating_add(more).min(100_000);
            let share = |thousandths| {
                Share::new("flag", Percent::from_thousandths(thousandths).unwrap())
            };
            let key = Key::Sticky(&key);
            prop_assert!(!share(low).includes(key) || share(high).includes(key));
            prop_assert!(share(100_000).includes(key) && !share(0).includes(key));
            prop_assert_eq!(share(low).includes(key), share(low).includes(key));
        }

        #[test]
        fn every_hash_has_a_bucket_below_the_whole(hash: u32) {
            prop_assert!(scale(hash) < Percent::DENOMINATOR);
        }
    }
}
