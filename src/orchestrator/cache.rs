//! The answer cache: answers kept for a while, to be given again byte for byte.
//!
//! The law: an answer is never served after its time to live, and never more than `capacity`
//! answers are kept. Reads are kept under what was asked, answers to events under their delivery.
//! Time comes from the [`Clock`], so an answer's age is the same in a test, a snapshot and a
//! restored cache; moka evicts by frequency and recency (`TinyLFU`) when the capacity is reached.
//!
//! Capacity is counted in answers of up to 16 KiB: a larger one takes the place of several, so
//! that the default of 10,000 answers is also a bound of 160 MiB.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::clock::Clock;
use crate::control::config;
use crate::control::observe::{CacheEntry, CacheSnapshot};
use crate::failpoint::{self, Point};

/// The largest body that is kept.
pub const MAX_BODY: usize = 1024 * 1024;
/// The size up to which an answer counts as one.
const UNIT: usize = 16 * 1024;

/// A kept answer.
#[derive(Clone, Debug)]
pub struct Stored {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The spelling of header names and the reason phrase, as the upstream wrote them. Not part of
    /// a snapshot: a restored answer has lower-case names, which means the same.
    pub extensions: Extensions,
    /// [`Clock::boot`] from which on it may not be served.
    expires: Duration,
}

/// Why a snapshot cannot be restored. Nothing was restored then.
#[derive(Debug, thiserror::Error)]
#[error("the cached answer `{key}` has {fault}")]
pub struct RestoreError {
    pub key: String,
    pub fault: &'static str,
}

/// The cache. Shared by all gateway workers.
pub struct Cache {
    clock: Arc<dyn Clock>,
    kept: ArcSwap<Kept>,
}

/// The store for one setting of capacity and time to live, which moka fixes when it is built.
struct Kept {
    capacity: u64,
    ttl: Duration,
    answers: moka::sync::Cache<Arc<str>, Arc<Stored>>,
}

impl Kept {
    fn new(config: &config::Cache) -> Self {
        let weigh = |key: &Arc<str>, stored: &Arc<Stored>| {
            let size = key.len() + stored.size();
            u32::try_from(size.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
        };
        let answers = moka::sync::Cache::builder()
            .max_capacity(config.capacity)
            .weigher(weigh)
            // Frees what nobody asks for again; what is served is decided by `expires`.
            .time_to_live(config.ttl)
            .build();
        Self { capacity: config.capacity, ttl: config.ttl, answers }
    }
}

impl Cache {
    pub fn new(clock: Arc<dyn Clock>, config: &config::Cache) -> Self {
        Self { clock, kept: ArcSwap::from_pointee(Kept::new(config)) }
    }

    /// Takes over capacity and time to live. Answers that are kept stay, as far as the new
    /// capacity holds them; none is served for longer than the new time to live.
    pub fn configure(&self, config: &config::Cache) {
        let old = self.kept.load_full();
        if old.capacity == config.capacity && old.ttl == config.ttl {
            return;
        }
        let new = Kept::new(config);
        let latest = self.clock.boot() + config.ttl;
        for (key, stored) in &old.answers {
            let expires = stored.expires.min(latest);
            new.answers.insert((*key).clone(), Arc::new(Stored { expires, ..(*stored).clone() }));
        }
        self.kept.store(Arc::new(new));
    }

    /// The answer kept under `key`, if it may still be served.
    pub fn get(&self, key: &str) -> Option<Arc<Stored>> {
        let stored = self.kept.load().answers.get(key)?;
        (self.clock.boot() < stored.expires).then_some(stored)
    }

    /// Keeps an answer under `key` for the time to live. Larger bodies than [`MAX_BODY`] are not
    /// kept, nor headers that a snapshot could not hold.
    pub fn put(&self, key: &str, head: &Parts, body: Bytes) {
        let text = head.headers.values().all(|value| value.to_str().is_ok());
        if body.len() > MAX_BODY || !text {
            return;
        }
        failpoint::hit(Point::CacheKeeps);
        let kept = self.kept.load();
        let stored = Stored {
            status: head.status,
            headers: head.headers.clone(),
            body,
            extensions: head.extensions.clone(),
            expires: self.clock.boot() + kept.ttl,
        };
        kept.answers.insert(Arc::from(key), Arc::new(stored));
        failpoint::hit(Point::CacheKept);
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.kept.load().answers.invalidate_all();
    }

    /// How many answers are kept and may be served.
    pub fn len(&self) -> u64 {
        let kept = self.kept.load();
        kept.answers.run_pending_tasks();
        kept.answers.entry_count()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything that may still be served, in the order of the keys.
    pub fn snapshot(&self) -> CacheSnapshot {
        let now = self.clock.boot();
        let kept = self.kept.load();
        let live = kept.answers.iter().filter(|(_, stored)| now < stored.expires);
        let mut entries: Vec<CacheEntry> =
            live.map(|(key, stored)| stored.to_entry(&key, now)).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        CacheSnapshot { entries }
    }

    /// Makes the cache hold exactly what the snapshot holds, each answer for the time it had left
    /// then, but never longer than the time to live now. Gives the number of answers.
    ///
    /// # Errors
    /// When an entry is no answer; the cache is then as before.
    pub fn restore(&self, snapshot: CacheSnapshot) -> Result<usize, RestoreError> {
        let now = self.clock.boot();
        let ttl = self.kept.load().ttl;
        let read = |entry: CacheEntry| {
            let expires = now + ttl.min(Duration::from_millis(entry.ttl_ms));
            let key = Arc::<str>::from(entry.key.as_str());
            Ok((key, Arc::new(Stored::from_entry(entry, expires)?)))
        };
        let answers: Vec<_> =
            snapshot.entries.into_iter().map(read).collect::<Result<_, RestoreError>>()?;
        self.clear();
        let (kept, count) = (self.kept.load(), answers.len());
        for (key, stored) in answers {
            kept.answers.insert(key, stored);
        }
        Ok(count)
    }
}

impl Stored {
    fn size(&self) -> usize {
        let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        self.body.len() + self.headers.iter().map(line).sum::<usize>()
    }

