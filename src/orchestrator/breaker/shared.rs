//! The breakers of all upstreams, as the gateway's workers share them.
//!
//! The law: whoever asks a closed breaker takes no lock; and a request that may be heard of tells
//! its outcome once, or, when it is dropped, that there is none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Breaker, Settings, Verdict};
use crate::clock::Clock;
use crate::control::config::Upstream;
use crate::control::observe::{BreakerState, BreakerView};

/// Whom a breaker that is not closed holds back.
const NOBODY: u8 = 0;
const THE_INCLUDED: u8 = 1;
const EVERYBODY: u8 = 2;

/// The breaker of an upstream at one place, as workers share it.
#[derive(Debug, Default)]
pub struct Shared {
    /// Whom it holds back: while that is nobody, nobody need take the lock to ask.
    tripped: AtomicU8,
    breaker: Mutex<Breaker>,
}

impl Shared {
    /// Whether a request may go there. `included` is whether the flag for breakers includes its
    /// sender; one that was opened by hand holds for all others, too.
    pub fn ask(&self, settings: &Settings, now: Duration, included: bool) -> Verdict {
        let tripped = self.tripped.load(Ordering::Relaxed);
        if tripped == NOBODY || (tripped == THE_INCLUDED && !included) {
            return Verdict::Go;
        }
        self.lock().ask(settings, now)
    }

    /// Whether everybody's requests go to the upstream, and no probe is wanted.
    pub fn is_closed(&self) -> bool {
        self.tripped.load(Ordering::Relaxed) == NOBODY
    }

