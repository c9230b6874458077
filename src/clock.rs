//! Time as a value that is handed in: the wall clock for display, a monotonic clock for deadlines.
//!
//! Deadlines use `CLOCK_BOOTTIME`, which goes on while a laptop sleeps; `Instant` on Linux does
//! not, and a lease that stands still during suspend is not a lease. The wall clock is for people
//! and for timestamps that senders signed; nothing is ever ordered by it.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds since the Unix epoch, for display and for the ledger's `at` column.
pub type WallMs = i64;

/// Where time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock, for display only.
    fn wall(&self) -> DateTime<Utc>;
    /// Time since boot, suspend included: for deadlines and durations.
    fn boot(&self) -> Duration;
}

/// The wall clock in seconds since the Unix epoch.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of the epoch are below 2^52")]
pub fn epoch_seconds(clock: &dyn Clock) -> f64 {
    clock.wall().timestamp_millis() as f64 / 1000.0
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// A clock that a test moves by hand. It begins at 2029-12-31 23:00 UTC, one hour after boot.
#[derive(Debug)]
pub struct ManualClock {
    elapsed_ms: AtomicU64,
    /// How far the wall clock was set away from where it would be.
    leapt_ms: AtomicI64,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self { elapsed_ms: AtomicU64::new(3_600_000), leapt_ms: AtomicI64::new(0) }
    }
}

impl ManualClock {
    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("a test's time fits");
        self.elapsed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock forward or back, as a person or a time server does.
    pub fn leap(&self, by_ms: i64) {
        self.leapt_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> DateTime<Utc> {
        let ms = i64::try_from(self.elapsed_ms.load(Ordering::SeqCst)).expect("a test's time fits");
        from_wall_ms(1_893_452_400_000 - 3_600_000 + ms + self.leapt_ms.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms.load(Ordering::SeqCst))
    }
}

/// Notices when the wall clock is set: it and the monotonic clock then disagree about how long ago
/// the last look was. A machine that slept is no such case, because both go on while it sleeps.
#[derive(Debug, Default)]
pub struct Leaps {
    /// The wall clock minus the monotonic one, at the last look.
    ahead_ms: Option<i64>,
}

impl Leaps {
    /// The least that is worth a word; a time server that corrects a good clock moves it less.
    const LEAST_MS: i64 = 5000;

    /// How far the wall clock was set since the last look, when it is more than 5 s either way.
    pub fn look(&mut self, clock: &dyn Clock) -> Option<i64> {
        let boot_ms = i64::try_from(clock.boot().as_millis()).unwrap_or(i64::MAX);
        let ahead_ms = clock.wall().timestamp_millis().saturating_sub(boot_ms);
        let before = self.ahead_ms.replace(ahead_ms)?;
        let leapt = ahead_ms.saturating_sub(before);
        (leapt.saturating_abs() > Self::LEAST_MS).then_some(leapt)
    }
}

/// The instant as RFC 3339 in UTC with milliseconds, as every machine-readable output has it.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The instant that many milliseconds after the epoch; out of range gives the epoch itself.
pub fn from_wall_ms(ms: WallMs) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// How plan time maps to real time: 1 outside a rehearsal, more than 1 within one.
///
/// A rehearsal divides every soak by the same factor, and multiplies what it counts in plan time
/// (uptime, MTTR, MTBF) by it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tempo(f64);

impl Default for Tempo {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Tempo {
    /// Makes a tempo that runs `factor` times faster than the plan says.
    ///
    /// `None` for a factor below 1, above 10^9, or not a number.
    pub fn new(factor: f64) -> Option<Self> {
        (1.0..=1e9).contains(&factor).then_some(Self(factor))
    }

    /// How many times faster than the plan.
    pub fn factor(self) -> f64 {
        self.0
    }

    /// The real time that a duration of the plan takes.
    pub fn to_real(self, plan: Duration) -> Duration {
        plan.div_f64(self.0)
    }

    /// The plan time that a real duration stands for.
    pub fn to_plan(self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() * self.0).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_compresses_in_proportion() {
        let tempo = Tempo::new(3600.0).unwrap();
        assert_eq!(tempo.to_real(Duration::from_secs(86_400)), Duration::from_secs(24));
        assert_eq!(tempo.to_plan(Duration::from_secs(24)), Duration::from_secs(86_400));
        assert_eq!(Tempo::new(0.0), None);
        assert_eq!(Tempo::new(f64::NAN), None);
    }

    #[test]
    fn a_wall_clock_that_is_set_is_noticed_once() {
        let (clock, mut leaps) = (ManualClock::default(), Leaps::default());
        assert_eq!(leaps.look(&clock), None, "there is nothing to compare with yet");
        clock.advance(Duration::from_secs(7 * 3600));
        assert_eq!(leaps.look(&clock), None, "a laptop that slept");
        clock.leap(5000);
        assert_eq!(leaps.look(&clock), None, "not worth a word");
        clock.leap(3_600_000);
        clock.advance(Duration::from_secs(1));
        assert_eq!((leaps.look(&clock), leaps.look(&clock)), (Some(3_600_000), None));
        clock.leap(-86_400_000);
        assert_eq!((leaps.look(&clock), leaps.look(&clock)), (Some(-86_400_000), None));
    }

    #[test]
    fn boot_time_never_goes_back() {
        let (a, b) = (SystemClock.boot(), SystemClock.boot());
        assert!(b >= a);
    }
}
