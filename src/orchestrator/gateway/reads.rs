//! Which reads the cache may answer, and which answers it may keep.
//!
//! The law: an answer that was meant for one reader is never given to another. So a read that says
//! who is asking, or asks for a part or for freshness, goes past the cache; and an answer is kept
//! only if it is a plain 200 that nothing in it restricts. The rules are a strict part of RFC 9111.

use std::time::Duration;

use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderName, PRAGMA,
    RANGE, SET_COOKIE, VARY,
};
use hyper::http::request;
use hyper::http::response;
use hyper::{Method, StatusCode};

/// The name that the answer to a read is kept under; `None` when the cache is not to be asked.
///
/// Its parts are separated by line feeds, which none of them can contain.
pub(super) fn name(request: &request::Parts) -> Option<String> {
    let headers = &request.headers;
    let private = [AUTHORIZATION, COOKIE, RANGE, PRAGMA];
    let restricted = private.iter().any(|header| headers.contains_key(header))
        || has_token(headers, &CACHE_CONTROL, &["no-cache", "no-store", "max-age=0"]);
    if request.method != Method::GET || restricted {
        return None;
    }
    let text = |header| headers.get(header).map_or(Some(""), |value| value.to_str().ok());
    let (host, encoding) = (text(HOST)?, text(ACCEPT_ENCODING)?);
    let target = request.uri.path_and_query()?;
    Some(format!("GET\n{host}\n{target}\n{encoding}"))
}

/// Whether an answer may be given to others for as long as `ttl`. One that its sender calls fresh
/// for less is not kept at all.
pub(super) fn may_keep(answer: &response::Parts, ttl: Duration) -> bool {
    let headers = &answer.headers;
    let said = |name: &str| {
        tokens(headers, &CACHE_CONTROL).find_map(|token| Some(token.strip_prefix(name)?.to_owned()))
    };
    // What is said for caches like this one counts before what is said for all.
    if let Some(age) = said("s-maxage=").or_else(|| said("max-age="))
        && age.trim_matches('"').parse::<u64>().is_ok_and(|age| Duration::from_secs(age) < ttl)
    {
        return false;
    }
    let vary = tokens(headers, &VARY).all(|token| token == "accept-encoding");
    let free = !has_token(headers, &CACHE_CONTROL, &["no-store", "private", "no-cache"]);
    answer.status == StatusCode::OK && vary && free && !headers.contains_key(SET_COOKIE)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, unwanted: &[&str]) -> bool {
    tokens(headers, name).any(|token| {
        unwanted.iter().any(|word| {
            token.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    })
}

/// The elements of a header that is a list, in lower case. What is not text is an element that
/// equals nothing.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| {
        let list = value.to_str().unwrap_or("\u{fffd}").split(',');
        list.map(|token| token.trim().to_ascii_lowercase()).filter(|token| !token.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use hyper::{Request, Response};

    use super::*;

    fn asked(method: &str, uri: &str, lines: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        name(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_read_is_named_by_all_that_its_answer_may_depend_on() {
        let one = asked("GET", "/a?x=1", &[("host", "h"), ("accept-encoding", "gzip")]).unwrap();
        assert_eq!(one, "GET\nh\n/a?x=1\ngzip");
        assert_ne!(
            asked("GET", "/a?x=2", &[("host", "h"), ("accept-encoding", "gzip")]).unwrap(),
            one
        );
        assert_ne!(asked("GET", "/a?x=1", &[("host", "h")]).unwrap(), one);
        assert_ne!(asked("GET", "/x", &[("host", "h/a")]), asked("GET", "/a/x", &[("host", "h")]));
    }

    #[test]
    fn a_read_that_says_who_asks_goes_past_the_cache() {
        assert!(asked("GET", "/", &[]).is_some());
        for method in ["HEAD", "POST"] {
            assert_eq!(asked(method, "/", &[]), None);
        }
        for line in [
            ("authorization", "x"),
            ("cookie", "a=b"),
            ("range", "bytes=0-1"),
            ("cache-control", "max-age=0, No-Cache"),
        ] {
            assert_eq!(asked("GET", "/", &[line]), None, "{line:?}");
        }
    }

    #[test]
    fn an_answer_for_one_reader_is_not_kept() {
        let kept = |status: u16, lines: &[(&str, &str)]| {
            let mut response = Response::builder().status(status);
            for (name, value) in lines {
                response = response.header(*name, *value);
            }
            may_keep(&response.body(()).unwrap().into_parts().0, Duration::from_secs(60))
        };
        assert!(kept(200, &[("vary", "Accept-Encoding"), ("cache-control", "max-age=60")]));
        for status in [201, 204, 206, 304, 404, 500] {
            assert!(!kept(status, &[]), "{status}");
        }
        for line in [
            ("set-cookie", "a=b"),
            ("cache-control", "no-store"),
            ("cache-control", "max-age=60, Private"),
            ("cache-control", "private=\"x\""),
            ("cache-control", "max-age=0"),
            ("cache-control", "max-age=59"),
            ("cache-control", "max-age=600, s-maxage=5"),
            ("vary", "*"),
            ("vary", "accept-encoding, cookie"),
        ] {
            assert!(!kept(200, &[line]), "{line:?}");
        }
    }
}
