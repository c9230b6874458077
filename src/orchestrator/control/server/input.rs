//! What comes in, parsed at the door: headers, paths, queries and bodies become types, or a
//! problem that says which one is wrong.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::access::is_json;
use crate::control::wire::{FENCE, Fence, IDEMPOTENCY_KEY, ProblemCode};
use crate::orchestrator::control::core::Refusal;

/// Largest body of most requests.
pub(super) const BODY: usize = 1 << 20;
/// Largest cache snapshot.
pub(super) const CACHE_BODY: usize = 64 << 20;
/// How deep lists and objects of a body may nest. The deepest that is meant, a configuration, has 6.
const DEPTH: usize = 64;
/// 2^53 - 1: above it a float is not exact, and so not meant as an integer.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
/// Longest wait for a whole body.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The `Ctx-Fence` of a write.
#[derive(Debug)]
pub(super) struct Fenced(pub(super) Fence);

/// The `Ctx-Fence` of a request that may do without.
#[derive(Debug)]
pub(super) struct MaybeFenced(pub(super) Option<Fence>);

/// The `Idempotency-Key` of a write.
#[derive(Debug)]
pub(super) struct Key(pub(super) String);

/// The revision that `If-Match` expects at the head.
#[derive(Debug)]
pub(super) struct Expected(pub(super) u64);

/// The revision in the path.
#[derive(Debug)]
pub(super) struct Rev(pub(super) u64);

/// The dead letter in the path.
#[derive(Debug)]
pub(super) struct Letter(pub(super) u64);

/// The key in the path.
#[derive(Debug)]
pub(super) struct KeyPath(pub(super) String);

/// `?from=MS`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    pub(super) from: Option<u64>,
}

/// `?after=SEQ`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    pub(super) after: u64,
}

/// `?taken_back=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakenBack {
    #[serde(default)]
    pub(super) taken_back: bool,
}

/// Parameters after the `?`; unknown ones are refused.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

/// A JSON body of at most `LIMIT` bytes.
#[derive(Debug)]
pub(super) struct Body<T, const LIMIT: usize = BODY>(pub(super) T);

/// Reads JSON. `7.0` is an integer to JSON Schema and to some senders, so a body that does not
/// fit is looked at once more with such numbers made integers.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| {
        let mut value: Value = serde_json::from_slice(bytes)?;
        if integers(&mut value) { serde_json::from_value(value) } else { Err(error) }
    })
}

/// How deep lists and objects nest. Of what is no JSON, at most as deep as its brackets look.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Makes integers of numbers that are whole; returns whether there were any.
fn integers(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => {
            let whole = number.is_f64().then(|| number.as_f64()).flatten();
            let text = whole.filter(|n| n.fract() == 0.0 && (0.0..=MAX_EXACT).contains(n));
            let Some(integer) = text.and_then(|n| format!("{n:.0}").parse::<u64>().ok()) else {
                return false;
            };
            *value = integer.into();
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |any, item| integers(item) | any),
        Value::Object(map) => map.values_mut().fold(false, |any, item| integers(item) | any),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Whether `text` may be an idempotency key: 1 to 128 letters, digits, `.`, `_`, `:` and `-`.
fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(ProblemCode::BadRequest, detail)
}

/// The one value of a header; two are a mistake of somebody on the way.
fn header<'a>(parts: &'a Parts, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| bad(format!("`{name}` is not plain text")))
        }
        (Some(_), Some(_)) => Err(bad(format!("`{name}` is there twice"))),
    }
}

fn required<'a>(parts: &'a Parts, name: &str) -> Result<&'a str, Refusal> {
    header(parts, name)?.ok_or_else(|| {
        Refusal::new(ProblemCode::PreconditionRequired, format!("`{name}` is missing"))
    })
}

fn fence(text: &str) -> Result<Fence, Refusal> {
    text.parse().map_err(|error| bad(format!("`{FENCE}`: {error}")))
}