    fn to_entry(&self, key: &str, now: Duration) -> CacheEntry {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = value.to_str().expect("`Cache::put` keeps only text");
            (name.to_string(), value.to_owned())
        };
        let left = self.expires.saturating_sub(now);
        CacheEntry {
            key: key.to_owned(),
            status: self.status.as_u16(),
            headers: self.headers.iter().map(line).collect(),
            body: hex::encode(&self.body),
            ttl_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn from_entry(entry: CacheEntry, expires: Duration) -> Result<Self, RestoreError> {
        let CacheEntry { key, status, headers: lines, body, ttl_ms: _ } = entry;
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
        Ok(Self { status, headers, body, extensions: Extensions::new(), expires })
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;
    use crate::clock::ManualClock;
    use crate::control::config::CacheMode;

    const SECOND: Duration = Duration::from_secs(1);

    fn config(capacity: u64, ttl_s: u32) -> config::Cache {
        config::Cache { mode: CacheMode::Read, ttl: SECOND * ttl_s, capacity }
    }

    fn cache(capacity: u64, ttl_s: u32) -> (Arc<ManualClock>, Cache) {
        let clock = Arc::new(ManualClock::default());
        (Arc::clone(&clock), Cache::new(clock, &config(capacity, ttl_s)))
    }

    fn head(header: &str) -> Parts {
        Response::builder()
            .header("x-a", header)
            .header("x-a", "2")
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn an_answer_is_given_again_until_its_time_is_over() {
        let (clock, cache) = cache(10, 60);
        cache.put("k", &head("1"), Bytes::from("body"));
        clock.advance(SECOND * 59);
        let stored = cache.get("k").unwrap();
        assert_eq!((stored.status, &stored.body[..]), (StatusCode::OK, &b"body"[..]));
        assert_eq!(stored.headers.get_all("x-a").iter().count(), 2);
        clock.advance(SECOND);
        assert!(cache.get("k").is_none());
        assert_eq!(cache.snapshot().entries, []);
    }

    #[test]
    fn a_snapshot_restores_the_same_answers_for_the_time_they_had_left() {
        let (clock, cache) = cache(10, 60);
        cache.put("b", &head("1"), Bytes::from("body"));
        clock.advance(SECOND * 20);
        cache.put("a", &head("1"), Bytes::new());
        let snapshot = cache.snapshot();
        let ttls: Vec<_> = snapshot.entries.iter().map(|e| (e.key.as_str(), e.ttl_ms)).collect();
        assert_eq!(ttls, [("a", 60_000), ("b", 40_000)]);
        cache.put("later", &head("1"), Bytes::new());
        clock.advance(SECOND * 60);
        assert_eq!(cache.restore(snapshot.clone()).unwrap(), 2);
        assert_eq!(cache.snapshot(), snapshot);
        assert!(cache.get("later").is_none());
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn a_faulty_snapshot_changes_nothing() {
        let (_, cache) = cache(10, 60);
        cache.put("k", &head("1"), Bytes::from("body"));
        let good = cache.snapshot();
        for spoil in [
            |entry: &mut CacheEntry| entry.status = 20,
            |entry: &mut CacheEntry| entry.body = "xy".to_owned(),
            |entry: &mut CacheEntry| entry.headers[0].0 = "a b".to_owned(),
            |entry: &mut CacheEntry| entry.headers[0].1 = "a\nb".to_owned(),
            |entry: &mut CacheEntry| {
                entry.headers.push(("content-length".to_owned(), "5".to_owned()));
            },
        ] {
            let mut bad = good.clone();
            spoil(&mut bad.entries[0]);
            assert!(cache.restore(bad).is_err());
            assert_eq!(cache.snapshot(), good);
        }
    }

    #[test]
    fn the_capacity_holds_and_large_answers_count_for_more() {
        let (_, cache) = cache(4, 60);
        for n in 0..100 {
            cache.put(&format!("k{n}"), &head("1"), Bytes::new());
        }
        assert!(cache.len() <= 4, "{}", cache.len());
        cache.clear();
        for n in 0..100 {
            cache.put(&format!("k{n}"), &head("1"), Bytes::from(vec![0; 2 * UNIT - 100]));
        }
        assert!(cache.len() <= 2, "{}", cache.len());
        cache.put("huge", &head("1"), Bytes::from(vec![0; MAX_BODY + 1]));
        assert!(cache.get("huge").is_none());
    }

    #[test]
    fn a_shorter_time_to_live_holds_for_what_is_kept_already() {
        let (clock, cache) = cache(10, 60);
        cache.put("k", &head("1"), Bytes::from("body"));
        cache.configure(&config(20, 5));
        clock.advance(SECOND * 4);
        assert!(cache.get("k").is_some());
        clock.advance(SECOND);
        assert!(cache.get("k").is_none());
    }
}
