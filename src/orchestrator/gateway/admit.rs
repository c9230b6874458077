//! What is let in: one unambiguous request, with the headers that belong to its connection and
//! those that only the gateway may set taken out.
//!
//! A path that the gateway and the app behind it could read differently is refused, because then
//! neither routing nor a signature means anything: encoded slashes and dots, dot segments, double
//! slashes, backslashes. So are two `Host` headers.

use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Uri, Version};

use super::headers;
use super::refusal::Refusal;

/// The most bytes of a request's head, and of its target.
pub(super) const MAX_HEAD: usize = 32 * 1024;
pub(super) const MAX_TARGET: usize = 8 * 1024;

/// Checks a request's head, and prepares it for being forwarded for `peer`.
///
/// # Errors
/// A refusal with 400, for requests that could be read in two ways; 414 or 431 for large ones.
pub(super) fn admit<B>(request: Request<B>, peer: HeaderValue) -> Result<(Parts, B), Refusal> {
    let (mut parts, body) = request.into_parts();
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Err(Refusal::LongTarget);
    }
    // As on the wire, with a colon, a space and the end of the line.
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    if parts.headers.iter().map(line).sum::<usize>() > MAX_HEAD {
        return Err(Refusal::LargeHead);
    }
    let asterisk = parts.method == Method::OPTIONS && parts.uri.path() == "*";
    if parts.method == Method::CONNECT || !(asterisk || is_normal(parts.uri.path())) {
        return Err(Refusal::BadRequest);
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.clone()),
        (None, _) if parts.version == Version::HTTP_10 => None,
        _ => return Err(Refusal::BadRequest),
    };
    let host = origin_form(&mut parts, host)?;
    headers::strip_request(&mut parts.headers);
    headers::set_forwarded(&mut parts.headers, peer, host);
    parts.version = Version::HTTP_11;
    Ok((parts, body))
}

/// Whether a request announces no body.
pub(super) fn is_bodiless(parts: &Parts, body_ended: bool) -> bool {
    body_ended && parts.headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// Turns `GET http://host/path`, which a client of a proxy sends, into `GET /path`; the host in
/// the request line is then the one that counts (RFC 9112, 3.2.2).
fn origin_form(
    parts: &mut Parts,
    host: Option<HeaderValue>,
) -> Result<Option<HeaderValue>, Refusal> {
    let Some(authority) = parts.uri.authority() else {
        return Ok(host);
    };
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| Refusal::BadRequest)?;
    parts.headers.insert(HOST, host.clone());
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    Ok(Some(host))
}

/// The target of a request whose path is replaced; the query stays.
pub(super) fn with_path(uri: &Uri, path: &str) -> Result<Uri, Refusal> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    target.map_err(|_| Refusal::Upstream)
}

/// Whether everybody reads this path the same way.
pub(super) fn is_normal(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    // One pass over the common case; segments are looked at only where something is unusual.
    let plain = |b: u8| !matches!(b, b'%' | b'\\' | 0..=0x20 | 0x7f);
    let mut last = b'/';
    for b in rest.bytes() {
        if !plain(b) {
            return is_normal_encoded(rest);
        }
        if (b == b'/' || b == b'.') && last == b'/' {
            return is_normal_encoded(rest);
        }
        last = b;
    }
    true
}

fn is_normal_encoded(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    if bytes.iter().any(|b| matches!(b, b'\\' | 0..=0x20 | 0x7f)) {
        return false;
    }
    let tricks = ["%2f", "%5c", "%2e", "%00", "%25"];
    let encoded = |at: usize| {
        bytes.get(at..at + 3).is_none_or(|escape| {
            !escape[1..].iter().all(u8::is_ascii_hexdigit)
                || tricks.iter().any(|trick| trick.as_bytes().eq_ignore_ascii_case(escape))
        })
    };
    if bytes.iter().enumerate().any(|(at, b)| *b == b'%' && encoded(at)) {
        return false;
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let empty_inside = segment.is_empty() && segments.peek().is_some();
        if empty_inside || segment == "." || segment == ".." {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_be_read_twice_are_refused() {
        for good in [
            "/",
            "/github/events",
            "/a/b/",
            "/a.b/.well-known/x",
            "/%C3%A4",
            "/a%20b",
            "/...",
            "/a..b",
        ] {
            assert!(is_normal(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "a",
            "//",
            "/a//b",
            "//a",
            "/./a",
            "/a/../b",
            "/a/..",
            "/a/.",
            "/a%2fb",
            "/a%2Fb",
            "/%2e%2e/a",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/%252e",
            "/a%",
            "/a%2",
            "/a%zz",
        ] {
            assert!(!is_normal(bad), "{bad}");
        }
    }

    fn request(uri: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn there_is_exactly_one_host() {
        let peer = HeaderValue::from_static("10.0.0.1");
        assert!(admit(request("/", &["a"]), peer.clone()).is_ok());
        assert!(admit(request("/", &[]), peer.clone()).is_err());
        assert!(admit(request("/", &["a", "a"]), peer.clone()).is_err());
        let (parts, ()) = admit(request("http://b/x?y", &["a"]), peer).unwrap();
        assert_eq!(parts.uri, "/x?y");
        assert_eq!(parts.headers["host"], "b");
        assert_eq!(parts.headers["x-forwarded-host"], "b");
    }
}
