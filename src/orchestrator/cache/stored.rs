//! A kept answer, and its form in a snapshot.
//!
//! The law: what a snapshot holds is served as it is, so nothing is restored that would make a
//! client read the next answer from the wrong byte.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::control::observe::CacheEntry;

/// The largest body that is kept.
pub const MAX_BODY: usize = 1024 * 1024;

/// A kept answer.
#[derive(Clone, Debug)]
pub struct Stored {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The spelling of header names and the reason phrase, as the upstream wrote them. Not part of
    /// a snapshot: a restored answer has lower-case names, which means the same.
    pub extensions: Extensions,
    /// [`Clock::boot`](crate::clock::Clock::boot) when it was asked for, and how old it was then.
    pub(super) asked: Duration,
    pub(super) age: Duration,
    /// [`Clock::boot`](crate::clock::Clock::boot) from which on it may not be served.
    pub(super) expires: Duration,
}

impl Stored {
    /// How old the answer is at `now`, a [`Clock::boot`](crate::clock::Clock::boot).
    pub fn age(&self, now: Duration) -> Duration {
        self.age + now.saturating_sub(self.asked)
    }

    pub(super) fn size(&self) -> usize {
        let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        self.body.len() + self.headers.iter().map(line).sum::<usize>()
    }

    pub(super) fn to_entry(&self, key: &str, now: Duration) -> CacheEntry {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = value.to_str().expect("`Cache::put` keeps only text");
            (name.to_string(), value.to_owned())
        };
        let left = self.expires.saturating_sub(now);
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        CacheEntry {
            key: key.to_owned(),
            status: self.status.as_u16(),
            headers: self.headers.iter().map(line).collect(),
            body: hex::encode(&self.body),
            ttl_ms: ms(left),
            age_ms: ms(self.age(now)),
        }
    }

    pub(super) fn from_entry(
        entry: CacheEntry,
        now: Duration,
        expires: Duration,
    ) -> Result<Self, RestoreError> {
        let CacheEntry { key, status, headers: lines, body, ttl_ms: _, age_ms } = entry;
        let bad = |fault| RestoreError { key: key.clone(), fault };
        let status = StatusCode::from_u16(status).map_err(|_| bad("an impossible status"))?;
        let mut headers = HeaderMap::with_capacity(lines.len());
        for (name, value) in lines {
            let name = HeaderName::try_from(name).map_err(|_| bad("an impossible header name"))?;
            let value = HeaderValue::try_from(value).map_err(|_| bad("an impossible header"))?;
            // `to_str` is stricter than `try_from`; a snapshot of this entry must work again.
            value.to_str().map_err(|_| bad("an impossible header"))?;
            headers.append(name, value);
        }
        let body = hex::decode(body).map_err(|_| bad("a body that is not hex"))?;
        if body.len() > MAX_BODY {
            return Err(bad("a body larger than 1 MiB"));
        }
        // Served as they are, these would make a client read the next answer from the wrong byte.
        let length = headers.get_all(CONTENT_LENGTH).iter();
        let right = |value: &HeaderValue| value.as_bytes() == body.len().to_string().as_bytes();
        if !length.into_iter().all(right) || headers.contains_key(TRANSFER_ENCODING) {
            return Err(bad("a length that is not its body's"));
        }
        let body = Bytes::from(body);
        let (age, extensions) = (Duration::from_millis(age_ms), Extensions::new());
        Ok(Self { status, headers, body, extensions, asked: now, age, expires })
    }
}

/// Why a snapshot cannot be restored. Nothing was restored then.
#[derive(Debug, thiserror::Error)]
#[error("the cached answer `{key}` has {fault}")]
pub struct RestoreError {
    pub key: String,
    pub fault: &'static str,
}
