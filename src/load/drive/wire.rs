//! HTTP/1.1 as load needs it: requests as bytes that are made once, and where an answer ends.
//!
//! Of an answer only its status and its end matter; its body is passed over where it lies. What
//! cannot be told apart is [`Malformed`], an error of the service, and costs the connection.

use std::io::Write;
use std::mem::MaybeUninit;

use httparse::{Header, Status};

use crate::load::source::Outgoing;

/// The most header lines of an answer.
const MAX_LINES: usize = 64;

/// The bytes of a request.
///
/// `Host` and `Content-Length` are added, unless the headers bring their own host.
pub fn request(authority: &str, outgoing: &Outgoing) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + outgoing.body.len());
    write_request(&mut bytes, authority, outgoing);
    bytes
}

/// As [`request`], in the place of what `bytes` held before.
pub(super) fn write_request(bytes: &mut Vec<u8>, authority: &str, outgoing: &Outgoing) {
    bytes.clear();
    let mut line = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
    line(&[outgoing.method.as_str().as_bytes(), b" ", outgoing.path.as_bytes(), b" HTTP/1.1\r\n"]);
    if !outgoing.headers.contains_key("host") {
        line(&[b"host: ", authority.as_bytes(), b"\r\n"]);
    }
    for (name, value) in &outgoing.headers {
        if name != "content-length" && name != "transfer-encoding" {
            line(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    let carries = matches!(outgoing.method.as_str(), "POST" | "PUT" | "PATCH");
    if carries || !outgoing.body.is_empty() {
        let _ = write!(bytes, "content-length: {}\r\n", outgoing.body.len());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&outgoing.body);
}

/// An answer that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Whether the connection can take another request.
    pub keep: bool,
}

/// The bytes are not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads one answer, however its bytes arrive.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Whether the request was `HEAD`, whose answer has no body.
    head_only: bool,
    answer: Option<Answer>,
    body: Body,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    /// In the line with a chunk's size.
    Size {
        size: u64,
        digits: u8,
    },
    /// In what follows the size, up to the end of the line.
    Extension(u64),
    Data(u64),
    /// In the line end after a chunk.
    DataEnd,
    /// In the trailers; whether the line is empty so far.
    Trailer {
        empty: bool,
    },
    UntilClose,
}

impl Reader {
    pub fn new(head_only: bool) -> Self {
        Self { head_only, answer: None, body: Body::Length(0) }
    }

    /// Takes what it can off the front of `bytes`: how many, and the answer when it has ended.
    /// What is not taken has to be there again, with more behind it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Answer>), Malformed> {
        let mut used = 0;
        while self.answer.is_none() {
            match self.head(&bytes[used..])? {
                0 => return Ok((used, None)),
                length => used += length,
            }
        }
        used += self.body.pass(&bytes[used..])?;
        let ended = self.body == Body::Length(0);
        Ok((used, self.answer.filter(|_| ended)))
    }

    /// The answer, if the end of the connection is its end.
    pub fn closed(&self) -> Option<Answer> {
        self.answer.filter(|_| self.body == Body::UntilClose)
    }

    /// Reads a head; gives its length, or 0 when it is not whole. One of an interim answer (1xx)
    /// is passed over.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut room = [MaybeUninit::<Header<'_>>::uninit(); MAX_LINES];
        let mut head = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_response_with_uninit_headers(&mut head, bytes, &mut room) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(0),
            Err(_) => return Err(Malformed),
        };
        let status = head.code.ok_or(Malformed)?;
        if (100..200).contains(&status) {
            // Nobody asked for another protocol.
            return if status == 101 { Err(Malformed) } else { Ok(length) };
        }
        let mut keep = head.version == Some(1);
        let (mut announced, mut chunked) = (None, false);
        for line in head.headers.iter() {
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let number = number(line.value).ok_or(Malformed)?;
                if announced.is_some_and(|before| before != number) {
                    return Err(Malformed);
                }
                announced = Some(number);
            } else if is("transfer-encoding") {
                if !line.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
                chunked = true;
            } else if is("connection") {
                keep = match line.value {
                    value if value.eq_ignore_ascii_case(b"close") => false,
                    value if value.eq_ignore_ascii_case(b"keep-alive") => true,
                    _ => keep,
                };
            }
        }
        self.body = match (chunked, announced) {
            _ if self.head_only || matches!(status, 204 | 304) => Body::Length(0),
            (true, _) => Body::Size { size: 0, digits: 0 },
            (false, Some(length)) => Body::Length(length),
            (false, None) => Body::UntilClose,
        };
        keep &= self.body != Body::UntilClose;
        self.answer = Some(Answer { status, keep });
        Ok(length)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

