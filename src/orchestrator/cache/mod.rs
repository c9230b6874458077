//! The answer cache: answers kept for a while, to be given again byte for byte.
//!
//! The law: an answer is never served after its time to live, nor after somebody has written to
//! where it came from, and never more than `capacity` answers are kept. Reads are kept under what
//! was asked, answers to events under their delivery. Time comes from the [`Clock`], so an answer's age is the same in a test, a snapshot and a
//! restored cache; moka evicts by frequency and recency (`TinyLFU`) when the capacity is reached.
//!
//! Who misses while another fetches the same answer waits for that one: see [`Cache::join`].
//!
//! Capacity is counted in answers of up to 16 KiB: a larger one takes the place of several, so
//! that the default of 10,000 answers is also a bound of 160 MiB.

mod stored;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper::http::response::Parts;
use moka::notification::RemovalCause;
use tokio::sync::watch;

pub use self::stored::{MAX_BODY, RestoreError, Stored};
use crate::clock::Clock;
use crate::control::observe::{CacheEntry, CacheSnapshot};
use crate::failpoint::{self, Point};

/// The size up to which an answer counts as one.
const UNIT: usize = 16 * 1024;

/// How an answer is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// [`Clock::boot`] when it was asked for.
    pub asked: Duration,
    /// For how long from now on.
    pub ttl: Duration,
    /// How old it was when it came.
    pub age: Duration,
    /// The largest body; never more than [`MAX_BODY`].
    pub max_body: usize,
}

/// What an answer may be used for.
#[derive(Clone, Copy, Debug)]
pub struct Use<'a> {
    /// The longest time since it was asked for.
    pub ttl: Duration,
    /// The greatest age, if the reader says one.
    pub max_age: Option<Duration>,
    /// The route that it is an answer of, if that can be written to.
    pub route: Option<&'a str>,
}

/// Who fetches an answer that several wait for.
#[derive(Debug)]
pub enum Flight {
    /// Whoever holds this. The others go on when it is dropped.
    Lead(Lead),
    /// Somebody else: the answer may be there when this changes or ends.
    Follow(watch::Receiver<()>),
}

/// The one who fetches an answer.
#[derive(Debug)]
pub struct Lead {
    flights: Flights,
    name: Arc<str>,
    _ended: watch::Sender<()>,
}

type Flights = Arc<Mutex<HashMap<Arc<str>, watch::Receiver<()>>>>;

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// The cache. Shared by all gateway workers.
pub struct Cache {
    clock: Arc<dyn Clock>,
    kept: ArcSwap<Kept>,
    /// Answers that were dropped for want of room, since the start.
    evicted: Arc<AtomicU64>,
    flights: Flights,
    /// When somebody wrote to a route last. Few are ever written to.
    written: RwLock<HashMap<Box<str>, Duration>>,
}

/// The store for one setting of capacity and the longest time to live, which moka fixes when it is
/// built.
struct Kept {
    capacity: u64,
    ttl: Duration,
    answers: moka::sync::Cache<Arc<str>, Arc<Stored>>,
}

impl Kept {
    fn new(capacity: u64, ttl: Duration, evicted: &Arc<AtomicU64>) -> Self {
        let evicted = Arc::clone(evicted);
        let weigh = |key: &Arc<str>, stored: &Arc<Stored>| {
            let size = key.len() + stored.size();
            u32::try_from(size.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
        };
        let answers = moka::sync::Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            // Frees what nobody asks for again; what is served is decided by `expires`.
            .time_to_live(ttl)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    evicted.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Self { capacity, ttl, answers }
    }
}

impl Cache {
    /// A cache for `capacity` answers, each for no longer than `ttl`.
    pub fn new(clock: Arc<dyn Clock>, capacity: u64, ttl: Duration) -> Self {
        let evicted = Arc::default();
        let kept = ArcSwap::from_pointee(Kept::new(capacity, ttl, &evicted));
        Self { clock, kept, evicted, flights: Flights::default(), written: RwLock::default() }
    }

    /// Takes over capacity and the longest time to live. Answers that are kept stay, as far as the
    /// new capacity holds them; none is served for longer than the new time to live.
    pub fn configure(&self, capacity: u64, ttl: Duration) {
        let old = self.kept.load_full();
        if old.capacity == capacity && old.ttl == ttl {
            return;
        }
        let new = Kept::new(capacity, ttl, &self.evicted);
        let latest = self.clock.boot() + ttl;
        for (key, stored) in &old.answers {
            let expires = stored.expires.min(latest);
            new.answers.insert((*key).clone(), Arc::new(Stored { expires, ..(*stored).clone() }));
        }
        self.kept.store(Arc::new(new));
    }