impl<S: Sync> FromRequestParts<S> for Fenced {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        fence(required(parts, FENCE)?).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeFenced {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        header(parts, FENCE)?.map(fence).transpose().map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let key = required(parts, IDEMPOTENCY_KEY)?;
        if is_key(key) {
            Ok(Self(key.to_owned()))
        } else {
            Err(bad(format!("`{IDEMPOTENCY_KEY}`: 1 to 128 letters, digits, `.`, `_`, `:`, `-`")))
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Expected {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let tag = required(parts, IF_MATCH.as_str())?;
        let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        number
            .and_then(|number| number.parse().ok())
            .map(Self)
            .ok_or_else(|| bad("`if-match` must be one revision in quotes, such as `\"41\"`"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Rev {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        number(parts, state, "a revision is a number").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Letter {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id = number(parts, state, "a dead letter is a number").await?;
        if i64::try_from(id).is_err() {
            return Err(Refusal::new(ProblemCode::NotFound, "there is no such dead letter"));
        }
        Ok(Self(id))
    }
}

/// The number in a path.
async fn number<S: Send + Sync>(parts: &mut Parts, state: &S, law: &str) -> Result<u64, Refusal> {
    match Path::<u64>::from_request_parts(parts, state).await {
        Ok(Path(number)) => Ok(number),
        Err(PathRejection::FailedToDeserializePathParams(_)) => Err(bad(law)),
        Err(error) => Err(bad(error.body_text())),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(key)) if is_key(&key) => Ok(Self(key)),
            _ => Err(bad("a key has 1 to 128 letters, digits, `.`, `_`, `:`, `-`")),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|error: QueryRejection| bad(error.body_text()))
    }
}

impl<T: DeserializeOwned, S: Send + Sync, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !request.headers().get(CONTENT_TYPE).is_some_and(is_json) {
            return Err(Refusal::new(
                ProblemCode::UnsupportedMediaType,
                "a body is sent as `application/json`",
            ));
        }
        let bytes = tokio::time::timeout(BODY_TIME, to_bytes(request.into_body(), LIMIT))
            .await
            .map_err(|_| bad("the body did not arrive in time"))?
            .map_err(|error| {
                let source = std::error::Error::source(&error);
                if source.is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) {
                    Refusal::new(ProblemCode::TooLarge, format!("the limit is {LIMIT} bytes"))
                } else {
                    bad("the body broke off")
                }
            })?;
        if depth(&bytes) > DEPTH {
            return Err(bad(format!("the body: it nests deeper than {DEPTH} levels")));
        }
        read(&bytes).map(Self).map_err(|error| bad(format!("the body: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::LeaseRequest;

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let text = r#"{"run": "00000000000000000000000000000000", "holder": "a", "host": "b",
            "pid": 7.0, "ttl_ms": 3e4, "min_token": 0}"#;
        let request: LeaseRequest = read(text.as_bytes()).unwrap();
        assert_eq!((request.pid, request.ttl_ms), (7, 30_000));
        assert!(read::<LeaseRequest>(text.replace("7.0", "7.5").as_bytes()).is_err());
        // The first fault is named with its place, not the second look's.
        let error = read::<LeaseRequest>(b"{\n\"colour\": 1}").unwrap_err();
        assert!(error.to_string().contains("unknown field `colour`"), "{error}");
        assert_eq!(error.line(), 2);
    }

    #[test]
    fn brackets_in_texts_are_not_nesting() {
        for (text, expect) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a": [[], {}], "b": [1]}"#, 3),
            (r#"{"[[": "{{\"[[", "a": []}"#, 2),
            (r#"["\\", []]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(text.as_bytes()), expect, "{text}");
        }
    }

    #[test]
    fn keys_are_plain() {
        for good in ["a", "0123abcd", "run.step:1_a-b", &"k".repeat(128)] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", "a\"", &"k".repeat(129)] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
