//! Where the body of an answer ends.
//!
//! The law (RFC 9112, 6.3): a length that was announced, chunks up to the last one, or the end of
//! the connection. Chunks are taken apart here, and written anew for the client, so that neither
//! their extensions nor their trailers pass.

/// How an answer's body is framed, and how much of it is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes more.
    Length(u64),
    Chunked(Chunk),
    /// Everything until the upstream hangs up.
    UntilClose,
}

/// Where within the chunks the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line with the size; how many digits it has had.
    Size {
        size: u64,
        digits: u8,
    },
    /// In what follows the size up to the end of the line, after which come so many bytes.
    Extension {
        size: u64,
        length: u16,
    },
    /// So many bytes more of data.
    Data(u64),
    /// In the end of the line after the data: `\r`, then `\n`.
    DataEnd {
        cr: bool,
    },
    /// In the trailers: how long they are, and whether the line is empty so far.
    Trailer {
        length: u16,
        empty: bool,
    },
    Ended,
}

/// The chunks cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The most bytes of a chunk's extension, and of all trailers.
const MAX_ASIDE: u16 = 4096;

impl Framing {
    /// Where chunks begin.
    pub(super) const CHUNKS: Self = Self::Chunked(Chunk::Size { size: 0, digits: 0 });

    pub(super) fn is_ended(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Ended))
    }

    /// Takes the next piece of data off the front of `bytes`; an empty one when more is needed or
    /// the body has ended. What is left in `bytes` after the end is not part of it.
    pub(super) fn take<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<&'b [u8], Malformed> {
        match self {
            Self::Length(left) => Ok(split(bytes, left)),
            Self::UntilClose => Ok(std::mem::take(bytes)),
            Self::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

/// The first bytes, `left` at most, which then has as many fewer.
fn split<'b>(bytes: &mut &'b [u8], left: &mut u64) -> &'b [u8] {
    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    let (data, rest) = bytes.split_at(here);
    *bytes = rest;
    *left -= here as u64;
    data
}

impl Chunk {
    fn take<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<&'b [u8], Malformed> {
        loop {
            if let Self::Data(left) = self {
                let data = split(bytes, left);
                if *left == 0 {
                    *self = Self::DataEnd { cr: false };
                }
                if !data.is_empty() || bytes.is_empty() {
                    return Ok(data);
                }
                continue;
            }
            if *self == Self::Ended {
                return Ok(&[]);
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(&[]);
            };
            *bytes = rest;
            *self = self.after(*byte)?;
        }
    }

    /// Where one goes on after a byte that is not data.
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            // Fifteen digits are more than any disk holds.
            (Self::Size { size, digits: digits @ 0..15 }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t' | b'\r') => {
                Self::Extension { size, length: u16::from(byte != b'\r') * 2 }
            }
            // Directly after the size's `\r`, or at the end of an extension.
            (Self::Extension { size: 0, .. }, b'\n') => Self::Trailer { length: 0, empty: true },
            (Self::Extension { size, .. }, b'\n') => Self::Data(size),
            (Self::Extension { size, length: length @ 2..MAX_ASIDE }, _) => {
                Self::Extension { size, length: length + 1 }
            }
            (Self::DataEnd { cr: false }, b'\r') => Self::DataEnd { cr: true },
            (Self::DataEnd { cr: true }, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailer { empty: true, .. }, b'\n') => Self::Ended,
            (Self::Trailer { length, empty }, _) if length < MAX_ASIDE => Self::Trailer {
                length: length + 1,
                empty: byte == b'\n' || (empty && byte == b'\r'),
            },
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All data, what is left over, and whether the body has ended; fed in pieces of `step`.
    fn fed(
        mut framing: Framing,
        all: &[u8],
        step: usize,
    ) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut data, mut over) = (Vec::new(), 0);
        for piece in all.chunks(step) {
            let mut rest = piece;
            loop {
                let taken = framing.take(&mut rest)?;
                if taken.is_empty() {
                    break;
                }
                data.extend_from_slice(taken);
            }
            over += rest.len();
        }
        Ok((data, over, framing.is_ended()))
    }

    #[test]
    fn chunks_are_put_together_however_they_arrive() {
        let all = b"3\r\nabc\r\n0A;x=y\r\n0123456789\r\n1\t\r\n\r\r\n0\r\nX-T: 1\r\n\r\nover";
        for step in 1..=all.len() {
            let (data, over, ended) = fed(Framing::CHUNKS, all, step).unwrap();
            assert_eq!((&data[..], over, ended), (&b"abc0123456789\r"[..], 4, true), "{step}");
        }
        for end in 0..all.len() - 4 {
            let (_, over, ended) = fed(Framing::CHUNKS, &all[..end], 7).unwrap();
            assert_eq!((over, ended), (0, false), "{end}");
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_malformed() {
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x1\r\na",
            "1\r\nab",
            "1\r\na\n",
            "1 \n\r",
            ";\r\n",
            "1\rX",
            "fffffffffffffffff\r\n",
        ] {
            let fed = fed(Framing::CHUNKS, bad.as_bytes(), 1);
            assert!(fed.is_err() || !fed.unwrap().2, "{bad:?}");
        }
        assert_eq!(fed(Framing::CHUNKS, b"1\r\nab", 9), Err(Malformed));
        assert_eq!(fed(Framing::CHUNKS, b"zz", 9), Err(Malformed));
        let long = format!("1;{}", "x".repeat(5000));
        assert_eq!(fed(Framing::CHUNKS, long.as_bytes(), 100), Err(Malformed));
    }

    #[test]
    fn a_length_is_kept() {
        assert_eq!(fed(Framing::Length(3), b"abcd", 2), Ok((b"abc".to_vec(), 1, true)));
        assert_eq!(fed(Framing::Length(3), b"ab", 2), Ok((b"ab".to_vec(), 0, false)));
        assert_eq!(fed(Framing::Length(0), b"", 2), Ok((Vec::new(), 0, true)));
        assert_eq!(fed(Framing::UntilClose, b"abcd", 3), Ok((b"abcd".to_vec(), 0, false)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(all: Vec<u8>, step in 1..9usize) {
            let _ = fed(Framing::CHUNKS, &all, step);
        }

        #[test]
        fn what_was_cut_into_chunks_is_whole_again(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..9),
            step in 1..50usize,
        ) {
            let mut wire = Vec::new();
            for part in &parts {
                wire.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                wire.extend_from_slice(part);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(fed(Framing::CHUNKS, &wire, step), Ok((parts.concat(), 0, true)));
        }
    }
}
