//! Which reads the cache may answer, and which answers it may keep, and for how long.
//!
//! The law: an answer that was meant for one reader is never given to another, and none is given
//! for longer than its sender allows. So a read that says who is asking, or asks for a part or for
//! freshness, goes past the cache; and an answer is kept only if nothing in it restricts that, and
//! if it depends on nothing that it is not kept under. The rules are a strict part of RFC 9111:
//! what a shared cache must not do is not done; what it may do, such as serving stale answers, is
//! not done either.

use std::time::{Duration, SystemTime};

use hyper::header::{
    ACCEPT_ENCODING, AGE, AUTHORIZATION, CACHE_CONTROL, COOKIE, DATE, ETAG, EXPIRES, HOST,
    HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
    SET_COOKIE, VARY,
};
use hyper::http::request;
use hyper::http::response;
use hyper::{Method, StatusCode, Uri};

use crate::control::config::{self, CachePolicy, Query};
use crate::orchestrator::cache::MAX_BODY;

/// How the answers of a route are cached: its policy, with what it leaves open filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) ttl: Duration,
    /// Besides the host and the encoding.
    vary: Vec<HeaderName>,
    query: Query,
    statuses: Vec<u16>,
    pub(super) max_body: usize,
}

impl Policy {
    pub(super) fn of(policy: Option<&CachePolicy>, cache: &config::Cache) -> Self {
        let own = policy.cloned().unwrap_or_default();
        let max_body =
            own.max_body.map_or(MAX_BODY, |max| usize::try_from(max).unwrap_or(MAX_BODY));
        Self {
            ttl: own.ttl.unwrap_or(cache.ttl),
            vary: own.vary.iter().filter_map(|name| name.parse().ok()).collect(),
            query: own.query,
            statuses: if own.statuses.is_empty() { vec![200] } else { own.statuses },
            max_body: max_body.min(MAX_BODY),
        }
    }
}

/// A read that the cache may answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// What its answer is kept under: all that it may depend on, and what the policy takes that to
    /// be, so that no answer outlives the policy it was kept by. The parts are separated by line
    /// feeds, which none of them can contain.
    pub(super) name: String,
    /// The oldest answer that will do.
    pub(super) max_age: Option<Duration>,
}

/// What the cache is asked for; `None` when it is not to be asked.
pub(super) fn ask(request: &request::Parts, policy: &Policy) -> Option<Ask> {
    let headers = &request.headers;
    let special = [AUTHORIZATION, COOKIE, RANGE, IF_RANGE, PRAGMA, IF_MATCH, IF_UNMODIFIED_SINCE];
    let restricted = special.iter().any(|header| headers.contains_key(header))
        || has_token(headers, &CACHE_CONTROL, &["no-cache", "no-store"]);
    if request.method != Method::GET || restricted {
        return None;
    }
    let max_age = seconds(headers, "max-age=").map(Result::ok);
    // What cannot be read, or is nothing, asks for freshness.
    let max_age = match max_age {
        None => None,
        Some(None | Some(0)) => return None,
        Some(Some(age)) => Some(Duration::from_secs(age)),
    };
    let mut name = "GET".to_owned();
    let mut add = |part: &str| {
        name.push('\n');
        name.push_str(part);
    };
    let text = |header: &HeaderName| headers.get(header).map_or(Some(""), |v| v.to_str().ok());
    add(text(&HOST)?);
    add(&target(&request.uri, &policy.query)?);
    add(text(&ACCEPT_ENCODING)?);
    for header in &policy.vary {
        // Each of a header's lines, with what separates them.
        let lines = headers.get_all(header).iter().map(|value| value.to_str().ok());
        let lines = lines.collect::<Option<Vec<_>>>()?.join(", ");
        add(&format!("{header}: {lines}"));
    }
    // No header has a space in its name.
    match &policy.query {
        Query::All => {}
        Query::None => add("no query"),
        Query::Only(names) => add(&format!("query of {names:?}")),
    }
    Some(Ask { name, max_age })
}

/// The path, and as much of the query as answers depend on.
fn target(uri: &Uri, query: &Query) -> Option<String> {
    let whole = uri.path_and_query()?;
    Some(match query {
        Query::All => whole.as_str().to_owned(),
        Query::None => whole.path().to_owned(),
        Query::Only(names) => {
            let named = |pair: &&str| {
                let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
                names.iter().any(|wanted| wanted == name)
            };
            let pairs = whole.query().unwrap_or_default().split('&').filter(named);
            // In the order that they came in: a handler may mind it.
            format!("{}?{}", whole.path(), pairs.collect::<Vec<_>>().join("&"))
        }
    })
}

