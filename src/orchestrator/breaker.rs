//! Circuit breakers: an upstream that fails is not asked for a while.
//!
//! The law: a breaker opens on a share of failures over time, never on a count alone; while it is
//! open nobody waits for what will fail; and it closes only when the upstream has answered well a
//! few times in a row, asked by one request at a time. An answer is good when its last byte was
//! good. A request whose client went away says nothing, and makes room for the next probe.
//!
//! [`Breaker`] is pure: it is told of outcomes and of the time. [`Breakers`] holds one for each
//! place that an upstream is at, shared by all gateway workers, so one that is moved begins anew.
//! Asking a closed one is a load. A request that may be heard of carries an [`Asked`], which tells
//! the outcome or, when it is dropped, that there is none. The shape is that of Nygard, *Release
//! It!* (2nd ed., 2018, "Circuit Breaker"), with a window of time instead of a count of failures
//! in a row.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::control::config::{Breaker as Settings, Upstream};
use crate::control::observe::{BreakerState, BreakerView};

/// Into how many parts the window is divided: what is older leaves it part by part.
const PARTS: u32 = 10;
/// The longest that a breaker stays open after probes that failed.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a request may go to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// It may go, and what becomes of it decides whether others may.
    Probe,
    /// The upstream is not asked for now.
    Stop,
}

/// Failures within a part of the window.
#[derive(Clone, Copy, Debug)]
struct Part {
    began: Duration,
    requests: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Duration,
    },
    /// So many probes have gone well, and one is under way since then.
    HalfOpen {
        good: u32,
        probing: Option<Duration>,
    },
}

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    phase: Phase,
    parts: VecDeque<Part>,
    /// How often in a row it has opened without having closed.
    opened: u32,
    /// Whether it was opened by hand: then it holds for everybody until it closes.
    forced: bool,
    /// Whether it was ever told of anything.
    known: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            phase: Phase::Closed,
            parts: VecDeque::new(),
            opened: 0,
            forced: false,
            known: false,
        }
    }
}

impl Breaker {
    /// Whether a request may go to the upstream at `now`.
    pub fn ask(&mut self, settings: &Settings, now: Duration) -> Verdict {
        match &mut self.phase {
            Phase::Closed => Verdict::Go,
            Phase::Open { until } if now < *until => Verdict::Stop,
            Phase::Open { .. } => {
                self.phase = Phase::HalfOpen { good: 0, probing: Some(now) };
                Verdict::Probe
            }
            // A probe of which nobody ever hears again must not keep it half open for ever.
            Phase::HalfOpen { probing: Some(since), .. }
                if now < *since + settings.open_for.max(settings.window) =>
            {
                Verdict::Stop
            }
            Phase::HalfOpen { probing, .. } => {
                *probing = Some(now);
                Verdict::Probe
            }
        }
    }

    /// Counts a request that ended at `now`, whether or not anybody acts upon it.
    pub fn note(&mut self, settings: &Settings, now: Duration, failed: bool) {
        if self.phase == Phase::Closed {
            self.count(settings, now, failed);
        }
    }

    /// Tells that nothing became of a request: its client went away.
    pub fn forget(&mut self, probe: bool) {
        if let Phase::HalfOpen { probing, .. } = &mut self.phase
            && probe
        {
            *probing = None;
        }
    }

    /// Tells what became of a request that was sent at whatever time, and ended at `now`.
    pub fn tell(&mut self, settings: &Settings, now: Duration, probe: bool, failed: bool) {
        match self.phase {
            Phase::Closed => {
                self.note(settings, now, failed);
                let (requests, failures) = self.within(settings, now);
                let share = f64::from(failures) / f64::from(requests.max(1));
                if requests >= settings.min_requests.max(1)
                    && share >= settings.max_failures.ratio()
                {
                    self.open(settings, now);
                }
            }
            Phase::HalfOpen { good, .. } if probe && !failed => {
                if good + 1 >= settings.probes {
                    *self = Self { known: true, ..Self::default() };
                } else {
                    self.phase = Phase::HalfOpen { good: good + 1, probing: None };
                }
            }
            Phase::HalfOpen { .. } if probe => self.open(settings, now),
            // What was sent before it opened decides nothing any more.
            Phase::Open { .. } | Phase::HalfOpen { .. } => {}
        }
    }

    /// Opens it for everybody, whatever was counted; it closes as any other does.
    pub fn force_open(&mut self, now: Duration, lasts: Duration) {
        self.open_until(now + lasts);
        self.opened = self.opened.max(1);
        self.forced = true;
    }

    fn open_until(&mut self, until: Duration) {
        self.phase = Phase::Open { until };
        self.parts.clear();
    }

    fn open(&mut self, settings: &Settings, now: Duration) {
        let doubled = settings.open_for.saturating_mul(1 << self.opened.min(16));
        let lasts = doubled.min(LONGEST.max(settings.open_for));
        self.opened += 1;
        self.open_until(now + lasts);
    }

