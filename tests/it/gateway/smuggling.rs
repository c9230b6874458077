//! Requests that two servers in a row could read in two ways.
//!
//! The law: each is answered with an error and its connection closed, or reaches the upstream as
//! exactly one message, with the body that its sender meant. Classes and many of the cases are
//! those of RFC 9112 (sections 2, 5, 6 and 11.2) and of James Kettle's "HTTP Desync Attacks" (2019).
//!
//! To add one: a row in [`REFUSED`] or [`FORWARDED`].

use super::harness::{Upstream, World};

/// Answered with a 4xx or 5xx and closed; nothing of it is a request for the upstream.
const REFUSED: [(&str, &str); 60] = [
    // Framing.
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    ("a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nhello"),
    ("a length in hex", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("a length with a space", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nhello"),
    ("a length that is a word", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello"),
    ("an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello"),
    (
        "a length beyond 64 bits",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    ),
    (
        "chunked twice over",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked, not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    ("identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nhello"),
    (
        "a quoted coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding and a vertical tab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a space before the colon",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a tab before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\nhello"),
    (
        "chunks in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    // Lines.
    (
        "a folded header",
        "POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    ),
    ("a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    ("a header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"),
    ("a header without a name", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n"),
    ("a NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\0 2\r\n\r\n"),
    ("a NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: 1\r\n\r\n"),
    (
        "a carriage return in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rContent-Length: 5\r\n\r\n",
    ),
    ("a carriage return in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\rY: 1\r\n\r\n"),
    ("a name with brackets", "GET / HTTP/1.1\r\nHost: a\r\n(X): 1\r\n\r\n"),
    ("a name beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-\u{e9}: chunked\r\n\r\n"),
    ("a control character", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"),
    ("a delete", "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n"),
    // The request line.
    ("no version", "GET /\r\nHost: a\r\n\r\n"),
    ("a version of the future", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    ("version 2 by hand", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ("a lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"),
    ("a version with more digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("a space in the path", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a method with brackets", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    ("an asterisk that is no OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a path without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("nonsense", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n"),
    // Hosts.
    ("no host", "GET / HTTP/1.1\r\n\r\n"),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("the same host twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("two hosts, one in disguise", "GET / HTTP/1.1\r\nHost: a\r\nhOsT: b\r\n\r\n"),
    // Paths.
    ("a path out of the root", "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an encoded slash", "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an encoded dot", "GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an escape of an escape", "GET /%252e HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("half an escape", "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("two slashes", "GET //a HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("an encoded NUL", "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n"),
    // Chunks of an event, which is read before anybody is asked.
    (
        "a chunk's size that is a word",
        "POST /github/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk's size beyond 64 bits",
        "POST /github/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    ),
    (
        "a chunk longer than it says",
        "POST /github/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a signed size of a chunk",
        "POST /github/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a size of a chunk in C",
        "POST /github/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
];

/// Forwarded as exactly one message, and the body that the upstream must see.
const FORWARDED: [(&str, &str, &str); 14] = [
    // Chunks count, and the connection ends with the answer (RFC 9112, 6.3).
    (
        "CL.TE",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        "",
    ),
    (
        "TE.CL",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1b\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    (
        "the same length twice over",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
    ),
    (
        "a length with zeros",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 005\r\n\r\nhello",
        "hello",
    ),
    (
        "chunks",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "chunks in upper case",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "an extension of a chunk",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "a size of a chunk with zeros",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "a trailer that would be a length",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n",
        "hello",
    ),
    (
        "a read with a body",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "hello",
    ),
    (
        "a body that is a request",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 28\r\n\r\nGET /x HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: b\r\n\r\n",
    ),
    (
        "the host in the request line",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "",
    ),
    (
        "an upgrade that nobody offers",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        "",
    ),
    ("an empty line before it", "\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", ""),
];

fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    let upstream = Upstream::saying("served").await;
    let world = World::new(&upstream, |config| config.mode = ctx::control::config::Mode::Enhanced);
    let mut passed = Vec::new();
    for (name, request) in REFUSED {
        let answer = world.raw(request).await;
        // A TLS greeting or half a line may simply be hung up on.
        let refused = answer.is_empty() || status(&answer).is_some_and(|status| status >= 400);
        let seen = std::mem::take(&mut *upstream.seen.lock().unwrap());
        if !refused || !seen.is_empty() {
            passed.push((name, String::from_utf8_lossy(&answer).into_owned(), seen.len()));
        }
        // One answer at the most: nothing of the rest was taken for a second request.
        assert!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count() <= 1, "{name}");
    }
    assert!(passed.is_empty(), "{passed:#?}");
}

#[tokio::test]
async fn what_is_odd_but_clear_reaches_the_upstream_as_one_message() {
    let upstream = Upstream::saying("served").await;
    let world = World::new(&upstream, |_| {});
    for (name, request, body) in FORWARDED {
        let answer = world.raw(request).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status(&answer), Some(200), "{name}: {text}");
        let seen = std::mem::take(&mut *upstream.seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "{name}");
        assert_eq!(seen[0].body, body, "{name}");
        for gone in ["upgrade", "http2-settings", "trailer", "te"] {
            assert!(!seen[0].headers.contains_key(gone), "{name}: {gone}");
        }
        assert_eq!(seen[0].headers.get_all("host").iter().count(), 1, "{name}");
    }
}
