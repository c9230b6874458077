//! `MurmurHash3`, x86 32-bit variant, seed 0, in pieces: what was pushed counts as one text.
//!
//! A flag's name is hashed once, when the flag is compiled; a question goes on from there with its
//! key and copies nothing. Source: Austin Appleby's `MurmurHash3.cpp`.

/// A hash that has seen a part of its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Murmur {
    hash: u32,
    /// Up to three bytes that do not make a block yet, the first one lowest.
    held: u32,
    /// How many bytes there were in all, modulo 2^32, as the algorithm takes it.
    length: u32,
}

impl Murmur {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::default().then(bytes)
    }

    /// Goes on with more of the text.
    #[inline]
    pub(super) fn then(mut self, bytes: &[u8]) -> Self {
        let (blocks, tail) = bytes.as_chunks::<4>();
        let shift = 8 * (self.length % 4);
        for block in blocks {
            let block = u32::from_le_bytes(*block);
            // With nothing held, what is shifted out is the whole block, and nothing is kept.
            self.mix(self.held | block << shift);
            let rest = u64::from(block) << shift >> 32;
            self.held = u32::try_from(rest).expect("the upper half of 64 bits fits 32 bits");
        }
        #[expect(clippy::cast_possible_truncation, reason = "the length counts modulo 2^32")]
        let length = (bytes.len() - tail.len()) as u32;
        self.length = self.length.wrapping_add(length);
        for byte in tail {
            self.held |= u32::from(*byte) << (8 * (self.length % 4));
            self.length = self.length.wrapping_add(1);
            if self.length.is_multiple_of(4) {
                self.mix(self.held);
                self.held = 0;
            }
        }
        self
    }

    fn mix(&mut self, block: u32) {
        self.hash ^= scramble(block);
        self.hash = self.hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }

    /// The hash of all that was pushed.
    #[inline]
    pub(super) fn finish(self) -> u32 {
        // Nothing held scrambles to nothing.
        let mut hash = self.hash ^ scramble(self.held) ^ self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_agrees_with_the_published_vectors() {
        let vectors: [(&[u8], u32); 9] = [
            (b"", 0),
            (b"\0", 0x514e_28b7),
            (b"\0\0", 0x30f4_c306),
            (b"\0\0\0", 0x85f0_b427),
            (b"\0\0\0\0", 0x2362_f9de),
            (b"\xff\xff\xff\xff", 0x7629_3b50),
            (b"\x21\x43\x65\x87", 0xf55b_516b),
            (b"test", 0xba6b_d213),
            (b"The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ];
        for (bytes, hash) in vectors {
            assert_eq!(Murmur::of(bytes).finish(), hash, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_hashed_as_the_whole(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        ) {
            let whole = Murmur::of(&pieces.concat());
            let joined = pieces.iter().fold(Murmur::default(), |hash, piece| hash.then(piece));
            prop_assert_eq!(joined, whole);
        }
    }
}