    /// The answer kept under `key`, if it may be used so.
    pub fn get(&self, key: &str, to: Use<'_>) -> Option<Arc<Stored>> {
        let stored = self.kept.load().answers.get(key)?;
        let now = self.clock.boot();
        let written = to.route.and_then(|route| {
            let written = self.written.read().unwrap_or_else(PoisonError::into_inner);
            written.get(route).copied()
        });
        let fresh = now < stored.expires
            && now.saturating_sub(stored.asked) < to.ttl
            && to.max_age.is_none_or(|max| stored.age(now) <= max)
            && written.is_none_or(|written| written < stored.asked);
        fresh.then_some(stored)
    }

    /// Keeps an answer under `key`. Larger bodies than allowed are not kept, nor headers that a
    /// snapshot could not hold.
    pub fn put(&self, key: &str, head: &Parts, body: Bytes, keep: Keep) {
        let text = head.headers.values().all(|value| value.to_str().is_ok());
        if body.len() > keep.max_body.min(MAX_BODY) || !text {
            return;
        }
        failpoint::hit(Point::CacheKeeps);
        let kept = self.kept.load();
        let stored = Stored {
            status: head.status,
            headers: head.headers.clone(),
            body,
            extensions: head.extensions.clone(),
            asked: keep.asked,
            age: keep.age,
            expires: self.clock.boot() + keep.ttl.min(kept.ttl),
        };
        kept.answers.insert(Arc::from(key), Arc::new(stored));
        failpoint::hit(Point::CacheKept);
    }

    /// Somebody has written to `route`: what was asked for until now is not served any more
    /// (RFC 9111, 4.4).
    pub fn written(&self, route: &str) {
        let now = self.clock.boot();
        self.written.write().unwrap_or_else(PoisonError::into_inner).insert(route.into(), now);
    }

    /// Says who fetches the answer under `key`: the first who asks leads, until it drops what it
    /// is given here, and all others follow.
    pub fn join(&self, key: &str) -> Flight {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key) {
            return Flight::Follow(flight.clone());
        }
        let (ended, follow) = watch::channel(());
        let name: Arc<str> = key.into();
        flights.insert(Arc::clone(&name), follow);
        Flight::Lead(Lead { flights: Arc::clone(&self.flights), name, _ended: ended })
    }

