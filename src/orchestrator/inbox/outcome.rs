//! What follows from an attempt to have an event handled. Pure.
//!
//! The wait doubles from attempt to attempt up to a limit, and is drawn between half of it and all
//! of it ("equal jitter"): events that failed together come back apart, and none of them by chance
//! at once. Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use super::{Kept, Mark};
use crate::clock::WallMs;
use crate::control::config::Inbox;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The handler answered.
    Status(u16),
    /// No handler answered, and why.
    Unanswered(String),
}

/// Whether a handler's status says that it may go better another time.
pub fn is_failure(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// What becomes of an event after an attempt that ended at `now_ms`.
///
/// `chance` is drawn at random, in 0..=1; `real` turns the settings' durations into real ones.
pub fn after(
    attempt: &Attempt,
    kept: &Kept,
    settings: &Inbox,
    now_ms: WallMs,
    chance: f64,
    real: impl Fn(Duration) -> Duration,
) -> Mark {
    let (answered, why) = match attempt {
        Attempt::Status(200..300) => return Mark::Handled,
        Attempt::Status(status) => (true, format!("the handler answered {status}")),
        Attempt::Unanswered(why) => (false, why.clone()),
    };
    let refused = matches!(attempt, Attempt::Status(status) if !is_failure(*status));
    let answers = kept.answered + u32::from(answered);
    let age = now_ms.saturating_sub(kept.since_ms);
    if refused {
        Mark::Dead { answered, why: format!("{why}: it does not want it") }
    } else if answers >= settings.max_attempts.max(1) {
        Mark::Dead { answered, why: format!("{why}; it failed {answers} times") }
    } else if age >= millis(real(settings.give_up)) {
        Mark::Dead { answered, why: format!("{why}; it was tried for too long") }
    } else {
        let wait = wait(kept.attempts, settings, chance);
        Mark::Retry { due_ms: now_ms.saturating_add(millis(real(wait))), answered, why }
    }
}

/// How long to wait after the attempt with this number, which counts from 0.
fn wait(attempt: u32, settings: &Inbox, chance: f64) -> Duration {
    let doubled = settings.first_retry.saturating_mul(1_u32 << attempt.min(30));
    let longest = doubled.min(settings.max_retry);
    longest / 2 + (longest / 2).mul_f64(chance.clamp(0.0, 1.0))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Event;
    use super::*;

    fn kept(attempts: u32, answered: u32) -> Kept {
        let event = Event {
            source: "github".to_owned(),
            delivery: None,
            body_hash: String::new(),
            target: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            received_ms: 0,
        };
        Kept { id: 1, event, since_ms: 0, attempts, answered }
    }

    fn decide(attempt: &Attempt, kept: &Kept, now_ms: WallMs, chance: f64) -> Mark {
        after(attempt, kept, &Inbox::default(), now_ms, chance, |plan| plan)
    }

    #[test]
    fn only_a_good_answer_ends_it_well() {
        for (status, handled, dead) in [
            (200, true, false),
            (204, true, false),
            (301, false, true),
            (400, false, true),
            (404, false, true),
            (408, false, false),
            (429, false, false),
            (500, false, false),
            (503, false, false),
        ] {
            let mark = decide(&Attempt::Status(status), &kept(0, 0), 0, 0.0);
            assert_eq!(mark == Mark::Handled, handled, "{status}");
            assert_eq!(matches!(mark, Mark::Dead { .. }), dead, "{status}");
        }
    }

    #[test]
    fn an_event_that_handlers_fail_on_dies_and_one_that_reaches_none_waits() {
        let failed = Attempt::Status(500);
        let Mark::Dead { why, .. } = decide(&failed, &kept(30, 11), 0, 0.0) else {
            panic!("twelve failures are enough")
        };
        assert_eq!(why, "the handler answered 500; it failed 12 times");
        let unreached = Attempt::Unanswered("it cannot be reached".to_owned());
        let waits = decide(&unreached, &kept(1000, 11), 60_000, 0.0);
        assert!(matches!(waits, Mark::Retry { answered: false, .. }), "{waits:?}");
        let late = decide(&unreached, &kept(1000, 0), 24 * 3_600_000, 0.0);
        assert!(matches!(late, Mark::Dead { .. }), "{late:?}");
    }

    proptest! {
        #[test]
        fn waits_grow_within_their_bounds(attempt in 0_u32..100, chance in 0.0..=1.0) {
            let settings = Inbox::default();
            let now = wait(attempt, &settings, chance);
            prop_assert!(now >= settings.first_retry / 2);
            prop_assert!(now <= settings.max_retry);
            prop_assert!(wait(attempt + 1, &settings, chance) >= now);
        }
    }
}
