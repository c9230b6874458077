//! Chance that repeats: the same seed gives the same traffic.
//!
//! `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): one
//! addition and three mixing steps, which is plenty for choosing payloads. Nothing secret is ever
//! drawn from it.

use std::fmt::Write;

use crate::units::Percent;

/// A seeded sequence of choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Begins with a seed that nobody else has.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    pub fn fresh() -> Self {
        let mut seed = [0u8; 8];
        getrandom::fill(&mut seed).expect("the operating system gives random bytes");
        Self(u64::from_le_bytes(seed))
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0. The bias of the remainder is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n.max(1)
    }

    /// True for that share of the calls.
    pub fn chance(&mut self, share: Percent) -> bool {
        self.below(u64::from(Percent::DENOMINATOR)) < u64::from(share.thousandths())
    }

    /// One of `items`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        let n = u64::try_from(items.len()).expect("a length fits in 64 bits");
        items[usize::try_from(self.below(n)).expect("an index below a length")]
    }

    /// That many lower-case hex digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 16);
        while text.len() < digits {
            write!(text, "{:016x}", self.roll()).expect("a String takes everything");
        }
        text.truncate(digits);
        text
    }

    /// That many characters of an upper-case id, as Slack writes them.
    pub fn id(&mut self, length: usize) -> String {
        const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        (0..length).map(|_| char::from(LETTERS[(self.roll() % 36) as usize])).collect()
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.roll(), self.roll());
        let high = (high & !0xf000) | 0x4000;
        let low = (low & !(0b11 << 62)) | (0b10 << 62);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_repeats_and_another_does_not() {
        let draw = |seed| {
            std::iter::repeat_with({
                let mut dice = Dice::new(seed);
                move || dice.roll()
            })
        };
        assert!(draw(7).take(100).eq(draw(7).take(100)));
        assert!(draw(7).take(100).ne(draw(8).take(100)));
        // The published first value for seed 0.
        assert_eq!(Dice::new(0).roll(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_chance_keeps_its_share() {
        let mut dice = Dice::new(1);
        let hits = (0..100_000).filter(|_| dice.chance(Percent::whole(10))).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|_| dice.chance(Percent::ZERO)));
        assert!((0..1000).all(|_| dice.chance(Percent::ALL)));
    }

    #[test]
    fn ids_look_as_they_should() {
        let mut dice = Dice::new(3);
        for _ in 0..100 {
            let uuid = dice.uuid();
            assert_eq!(uuid.len(), 36);
            assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
            assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        }
        assert_eq!(dice.hex(40).len(), 40);
        assert_eq!(dice.id(9).len(), 9);
    }
}
