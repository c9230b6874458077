//! The head of an upstream's answer, and what of it the client is told.

use std::io::Write;
use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::framing::Framing;
use super::head::push;
use crate::orchestrator::gateway::ids::X_REQUEST_ID;

/// The most header lines of an answer; as in the pool for everything else.
const MAX_LINES: usize = 128;
/// The longest head of an answer.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// What an upstream's bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Not a whole head yet.
    Partial,
    /// An interim answer of so many bytes, which is not for the client.
    Interim(usize),
    /// No answer that everybody would read alike.
    Bad,
    Whole(Reply),
}

/// An answer of which the head is there. What the client is told of it has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// How long the head is that was read.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// Whether the body is written in chunks.
    pub(super) chunks: bool,
    /// Whether the upstream keeps the connection.
    pub(super) keeps: bool,
}

/// Reads the head of an answer, to a HEAD or not, and writes what the client is told to `out`,
/// with the request's id if there is one to tell.
pub(super) fn read(bytes: &[u8], to_head: bool, id: Option<&[u8]>, out: &mut Vec<u8>) -> Read {
    let mut room = [const { MaybeUninit::uninit() }; MAX_LINES];
    let mut answer = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut answer, bytes, &mut room) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Read::Partial,
        _ => return Read::Bad,
    };
    let (Some(version), Some(status)) = (answer.version, answer.code) else {
        return Read::Bad;
    };
    match status {
        101 => return Read::Bad,
        100..200 => return Read::Interim(length),
        _ => {}
    }
    let lines: &[Header<'_>] = answer.headers;
    let reason = answer.reason.unwrap_or_default();
    let start = (version, status, reason, length);
    whole(start, lines, to_head, id, out).map_or(Read::Bad, Read::Whole)
}

/// `None` when the answer's end is in doubt.
fn whole(
    (version, status, reason, length): (u8, u16, &str, usize),
    lines: &[Header<'_>],
    to_head: bool,
    id: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Option<Reply> {
    let (mut announced, mut chunked) = (None, false);
    let (mut keeps, mut named) = (version == 1, false);
    for line in lines {
        match kind(line.name) {
            Line::Length => {
                let said = std::str::from_utf8(line.value).ok()?.trim();
                let said =
                    said.bytes().all(|b| b.is_ascii_digit()).then(|| said.parse().ok())??;
                if announced.replace(said).is_some_and(|before: u64| before != said) {
                    return None;
                }
            }
            Line::Encoding if line.value.eq_ignore_ascii_case(b"chunked") && !chunked => {
                chunked = true;
            }
            Line::Encoding => return None,
            Line::Connection => {
                for word in line.value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                    if word.eq_ignore_ascii_case(b"close") {
                        keeps = false;
                    } else if word.eq_ignore_ascii_case(b"keep-alive") {
                        keeps = keeps || version == 0;
                    } else {
                        named = true;
                    }
                }
            }
            Line::Pass | Line::Drop => {}
        }
    }
    // Both at once are how answers are smuggled (RFC 9112, 6.3); HTTP/1.0 knows no chunks.
    if chunked && (announced.is_some() || version == 0) {
        return None;
    }
    let bodiless = to_head || matches!(status, 204 | 304);
    let framing = match announced {
        _ if bodiless => Framing::Length(0),
        _ if chunked => Framing::CHUNKS,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    let keeps = keeps && framing != Framing::UntilClose;
    let chunks = matches!(framing, Framing::Chunked(_) | Framing::UntilClose);
    let written = write!(out, "HTTP/1.1 {status} {reason}\r\n");
    written.expect("a vector takes what it is given");
    let dropped = |name: &str| named && is_named(lines, name);
    let mut untold = id;
    for line in lines {
        let pass = matches!(kind(line.name), Line::Pass | Line::Length);
        if pass && !dropped(line.name) {
            let own = id.is_some() && line.name.eq_ignore_ascii_case(X_REQUEST_ID.as_str());
            if own {
                if let Some(id) = untold.take() {
                    push(out, line.name.as_bytes(), id);
                }
                continue;
            }
            push(out, line.name.as_bytes(), line.value);
        } else if chunks && kind(line.name) == Line::Encoding {
            push(out, line.name.as_bytes(), b"chunked");
        }
    }
    if let Some(id) = untold {
        push(out, X_REQUEST_ID.as_str().as_bytes(), id);
    }
    if framing == Framing::UntilClose {
        push(out, b"transfer-encoding", b"chunked");
    }
    out.extend_from_slice(b"\r\n");
    Some(Reply { status, length, framing, chunks, keeps })
}

/// Whether a `Connection` line names this header as one of the connection; never the length.
fn is_named(lines: &[Header<'_>], name: &str) -> bool {
    let connection = lines.iter().filter(|line| kind(line.name) == Line::Connection);
    let mut words = connection.flat_map(|line| line.value.split(|b| *b == b','));
    kind(name) == Line::Pass
        && words.any(|word| word.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Pass,
    Drop,
    Length,
    Encoding,
    Connection,
}

/// What a line is for; as `headers::strip_response` has it for what is dropped.
fn kind(name: &str) -> Line {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let begins =
        |with: &str| name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'c') if is("content-length") => Line::Length,
        Some(b'c') if is("connection") => Line::Connection,
        Some(b't') if is("transfer-encoding") => Line::Encoding,
        Some(b't') if is("te") || is("trailer") => Line::Drop,
        Some(b'k') if is("keep-alive") => Line::Drop,
        Some(b'p') if begins("proxy-") => Line::Drop,
        Some(b'u') if is("upgrade") => Line::Drop,
        _ => Line::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str) -> (Read, String) {
        let mut out = Vec::new();
        let read = read(head.as_bytes(), false, None, &mut out);
        (read, String::from_utf8(out).unwrap())
    }

    fn framing(head: &str) -> Option<(Framing, bool)> {
        match check(head).0 {
            Read::Whole(reply) => Some((reply.framing, reply.keeps)),
            _ => None,
        }
    }

    #[test]
    fn an_answer_is_passed_on_in_its_own_words() {
        let (read, told) = check(
            "HTTP/1.1 207 Quite Fine\r\nX-OdD: 1\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
             Keep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert!(matches!(read, Read::Whole(Reply { status: 207, chunks: false, keeps: true, .. })));
        assert_eq!(told, "HTTP/1.1 207 Quite Fine\r\nX-OdD: 1\r\nContent-Length: 5\r\n\r\n");
        let (_, told) = check("HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
        assert_eq!(told, "HTTP/1.1 200 OK\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n");
    }

    #[test]
    fn how_an_answer_ends_is_what_its_head_says() {
        for (head, expect) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some((Framing::Length(5), true))),
            ("HTTP/1.1 204 No\r\n\r\n", Some((Framing::Length(0), true))),
            ("HTTP/1.1 200 OK\r\n\r\n", Some((Framing::UntilClose, false))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Some((Framing::CHUNKS, true)),
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
                Some((Framing::Length(5), false)),
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Some((Framing::Length(5), false))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", None),
            ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", None),
            ("SSH-2.0\r\n\r\n", None),
        ] {
            assert_eq!(framing(head), expect, "{head}");
        }
        let interim = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
        assert_eq!(check(interim).0, Read::Interim(interim.len()));
        assert_eq!(check("HTTP/1.1 200 OK\r\nA").0, Read::Partial);
    }
}