/// For how long an answer may be given to others, and how old it is already; `None` when it may
/// not be.
///
/// What its sender says about its age and its end counts (RFC 9111, 4.2); where that says nothing,
/// the policy's time to live is all there is.
pub(super) fn may_keep(
    answer: &response::Parts,
    policy: &Policy,
    now: SystemTime,
) -> Option<(Duration, Duration)> {
    let headers = &answer.headers;
    let varies = |token: String| {
        token == ACCEPT_ENCODING.as_str()
            || token == HOST.as_str()
            || policy.vary.iter().any(|name| name.as_str() == token)
    };
    let free = !has_token(headers, &CACHE_CONTROL, &["no-store", "private", "no-cache"])
        && !headers.contains_key(SET_COOKIE)
        && tokens(headers, &VARY).all(varies)
        && policy.statuses.contains(&answer.status.as_u16());
    if !free {
        return None;
    }
    let date = |name| {
        let text = headers.get(name)?.to_str().ok();
        Some(text.and_then(|text| httpdate::parse_http_date(text).ok()))
    };
    let dated = date(DATE).flatten();
    let apparent = dated.and_then(|dated| now.duration_since(dated).ok()).unwrap_or_default();
    let said = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok());
    let age = apparent.max(Duration::from_secs(said.unwrap_or(0)));
    // What is said for caches like this one counts before what is said for all.
    let limit = seconds(headers, "s-maxage=").or_else(|| seconds(headers, "max-age="));
    let lifetime = match (limit, date(EXPIRES)) {
        (Some(limit), _) => Some(Duration::from_secs(limit.unwrap_or(0))),
        // A date that is none is in the past, as the RFC has it.
        (None, Some(ends)) => {
            let left = ends.and_then(|ends| ends.duration_since(dated.unwrap_or(now)).ok());
            Some(left.unwrap_or_default())
        }
        (None, None) => None,
    };
    let ttl = lifetime.map_or(policy.ttl, |life| life.saturating_sub(age).min(policy.ttl));
    (!ttl.is_zero()).then_some((ttl, age))
}

/// Whether the reader has this answer already (RFC 9110, 13.1.2: compared weakly).
pub(super) fn is_known(request: &HeaderMap, status: StatusCode, answer: &HeaderMap) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Some(tag) = answer.get(ETAG).and_then(|tag| tag.to_str().ok()).map(opaque) else {
        return false;
    };
    let asked = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    status == StatusCode::OK
        && asked
            .flat_map(|value| value.split(','))
            .any(|one| one.trim() == "*" || opaque(one) == tag)
}

