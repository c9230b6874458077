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

mod shared;

use std::collections::VecDeque;
use std::time::Duration;

pub use self::shared::{Asked, Breakers, Shared};
use crate::control::config::Breaker as Settings;
use crate::control::observe::BreakerState;

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

    /// Closes it, and forgets what was counted, if it was opened by hand.
    pub fn release(&mut self) {
        if self.forced {
            *self = Self { known: true, ..Self::default() };
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::Percent;

    pub(super) fn settings() -> Settings {
        Settings {
            window: Duration::from_secs(10),
            min_requests: 10,
            max_failures: Percent::whole(50),
            open_for: Duration::from_secs(5),
            probes: 2,
        }
    }

    pub(super) fn at(seconds: u64) -> Duration {
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