    fn count(&mut self, settings: &Settings, now: Duration, failed: bool) {
        self.known = true;
        let length = settings.window / PARTS;
        match self.parts.back_mut() {
            Some(part) if now < part.began + length => {
                part.requests += 1;
                part.failures += u32::from(failed);
            }
            _ => {
                self.parts.push_back(Part { began: now, requests: 1, failures: failed.into() });
            }
        }
    }

    /// Requests and failures within the window.
    fn within(&mut self, settings: &Settings, now: Duration) -> (u32, u32) {
        let oldest = now.saturating_sub(settings.window);
        while self.parts.front().is_some_and(|part| part.began < oldest) {
            self.parts.pop_front();
        }
        let add = |(requests, failures), part: &Part| {
            (requests + part.requests, failures + part.failures)
        };
        self.parts.iter().fold((0, 0), add)
    }

    fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

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
    use proptest::prelude::*;

    use super::*;
    use crate::clock::ManualClock;
    use crate::units::Percent;

    fn settings() -> Settings {
        Settings {
            window: Duration::from_secs(10),
            min_requests: 10,
            max_failures: Percent::whole(50),
            open_for: Duration::from_secs(5),
            probes: 2,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    /// One that has just opened, at 0.
    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.tell(&settings(), at(0), false, true);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_on_a_share_of_enough_requests() {
        let (mut few, mut some) = (Breaker::default(), Breaker::default());
        for _ in 0..9 {
            few.tell(&settings(), at(0), false, true);
        }
        assert_eq!(few.state(), BreakerState::Closed, "nine say nothing");
        for n in 0..30 {
            some.tell(&settings(), at(0), false, n % 3 == 0);
        }
        assert_eq!(some.state(), BreakerState::Closed, "a third is not half");
    }

    #[test]
    fn what_is_old_does_not_count() {
        let mut breaker = Breaker::default();
        for second in 0..9 {
            breaker.tell(&settings(), at(second), false, true);
        }
        for second in 20..29 {
            breaker.tell(&settings(), at(second), false, true);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn it_asks_again_one_at_a_time_and_closes_after_good_answers() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(&settings(), at(4)), Verdict::Stop);
        assert_eq!(breaker.ask(&settings(), at(5)), Verdict::Probe);
        assert_eq!(breaker.ask(&settings(), at(5)), Verdict::Stop, "one is under way");
        breaker.tell(&settings(), at(5), false, true);
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "that one was sent before");
        breaker.tell(&settings(), at(6), true, false);
        assert_eq!(breaker.ask(&settings(), at(6)), Verdict::Probe);
        breaker.tell(&settings(), at(6), true, false);
        assert_eq!(breaker.ask(&settings(), at(6)), Verdict::Go);
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_minute() {
        let mut breaker = opened();
        let mut now = at(5);
        for lasts in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.ask(&settings(), now), Verdict::Probe);
            breaker.tell(&settings(), now, true, true);
            assert_eq!(
                breaker.ask(&settings(), now + Duration::from_secs(lasts - 1)),
                Verdict::Stop
            );
            now += Duration::from_secs(lasts);
        }
    }

    #[test]
    fn a_probe_that_is_never_heard_of_does_not_keep_it_half_open() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(&settings(), at(5)), Verdict::Probe);
        assert_eq!(breaker.ask(&settings(), at(14)), Verdict::Stop);
        assert_eq!(breaker.ask(&settings(), at(15)), Verdict::Probe);
    }

    #[test]
    fn a_probe_whose_client_went_away_makes_room_for_the_next() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(&settings(), at(5)), Verdict::Probe);
        breaker.forget(true);
        assert_eq!(breaker.ask(&settings(), at(5)), Verdict::Probe);
        breaker.forget(false);
        assert_eq!(
            breaker.ask(&settings(), at(5)),
            Verdict::Stop,
            "another request than the probe"
        );
    }

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

    proptest! {
        /// Whatever happens, an upstream that answers well again is asked by everybody again.
        #[test]
        fn it_always_recovers(past in prop::collection::vec((0_u64..20, any::<bool>()), 0..300)) {
            let (mut breaker, mut now) = (Breaker::default(), at(0));
            for (pause, failed) in past {
                now += Duration::from_secs(pause);
                match breaker.ask(&settings(), now) {
                    Verdict::Stop => {}
                    verdict => {
                        breaker.tell(&settings(), now, verdict == Verdict::Probe, failed);
                    }
                }
            }
            for _ in 0..3 {
                now += LONGEST;
                let verdict = breaker.ask(&settings(), now);
                prop_assert_ne!(verdict, Verdict::Stop);
                for _ in 0..20 {
                    breaker.tell(&settings(), now, verdict == Verdict::Probe, false);
                }
            }
            prop_assert_eq!(breaker.ask(&settings(), now), Verdict::Go);
        }
    }
}
