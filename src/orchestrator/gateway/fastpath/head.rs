//! The head of a request, read without copying a byte of it.
//!
//! The law: what is [`Read::Whole`] is one request that everybody reads alike, and its head needs
//! nothing done to it but leaving lines out and adding the gateway's own. Everything else is
//! [`Read::Odd`]: not refused, but left to those who know all of HTTP.

use std::io::Write;
use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::super::admit::{MAX_HEAD, MAX_TARGET, is_normal};
use super::super::ids::Marks;
use super::super::verify::Lines;

/// The most header lines of a request.
pub(super) const MAX_LINES: usize = 64;
/// The largest body that is taken as a whole before it is sent on.
pub(super) const MAX_BODY: usize = 64 * 1024;

/// Room for the lines of a head.
pub(super) type Room<'a> = [MaybeUninit<Header<'a>>; MAX_LINES];

/// What the bytes of a client are.
#[derive(Debug)]
pub(super) enum Read<'h, 'b> {
    /// Not a whole request yet.
    Partial,
    /// Something that not everybody would read alike, or that wants more than being passed on.
    Odd,
    /// Exactly one request.
    Whole(Plain<'h, 'b>),
}

/// A request whose head says nothing but what it is for.
#[derive(Debug)]
pub(super) struct Plain<'h, 'b> {
    pub(super) method: &'b str,
    pub(super) target: &'b str,
    pub(super) host: &'b [u8],
    pub(super) body: &'b [u8],
    lines: &'h [Header<'b>],
}

/// What is done about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Pass,
    Drop,
    Host,
    Length,
    Connection,
    RequestId,
    TraceParent,
    TraceState,
    Odd,
}

/// Reads the bytes that a client has sent since its last request.
pub(super) fn read<'h, 'b>(bytes: &'b [u8], room: &'h mut Room<'b>) -> Read<'h, 'b> {
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, room) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() <= MAX_HEAD => return Read::Partial,
        _ => return Read::Odd,
    };
    let (Some(method), Some(target), Some(1)) = (request.method, request.path, request.version)
    else {
        return Read::Odd;
    };
    let lines: &[Header<'_>] = request.headers;
    plain(method, target, lines, &bytes[length..]).unwrap_or(Read::Odd)
}

/// `None` for what is odd.
fn plain<'h, 'b>(
    method: &'b str,
    target: &'b str,
    lines: &'h [Header<'b>],
    rest: &'b [u8],
) -> Option<Read<'h, 'b>> {
    let carries_body = match method {
        "GET" | "HEAD" => false,
        "POST" | "PUT" | "PATCH" => true,
        _ => return None,
    };
    let plain_byte = |b: u8| matches!(b, 0x21..=0x7e) && !br#""<>\^`{|}#"#.contains(&b);
    let normal =
        target.len() <= MAX_TARGET && target.bytes().all(plain_byte) && is_normal(path_of(target));
    if !normal {
        return None;
    }
    let (mut host, mut length) = (None, None);
    for line in lines {
        match kind(line.name) {
            Line::Pass | Line::Drop | Line::RequestId | Line::TraceParent | Line::TraceState => {}
            Line::Host if host.is_none() && !line.value.is_empty() => host = Some(line.value),
            Line::Length if length.is_none() => length = Some(number(line.value)?),
            Line::Connection if line.value.eq_ignore_ascii_case(b"keep-alive") => {}
            _ => return None,
        }
    }
    let length = match (carries_body, length) {
        (true, Some(length)) if length <= MAX_BODY => length,
        (false, None) => 0,
        _ => return None,
    };
    if rest.len() < length {
        return Some(Read::Partial);
    }
    // A request that follows before this one is answered is for those who keep a queue.
    (rest.len() == length).then_some(Read::Whole(Plain {
        method,
        target,
        host: host?,
        body: rest,
        lines,
    }))
}

/// The path of a target.
fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

fn number(digits: &[u8]) -> Option<usize> {
    let digits = digits.trim_ascii();
    let plain = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |all, digit| all * 10 + usize::from(digit - b'0')))
}

/// What becomes of a line of this name; as `headers::strip_request` has it for what is dropped.
fn kind(name: &str) -> Line {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let begins =
        |with: &str| name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    match name.as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'h') if is("host") => Line::Host,
        Some(b'c') if is("content-length") => Line::Length,
        Some(b'c') if is("connection") => Line::Connection,
        Some(b'c') if begins("ctx-") => Line::Drop,
        Some(b'x') if begins("x-forwarded-") || begins("x-ctx-") => Line::Drop,
        Some(b'x') if is("x-request-id") => Line::RequestId,
        Some(b't') if is("traceparent") => Line::TraceParent,
        Some(b't') if is("tracestate") => Line::TraceState,
        Some(b'f') if is("forwarded") => Line::Drop,
        Some(b'k') if is("keep-alive") => Line::Drop,
        Some(b'e') if is("expect") => Line::Odd,
        Some(b'p') if begins("proxy-") => Line::Odd,
        Some(b't') if is("te") || is("trailer") || is("transfer-encoding") => Line::Odd,
        Some(b'u') if is("upgrade") => Line::Odd,
        _ => Line::Pass,
    }
}