    /// Does something to it, and says so when it turns.
    fn turn(&self, upstream: &str, act: impl FnOnce(&mut Breaker)) {
        let mut breaker = self.lock();
        let before = breaker.state();
        act(&mut breaker);
        let after = breaker.state();
        let tripped = match after {
            BreakerState::Closed => NOBODY,
            _ if breaker.forced => EVERYBODY,
            _ => THE_INCLUDED,
        };
        self.tripped.store(tripped, Ordering::Relaxed);
        if before != after {
            tracing::warn!(upstream, from = ?before, to = ?after, "its breaker has turned");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that was sent to an upstream, and what its breaker is told of it. Dropped without a
/// word, it says that the client went away.
pub struct Asked {
    breaker: Arc<Shared>,
    upstream: Arc<str>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    probe: bool,
    /// Whether failures open the breaker, or are only counted.
    opens: bool,
    told: bool,
}

impl Asked {
    /// A request on its way, by leave of `verdict`. With `opens`, its failure may open the breaker.
    pub fn new(
        breaker: &Arc<Shared>,
        upstream: &Arc<str>,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        (verdict, opens): (Verdict, bool),
    ) -> Self {
        Self {
            breaker: Arc::clone(breaker),
            upstream: Arc::clone(upstream),
            settings: settings.clone(),
            clock: Arc::clone(clock),
            probe: verdict == Verdict::Probe,
            opens,
            told: false,
        }
    }

    /// Tells how the answer was.
    pub fn tell(mut self, failed: bool) {
        self.told = true;
        let (now, Self { settings, probe, .. }) = (self.clock.boot(), &self);
        self.breaker.turn(&self.upstream, |breaker| {
            if self.opens || *probe {
                breaker.tell(settings, now, *probe, failed);
            } else {
                breaker.note(settings, now, failed);
            }
        });
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.probe && !self.told {
            self.breaker.turn(&self.upstream, |breaker| breaker.forget(true));
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// Where an upstream is: its name and its URL.
type Place = (String, String);

/// The breakers of all upstreams of the configuration.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<BTreeMap<Place, Arc<Shared>>>);

impl Breakers {
    /// Keeps the breakers of these upstreams where they are, and no others.
    pub fn follow(&self, upstreams: &BTreeMap<String, Upstream>) {
        self.lock().retain(|(name, url), _| {
            upstreams.get(name).is_some_and(|upstream| upstream.url == *url)
        });
    }

    /// The breaker of an upstream at a place; a new one for a place that is new.
    pub fn of(&self, name: &str, url: &str) -> Arc<Shared> {
        Arc::clone(self.lock().entry((name.to_owned(), url.to_owned())).or_default())
    }

    /// Opens the breaker of an upstream for a while, for everybody.
    pub fn force_open(&self, upstream: &str, now: Duration, lasts: Duration) {
        for ((name, _), shared) in self.lock().iter().filter(|((name, _), _)| name == upstream) {
            shared.turn(name, |breaker| breaker.force_open(now, lasts));
        }
    }

    /// Closes those that were opened by hand: what they held back is let go.
    pub fn release(&self) {
        for ((name, _), shared) in self.lock().iter() {
            shared.turn(name, Breaker::release);
        }
    }

    /// How each stands that has been told of something.
    pub fn view(&self, settings: &Settings, now: Duration) -> Vec<BreakerView> {
        let view = |((name, _), shared): (&Place, &Arc<Shared>)| {
            let mut breaker = shared.lock();
            let (requests, failures) = breaker.within(settings, now);
            let (state, forced) = (breaker.state(), breaker.forced);
            let told = requests > 0 || state != BreakerState::Closed || breaker.known;
            told.then(|| BreakerView { upstream: name.clone(), state, forced, requests, failures })
        };
        self.lock().iter().filter_map(view).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Arc<Shared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, settings};
    use super::*;
    use crate::clock::ManualClock;

    /// What a worker does with one request.
    fn request(shared: &Arc<Shared>, clock: &Arc<ManualClock>, included: bool) -> Verdict {
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let verdict = shared.ask(&settings(), clock.boot(), included);
        if verdict != Verdict::Stop {
            let leave = (verdict, false);
            Asked::new(shared, &"legacy".into(), &settings(), &clock, leave).tell(false);
        }
        verdict
    }

    #[test]
    fn what_is_opened_by_hand_is_open_for_everybody() {
        let (breakers, clock) = (Breakers::default(), Arc::new(ManualClock::default()));
        let (legacy, other) = (breakers.of("legacy", "http://a"), breakers.of("other", "http://b"));
        assert_eq!(request(&legacy, &clock, true), Verdict::Go);
        breakers.force_open("legacy", clock.boot(), Duration::from_secs(3));
        for included in [true, false] {
            assert_eq!(request(&legacy, &clock, included), Verdict::Stop);
        }
        assert_eq!(request(&other, &clock, true), Verdict::Go);
        let view = &breakers.view(&settings(), clock.boot())[0];
        assert!(view.state == BreakerState::Open && view.forced);
        clock.advance(Duration::from_secs(3));
        for _ in 0..2 {
            assert_eq!(request(&legacy, &clock, false), Verdict::Probe);
        }
        assert_eq!(request(&legacy, &clock, false), Verdict::Go);
        let view = &breakers.view(&settings(), clock.boot())[0];
        assert!(view.state == BreakerState::Closed && !view.forced);
    }

    #[test]
    fn what_was_opened_by_hand_is_let_go_and_nothing_else() {
        let (breakers, clock) = (Breakers::default(), Arc::new(ManualClock::default()));
        let (legacy, other) = (breakers.of("legacy", "http://a"), breakers.of("other", "http://b"));
        breakers.force_open("legacy", clock.boot(), Duration::from_secs(3));
        other.turn("other", |breaker| breaker.open(&settings(), clock.boot()));
        breakers.release();
        assert_eq!(request(&legacy, &clock, true), Verdict::Go);
        assert_eq!(request(&other, &clock, true), Verdict::Stop);
    }

    #[test]
    fn where_nobody_is_included_failures_are_counted_and_open_nothing() {
        let (breakers, clock) = (Breakers::default(), Arc::new(ManualClock::default()));
        let legacy = breakers.of("legacy", "http://a");
        let (name, clock) = ("legacy".into(), clock as Arc<dyn Clock>);
        for _ in 0..50 {
            Asked::new(&legacy, &name, &settings(), &clock, (Verdict::Go, false)).tell(true);
        }
        let view = &breakers.view(&settings(), clock.boot())[0];
        assert_eq!((view.state, view.requests, view.failures), (BreakerState::Closed, 50, 50));
    }

    #[test]
    fn an_upstream_that_moves_leaves_its_open_breaker_behind() {
        let breakers = Breakers::default();
        let at_a = breakers.of("legacy", "http://a");
        breakers.force_open("legacy", at(0), Duration::from_secs(3));
        assert_eq!(breakers.of("legacy", "http://b").ask(&settings(), at(0), true), Verdict::Go);
        assert_eq!(at_a.ask(&settings(), at(0), true), Verdict::Stop, "it is open still");
        let moved = BTreeMap::from([("legacy".to_owned(), Upstream::at("http://b"))]);
        breakers.follow(&moved);
        assert!(breakers.view(&settings(), at(0)).is_empty());
        assert_eq!(breakers.of("legacy", "http://a").ask(&settings(), at(0), true), Verdict::Go);
    }
}
