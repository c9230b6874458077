//! Headers that do not pass through: those of one connection, and those only the gateway may set.

use std::mem;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Marks a copy of a request that was sent to compare answers: it must have no effects.
pub(super) const CTX_SHADOW: HeaderName = HeaderName::from_static("ctx-shadow");

/// Takes out what belongs to the client's connection, and what a client must not say itself.
pub fn strip_request(headers: &mut HeaderMap) {
    strip(headers, |name| is_hop_by_hop(name) || is_reserved(name));
}

/// Takes out what belongs to the upstream's connection.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, is_hop_by_hop);
}

/// Says for whom, over what and to which host the request came.
pub(super) fn set_forwarded(headers: &mut HeaderMap, peer: HeaderValue, host: Option<HeaderValue>) {
    headers.insert(X_FORWARDED_FOR, peer);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host);
    }
}

/// Takes out the headers that `drops` names, and those that `Connection` does. The others keep
/// their order, which removing one by one would not.
pub(super) fn strip(headers: &mut HeaderMap, drops: impl Fn(&HeaderName) -> bool) {
    if !headers.keys().any(&drops) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        // Framing and the host are nobody's to take away.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in mem::take(headers) {
        // Further values of a header come without its name.
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| !drops(name) && !named.contains(name)) {
            kept.append(name, value);
        }
    }
    *headers = kept;
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::UPGRADE]
        .contains(name)
        || name == "keep-alive"
        || name.as_str().starts_with("proxy-")
}

fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "forwarded"
        || name.starts_with("ctx-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-ctx-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line =
            |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn what_belongs_to_a_connection_goes_and_the_rest_keeps_its_order() {
        let mut map = headers(&[
            ("host", "a"),
            ("connection", "keep-alive, X-Mine"),
            ("accept", "1"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("accept", "2"),
            ("proxy-authorization", "x"),
            ("te", "trailers"),
            ("b", "1"),
            ("forwarded", "for=x"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-ctx-anything", "1"),
            ("ctx-shadow", "1"),
            ("a", "1"),
        ]);
        strip_request(&mut map);
        assert_eq!(
            map,
            headers(&[("host", "a"), ("accept", "1"), ("accept", "2"), ("b", "1"), ("a", "1")])
        );
        let order: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        assert_eq!(order, ["host", "accept", "b", "a"]);
    }

    #[test]
    fn nobody_takes_away_the_host_or_the_length() {
        let mut map = headers(&[
            ("host", "a"),
            ("connection", "host, content-length, close"),
            ("content-length", "3"),
        ]);
        strip_request(&mut map);
        assert_eq!(map, headers(&[("host", "a"), ("content-length", "3")]));
    }

    #[test]
    fn an_answer_may_speak_of_forwarding() {
        let mut map = headers(&[("x-forwarded-for", "1"), ("upgrade", "h2c")]);
        strip_response(&mut map);
        assert_eq!(map, headers(&[("x-forwarded-for", "1")]));
    }
}
