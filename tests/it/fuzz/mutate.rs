//! Seeded mutations of real inputs.

/// A small generator: the same seed makes the same inputs on every machine.
#[derive(Debug)]
pub(super) struct Dice(u64);

/// What an input is made of.
pub(super) struct Stock<'a> {
    /// Real inputs; at least one.
    pub corpus: &'a [Vec<u8>],
    /// Words that mean something to the reader.
    pub words: &'a [&'a str],
}

/// Values at which arithmetic goes wrong.
const EDGES: [&str; 14] = [
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e309",
    "-0.0",
];

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0 when there is none.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).expect("a length fits");
        usize::try_from(self.next() % n).expect("less than a length")
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

impl Stock<'_> {
    /// One of the corpus, changed in one to eight places; now and then as it is.
    pub(super) fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.corpus[dice.below(self.corpus.len())].clone();
        for _ in 0..dice.below(9) {
            self.change(&mut bytes, dice);
        }
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.below(bytes.len() + 1);
        let end = at + dice.below((bytes.len() - at).min(64) + 1);
        match dice.below(10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = *dice.pick(&[&0, &0xff, &b'"', &b'\n', &b'\\']),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            5 => {
                // The end of another one.
                let other = &self.corpus[dice.below(self.corpus.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            6 | 7 if !self.words.is_empty() => {
                let word = dice.pick(self.words).bytes();
                bytes.splice(at..if dice.below(2) == 0 { at } else { end }, word);
            }
            8 => {
                let (start, end) = number(bytes, at);
                bytes.splice(start..end, dice.pick(&EDGES).bytes());
            }
            _ => {
                let piece = bytes[at..end].repeat(1 + dice.below(40));
                bytes.splice(at..end, piece);
            }
        }
    }
}

/// The next run of digits from `at` on; nothing at `at` where there is none.
fn number(bytes: &[u8], at: usize) -> (usize, usize) {
    let digit = |place: &usize| bytes[*place].is_ascii_digit();
    let Some(start) = (at..bytes.len()).find(digit) else { return (at, at) };
    let end = (start..bytes.len()).find(|place| !digit(place)).unwrap_or(bytes.len());
    (start, end)
}