impl<'b> Plain<'_, 'b> {
    pub(super) fn path(&self) -> &'b str {
        path_of(self.target)
    }

    /// The first value of a header.
    pub(super) fn first(&self, name: &str) -> Option<&'b [u8]> {
        self.values(name).next()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        let named = move |line: &&Header<'b>| line.name.eq_ignore_ascii_case(name);
        self.lines.iter().filter(named).map(|line| line.value)
    }

    /// Writes the head that the upstream is sent, for a client at `peer`, and with these marks in
    /// the place of what the client said instead; as `Ids::mark` has it.
    pub(super) fn write(&self, peer: &[u8], marks: &Marks, out: &mut Vec<u8>) {
        let written = write!(out, "{} {} HTTP/1.1\r\n", self.method, self.target);
        written.expect("a vector takes what it is given");
        let mut request_id = marks.request_id.as_ref();
        let mut traceparent = marks.traceparent.as_ref();
        for line in self.lines {
            let name = line.name.as_bytes();
            match kind(line.name) {
                Line::RequestId if marks.request_id.is_some() => {
                    if let Some(id) = request_id.take() {
                        push(out, name, id);
                    }
                }
                Line::TraceParent if marks.traceparent.is_some() => {
                    if let Some(line) = traceparent.take() {
                        push(out, name, line);
                    }
                }
                Line::TraceState if marks.traceparent.is_some() => {}
                Line::Pass | Line::Host | Line::Length => push(out, name, line.value),
                Line::RequestId | Line::TraceParent | Line::TraceState => {
                    push(out, name, line.value);
                }
                Line::Drop | Line::Connection | Line::Odd => {}
            }
        }
        push(out, b"x-forwarded-for", peer);
        push(out, b"x-forwarded-proto", b"http");
        push(out, b"x-forwarded-host", self.host);
        if let Some(id) = request_id {
            push(out, b"x-request-id", id);
        }
        if let Some(line) = traceparent {
            push(out, b"traceparent", line);
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl Lines for Plain<'_, '_> {
    fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    fn contains(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }
}

/// Writes one line of a head.
pub(in super::super) fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::gateway::ids::{ID_LEN, TRACEPARENT_LEN};

    /// What a client's bytes are, and what would be sent on.
    fn check(bytes: &str) -> Result<String, &'static str> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_LINES];
        match read(bytes.as_bytes(), &mut room) {
            Read::Partial => Err("partial"),
            Read::Odd => Err("odd"),
            Read::Whole(plain) => {
                let mut out = Vec::new();
                plain.write(b"10.0.0.1", &Marks::default(), &mut out);
                out.extend_from_slice(plain.body);
                Ok(String::from_utf8(out).unwrap())
            }
        }
    }

    #[test]
    fn a_plain_request_is_sent_on_in_its_own_words() {
        let sent = check(
            "POST /github/events?x=1 HTTP/1.1\r\nHost: a\r\nX-CuStOm:  v \r\nConnection: Keep-Alive\r\n\
             X-Forwarded-For: 6.6.6.6\r\nctx-shadow: 1\r\nForwarded: for=x\r\nContent-Length: 2\r\n\r\nhi",
        );
        assert_eq!(
            sent.unwrap(),
            "POST /github/events?x=1 HTTP/1.1\r\nHost: a\r\nX-CuStOm: v\r\nContent-Length: 2\r\n\
             x-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\n\r\nhi"
        );
        assert!(check("GET / HTTP/1.1\r\nhost: a\r\n\r\n").is_ok());
    }

    #[test]
    fn marks_stand_where_the_client_said_something_else_and_otherwise_last() {
        let marks =
            Marks { request_id: Some([b'i'; ID_LEN]), traceparent: Some([b't'; TRACEPARENT_LEN]) };
        let (id, line) = ("i".repeat(ID_LEN), "t".repeat(TRACEPARENT_LEN));
        let sent = |lines: &str, marks| {
            let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let mut room = [const { MaybeUninit::uninit() }; MAX_LINES];
            let Read::Whole(plain) = read(bytes.as_bytes(), &mut room) else { panic!("plain") };
            let mut out = Vec::new();
            plain.write(b"p", &marks, &mut out);
            let sent = String::from_utf8(out).unwrap().replace("\r\n", "|");
            sent.replace("x-forwarded-for: p|x-forwarded-proto: http|x-forwarded-host: a|", "F|")
        };
        let said =
            "X-Request-ID: 1\r\nA: b\r\nx-request-id: 2\r\nTraceParent: x\r\ntracestate: y\r\n";
        assert_eq!(
            sent(said, marks),
            format!("GET / HTTP/1.1|Host: a|X-Request-ID: {id}|A: b|TraceParent: {line}|F||")
        );
        assert_eq!(
            sent("", marks),
            format!("GET / HTTP/1.1|Host: a|F|x-request-id: {id}|traceparent: {line}||")
        );
        assert_eq!(
            sent(said, Marks::default()),
            format!("GET / HTTP/1.1|Host: a|{}F||", said.replace("\r\n", "|"))
        );
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        let whole = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        for end in 0..whole.len() {
            assert_eq!(check(&whole[..end]), Err("partial"), "{end}");
        }
        assert!(check(whole).is_ok());
    }

    #[test]
    fn everything_that_wants_more_than_being_passed_on_is_odd() {
        for odd in [
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET //x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: x\r\n\r\nhi",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n\u{1}",
        ] {
            assert_eq!(check(odd), Err("odd"), "{odd}");
        }
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(64));
        assert_eq!(check(&many), Err("odd"));
    }
}