impl Body {
    /// Passes over what belongs to the body; gives how much that was.
    fn pass(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        while *self != Self::Length(0) && used < bytes.len() {
            let left = bytes.len() - used;
            match self {
                Self::UntilClose => used = bytes.len(),
                Self::Length(more) | Self::Data(more) => {
                    let here = usize::try_from(*more).unwrap_or(usize::MAX).min(left);
                    *more -= here as u64;
                    used += here;
                    if *self == Self::Data(0) {
                        *self = Self::DataEnd;
                    }
                }
                _ => {
                    *self = self.after(bytes[used])?;
                    used += 1;
                }
            }
        }
        Ok(used)
    }

    /// Where one goes on after a byte of the framing.
    fn after(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            // Fifteen digits are more than any disk holds.
            (Self::Size { size, digits: digits @ 0..15 }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                Self::Size { size: size * 16 + u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t' | b'\r') => {
                Self::Extension(size)
            }
            (Self::Size { size: 0, digits: 1.. } | Self::Extension(0), b'\n') => {
                Self::Trailer { empty: true }
            }
            (Self::Size { size, digits: 1.. } | Self::Extension(size), b'\n') => Self::Data(size),
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailer { empty: true }, b'\n') => Self::Length(0),
            (Self::Trailer { empty }, _) => {
                Self::Trailer { empty: byte == b'\n' || (empty && byte == b'\r') }
            }
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads an answer that arrives in pieces of `step`, and then the end of the connection.
    fn read(
        head_only: bool,
        all: &[u8],
        step: usize,
    ) -> Result<Option<(Answer, usize)>, Malformed> {
        let mut reader = Reader::new(head_only);
        let (mut kept, mut seen) = (Vec::new(), 0);
        for piece in all.chunks(step) {
            kept.extend_from_slice(piece);
            seen += piece.len();
            let (used, answer) = reader.take(&kept)?;
            kept.drain(..used);
            if let Some(answer) = answer {
                return Ok(Some((answer, all.len() - seen + kept.len())));
            }
        }
        Ok(reader.closed().map(|answer| (answer, 0)))
    }

    #[test]
    fn an_answer_ends_where_its_framing_says_however_it_arrives() {
        let check = |text: &str, expect: Option<(u16, bool, usize)>| {
            for step in 1..=text.len() {
                let got = read(false, text.as_bytes(), step).unwrap();
                let got = got.map(|(answer, over)| (answer.status, answer.keep, over));
                assert_eq!(got, expect, "{text:?} by {step}");
            }
        };
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", Some((200, true, 0)));
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcXY", Some((200, true, 2)));
        check(
            "HTTP/1.1 503 X\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n",
            Some((503, false, 0)),
        );
        check("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", Some((200, false, 0)));
        check("HTTP/1.1 204 No\r\n\r\n", Some((204, true, 0)));
        check(
            "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 0\r\n\r\n",
            Some((201, true, 0)),
        );
        check("HTTP/1.1 200 OK\r\n\r\nuntil the end", Some((200, false, 0)));
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            Some((200, true, 0)),
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", None);
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab", None);
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for bad in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
        ] {
            assert_eq!(read(false, bad.as_bytes(), 1000), Err(Malformed), "{bad:?}");
        }
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert!(read(true, head, 7).unwrap().is_some(), "HEAD has no body");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(all: Vec<u8>, step in 1..9usize) {
            let _ = read(false, &all, step);
            let mut framed = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            framed.extend_from_slice(&all);
            let _ = read(false, &framed, step);
        }
    }
}