    /// How many answers were dropped for want of room, since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
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
            Ok((key, Arc::new(Stored::from_entry(entry, now, expires)?)))
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

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Response, StatusCode};

    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    const ANY: Use<'_> = Use { ttl: Duration::MAX, max_age: None, route: None };

    fn put(cache: &Cache, key: &str, head: &Parts, body: impl Into<Bytes>) {
        let asked = cache.clock.boot();
        let keep = Keep { asked, ttl: Duration::MAX, age: Duration::ZERO, max_body: MAX_BODY };
        cache.put(key, head, body.into(), keep);
    }

    fn cache(capacity: u64, ttl_s: u32) -> (Arc<ManualClock>, Cache) {
        let clock = Arc::new(ManualClock::default());
        (Arc::clone(&clock), Cache::new(clock, capacity, SECOND * ttl_s))
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
        put(&cache, "k", &head("1"), Bytes::from("body"));
        clock.advance(SECOND * 59);
        let stored = cache.get("k", ANY).unwrap();
        assert_eq!((stored.status, &stored.body[..]), (StatusCode::OK, &b"body"[..]));
        assert_eq!(stored.headers.get_all("x-a").iter().count(), 2);
        clock.advance(SECOND);
        assert!(cache.get("k", ANY).is_none());
        assert_eq!(cache.snapshot().entries, []);
    }

    #[test]
    fn a_snapshot_restores_the_same_answers_for_the_time_they_had_left() {
        let (clock, cache) = cache(10, 60);
        put(&cache, "b", &head("1"), Bytes::from("body"));
        clock.advance(SECOND * 20);
        put(&cache, "a", &head("1"), Bytes::new());
        let snapshot = cache.snapshot();
        let ttls: Vec<_> = snapshot.entries.iter().map(|e| (e.key.as_str(), e.ttl_ms)).collect();
        assert_eq!(ttls, [("a", 60_000), ("b", 40_000)]);
        put(&cache, "later", &head("1"), Bytes::new());
        clock.advance(SECOND * 60);
        assert_eq!(cache.restore(snapshot.clone()).unwrap(), 2);
        assert_eq!(cache.snapshot(), snapshot);
        assert!(cache.get("later", ANY).is_none());
        cache.clear();
        assert!(cache.is_empty());
    }

    #[test]
    fn a_faulty_snapshot_changes_nothing() {
        let (_, cache) = cache(10, 60);
        put(&cache, "k", &head("1"), Bytes::from("body"));
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
            put(&cache, &format!("k{n}"), &head("1"), Bytes::new());
        }
        assert!(cache.len() <= 4, "{}", cache.len());
        cache.clear();
        for n in 0..100 {
            put(&cache, &format!("k{n}"), &head("1"), Bytes::from(vec![0; 2 * UNIT - 100]));
        }
        assert!(cache.len() <= 2, "{}", cache.len());
        put(&cache, "huge", &head("1"), Bytes::from(vec![0; MAX_BODY + 1]));
        assert!(cache.get("huge", ANY).is_none());
    }

    #[test]
    fn a_shorter_time_to_live_holds_for_what_is_kept_already() {
        let (clock, cache) = cache(10, 60);
        put(&cache, "k", &head("1"), Bytes::from("body"));
        cache.configure(20, SECOND * 5);
        clock.advance(SECOND * 4);
        assert!(cache.get("k", ANY).is_some());
        clock.advance(SECOND);
        assert!(cache.get("k", ANY).is_none());
    }

    #[test]
    fn an_answer_is_used_only_for_what_it_is_good_for() {
        let (clock, cache) = cache(10, 60);
        let asked = cache.clock.boot();
        let (ttl, age) = (SECOND * 30, SECOND * 10);
        let keep = Keep { asked, ttl, age, max_body: 4 };
        cache.put("k", &head("1"), Bytes::from("body"), keep);
        cache.put("long", &head("1"), Bytes::from("bodies"), keep);
        assert!(cache.get("long", ANY).is_none(), "larger than its route keeps");
        clock.advance(SECOND * 5);
        assert_eq!(cache.get("k", ANY).unwrap().age(cache.clock.boot()), SECOND * 15);
        let young = |max: u32| Use { max_age: Some(SECOND * max), ..ANY };
        assert!(cache.get("k", young(15)).is_some() && cache.get("k", young(14)).is_none());
        let kept = |ttl: u32| Use { ttl: SECOND * ttl, ..ANY };
        assert!(cache.get("k", kept(6)).is_some() && cache.get("k", kept(5)).is_none());
        let entry = cache.snapshot().entries.remove(0);
        assert_eq!((entry.ttl_ms, entry.age_ms), (25_000, 15_000));
        clock.advance(SECOND * 25);
        assert!(cache.get("k", ANY).is_none());
    }

    #[test]
    fn what_was_asked_for_before_a_write_is_not_served_after_it() {
        let (clock, cache) = cache(10, 60);
        let of_home = Use { route: Some("home"), ..ANY };
        put(&cache, "k", &head("1"), "old");
        cache.written("other");
        assert!(cache.get("k", of_home).is_some());
        let asked_before = cache.clock.boot();
        clock.advance(SECOND);
        cache.written("home");
        assert!(cache.get("k", of_home).is_none());
        // Asked for before, it came after: nobody knows which side of the write it saw.
        clock.advance(SECOND);
        let (ttl, age) = (SECOND * 30, Duration::ZERO);
        let keep = Keep { asked: asked_before, ttl, age, max_body: MAX_BODY };
        cache.put("k", &head("1"), Bytes::from("old"), keep);
        assert!(cache.get("k", of_home).is_none());
        put(&cache, "k", &head("1"), "new");
        assert_eq!(&cache.get("k", of_home).unwrap().body[..], b"new");
    }

    #[test]
    fn one_leads_and_the_others_follow_until_it_ends() {
        let (_, cache) = cache(10, 60);
        let Flight::Lead(lead) = cache.join("k") else { panic!("nobody else is there") };
        let Flight::Follow(follow) = cache.join("k") else { panic!("somebody leads") };
        assert!(matches!(cache.join("other"), Flight::Lead(_)));
        assert!(follow.has_changed().is_ok());
        drop(lead);
        assert!(follow.has_changed().is_err(), "it has ended");
        assert!(matches!(cache.join("k"), Flight::Lead(_)));
    }

    #[test]
    fn what_is_dropped_for_want_of_room_is_counted() {
        let (_, cache) = cache(4, 60);
        for n in 0..100 {
            put(&cache, &format!("k{n}"), &head("1"), Bytes::new());
        }
        let left = cache.len();
        assert_eq!(cache.evicted(), 100 - left);
    }
}