/// The seconds of a directive of `Cache-Control`, the fewest if it is said more than once; an
/// error where they are none.
fn seconds(headers: &HeaderMap, directive: &str) -> Option<Result<u64, ()>> {
    let said = tokens(headers, &CACHE_CONTROL).filter_map(|token| {
        let value = token.strip_prefix(directive)?.trim_matches('"').to_owned();
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        // More than fits is a very long time.
        Some(digits.then(|| value.parse().unwrap_or(u64::from(u32::MAX))))
    });
    let said: Vec<Option<u64>> = said.collect();
    let fewest = said.iter().copied().collect::<Option<Vec<u64>>>();
    (!said.is_empty()).then(|| fewest.and_then(|all| all.into_iter().min()).ok_or(()))
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
    use crate::control::config::CacheMode;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn policy(change: impl FnOnce(&mut CachePolicy)) -> Policy {
        let mut own = CachePolicy::default();
        change(&mut own);
        let ttl = Duration::from_secs(60);
        Policy::of(Some(&own), &config::Cache { mode: CacheMode::Read, ttl, capacity: 10 })
    }

    fn asked_under(
        policy: &Policy,
        method: &str,
        uri: &str,
        lines: &[(&str, &str)],
    ) -> Option<Ask> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        ask(&request.body(()).unwrap().into_parts().0, policy)
    }

    fn asked(method: &str, uri: &str, lines: &[(&str, &str)]) -> Option<String> {
        asked_under(&policy(|_| {}), method, uri, lines).map(|ask| ask.name)
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
    fn a_policy_says_what_an_answer_depends_on() {
        let check = |change: fn(&mut CachePolicy), uri, lines: &[(&str, &str)], expect: &str| {
            let name = asked_under(&policy(change), "GET", uri, lines).unwrap().name;
            assert_eq!(name, expect);
        };
        check(|own| own.query = Query::None, "/a?x=1", &[], "GET\n\n/a\n\nno query");
        let page = |own: &mut CachePolicy| own.query = Query::Only(vec!["page".to_owned()]);
        check(
            page,
            "/a?utm=9&page=2&page=3&q",
            &[],
            "GET\n\n/a?page=2&page=3\n\nquery of [\"page\"]",
        );
        check(page, "/a", &[], "GET\n\n/a?\n\nquery of [\"page\"]");
        let language = |own: &mut CachePolicy| own.vary = vec!["Accept-Language".to_owned()];
        let lines = [("accept-language", "de"), ("accept-language", "en")];
        check(language, "/a", &lines, "GET\n\n/a\n\naccept-language: de, en");
        check(language, "/a", &[], "GET\n\n/a\n\naccept-language: ");
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
            ("if-match", "\"a\""),
            ("cache-control", "max-age=0, No-Cache"),
            ("cache-control", "max-age=0"),
            ("cache-control", "max-age=x"),
        ] {
            assert_eq!(asked("GET", "/", &[line]), None, "{line:?}");
        }
        let old = asked_under(&policy(|_| {}), "GET", "/", &[("cache-control", "max-age=5")]);
        assert_eq!(old.unwrap().max_age, Some(Duration::from_secs(5)));
    }

    /// For how many seconds an answer is kept, and how old it is.
    fn kept_under(policy: &Policy, status: u16, lines: &[(&str, &str)]) -> Option<(u64, u64)> {
        let mut response = Response::builder().status(status);
        for (name, value) in lines {
            response = response.header(*name, *value);
        }
        let now = httpdate::parse_http_date(NOW).unwrap();
        let parts = response.body(()).unwrap().into_parts().0;
        may_keep(&parts, policy, now).map(|(ttl, age)| (ttl.as_secs(), age.as_secs()))
    }

    fn kept(status: u16, lines: &[(&str, &str)]) -> Option<(u64, u64)> {
        kept_under(&policy(|_| {}), status, lines)
    }

    #[test]
    fn an_answer_for_one_reader_is_not_kept() {
        for status in [201, 204, 206, 304, 404, 500] {
            assert_eq!(kept(status, &[]), None, "{status}");
        }
        for line in [
            ("set-cookie", "a=b"),
            ("cache-control", "no-store"),
            ("cache-control", "max-age=60, Private"),
            ("cache-control", "private=\"x\""),
            ("cache-control", "max-age=0"),
            ("cache-control", "max-age=soon"),
            ("cache-control", "max-age=600, s-maxage=0"),
            ("expires", "0"),
            ("expires", NOW),
            ("vary", "*"),
            ("vary", "accept-encoding, cookie"),
            ("vary", "accept-language"),
        ] {
            assert_eq!(kept(200, &[line]), None, "{line:?}");
        }
    }

    #[test]
    fn an_answer_is_kept_for_as_long_as_both_sides_allow() {
        let (earlier, later) = ("Sun, 06 Nov 1994 08:49:17 GMT", "Sun, 06 Nov 1994 08:50:17 GMT");
        assert_eq!(kept(200, &[("vary", "Accept-Encoding")]), Some((60, 0)));
        assert_eq!(kept(200, &[("cache-control", "max-age=600")]), Some((60, 0)));
        assert_eq!(kept(200, &[("cache-control", "max-age=30")]), Some((30, 0)));
        assert_eq!(kept(200, &[("cache-control", "max-age=30, s-maxage=\"20\"")]), Some((20, 0)));
        assert_eq!(kept(200, &[("cache-control", "max-age=30, max-age=9")]), Some((9, 0)));
        assert_eq!(kept(200, &[("cache-control", "max-age=30"), ("age", "10")]), Some((20, 10)));
        assert_eq!(
            kept(200, &[("cache-control", "max-age=30"), ("date", earlier)]),
            Some((10, 20))
        );
        assert_eq!(kept(200, &[("cache-control", "max-age=9"), ("age", "10")]), None);
        assert_eq!(kept(200, &[("expires", later)]), Some((40, 0)));
        assert_eq!(kept(200, &[("expires", later), ("date", earlier)]), Some((40, 20)));
        assert_eq!(kept(200, &[("expires", later), ("cache-control", "max-age=5")]), Some((5, 0)));
        // Where nobody says how long, its age says nothing either.
        assert_eq!(kept(200, &[("date", earlier)]), Some((60, 20)));
    }

    #[test]
    fn a_policy_says_which_answers_are_kept() {
        let long = policy(|own| {
            own.ttl = Some(Duration::from_secs(600));
            own.statuses = vec![200, 404];
            own.vary = vec!["Accept-Language".to_owned()];
        });
        assert_eq!(kept_under(&long, 404, &[("vary", "accept-language")]), Some((600, 0)));
        assert_eq!(kept_under(&long, 410, &[]), None);
        let none = policy(|own| own.statuses = vec![404]);
        assert_eq!(kept_under(&none, 200, &[]), None);
    }

    #[test]
    fn a_reader_who_has_the_answer_is_recognised_by_its_tag() {
        let check = |asked: &[&str], tag: &str| {
            let mut request = HeaderMap::new();
            for line in asked {
                request.append(IF_NONE_MATCH, line.parse().unwrap());
            }
            let answer = HeaderMap::from_iter([(ETAG, tag.parse().unwrap())]);
            is_known(&request, StatusCode::OK, &answer)
        };
        assert!(check(&["\"a\""], "\"a\""));
        assert!(check(&["\"x\", W/\"a\""], "\"a\""));
        assert!(check(&["\"x\"", "\"a\""], "W/\"a\""));
        assert!(check(&["*"], "\"a\""));
        assert!(!check(&["\"b\""], "\"a\""));
        assert!(!check(&[], "\"a\""));
        assert!(!is_known(&HeaderMap::new(), StatusCode::OK, &HeaderMap::new()));
    }
}
