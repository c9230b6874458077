//! A run as plain lines on stderr: for logs, for CI, and wherever bars cannot move.

use super::pulse::{self, Pace};
use super::{Observer, Tick};
use crate::clock::WallMs;
use crate::error::{Code, Failure};
use crate::ledger::fact::{Fact, Recorded};
use crate::report::Place;
use crate::report::page::clean;
use crate::report::sentence::{Level, level, sentence};
use crate::report::words;
use crate::ui::{Paint, Sink, Worth};

/// One line for each change of state, and a heartbeat in between.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    color: bool,
    place: Option<Place>,
    /// Said with the next fact, which has a time.
    taken_up: Option<String>,
    pace: Pace,
}

impl<W: Sink> Lines<W> {
    /// Writes to `out`. What it does not take is left out: the run goes on when nobody reads.
    pub fn new(out: W, color: bool) -> Self {
        Self { out, color, place: None, taken_up: None, pace: Pace::default() }
    }

    fn say(&mut self, at_ms: WallMs, level: Level, what: &str) {
        self.put(Worth::Record, at_ms, level, what);
    }

    fn put(&mut self, worth: Worth, at_ms: WallMs, level: Level, what: &str) {
        self.pace.spoken(at_ms);
        let head = head(at_ms, self.place.as_ref());
        let what = clean(what);
        let what = paint(level).map_or(what.clone(), |paint| paint.apply(self.color, &what));
        self.out.put(worth, &format!("{head}  {what}\n"));
    }
}

impl<W: Sink> Observer for Lines<W> {
    fn resumed(&mut self, facts: &[Recorded]) {
        self.place = Place::of(facts);
        self.taken_up = self.place.as_ref().map(taken_up);
    }

    fn fact(&mut self, recorded: &Recorded) {
        if let Some(what) = self.taken_up.take() {
            self.say(recorded.at_ms, Level::Info, &what);
        }
        follow(&mut self.place, recorded);
        let level = level(&recorded.fact);
        if level != Level::Debug {
            self.say(recorded.at_ms, level, &sentence(&recorded.fact));
        }
    }

    fn tick(&mut self, tick: &Tick) {
        if self.pace.due(tick) {
            let what = pulse::sentence(self.place.as_ref(), tick);
            self.put(Worth::Passing, tick.at_ms, Level::Info, &what);
        }
    }

    fn end(&mut self, _: Result<Code, &Failure>) {}
}

/// Takes a fact into the place; the first fact of a run begins a new one.
pub(super) fn follow(place: &mut Option<Place>, recorded: &Recorded) {
    match (&recorded.fact, place.as_mut()) {
        (Fact::RunBegun(_), _) => *place = Place::begin(recorded),
        (_, Some(place)) => place.see(recorded),
        (_, None) => {}
    }
}

/// The sentence that a run is taken up again.
pub(super) fn taken_up(place: &Place) -> String {
    let run = place.run.as_ref().map(ToString::to_string).unwrap_or_default();
    match &place.at {
        Some(at) => format!("run {run} taken up at step {at}, {}", place.activity()),
        None => format!("run {run} taken up before its first step"),
    }
}

/// What stands before a sentence: `12:03:04Z phase 2 performance`.
pub(super) fn head(at_ms: WallMs, place: Option<&Place>) -> String {
    let time = words::time_of_day(at_ms);
    match place.map(Place::phase) {
        Some(phase) => format!("{time} phase {} {}", phase.number, phase.id),
        None => time,
    }
}

/// The colour of a level.
pub(super) fn paint(level: Level) -> Option<Paint> {
    match level {
        Level::Debug | Level::Info => None,
        Level::Warning => Some(Paint::Warn),
        Level::Error => Some(Paint::Bad),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::*;
    use crate::control::wire::Fence;
    use crate::judge::guard::Look;
    use crate::progress::{Glance, Soak};
    use crate::report::fixture::{breached, soaking};

    fn told(tell: impl FnOnce(&mut Lines<Vec<u8>>)) -> String {
        let mut lines = Lines::new(Vec::new(), false);
        tell(&mut lines);
        String::from_utf8(lines.out).unwrap()
    }

    #[test]
    fn a_run_that_is_rolled_back_reads_as_a_story() {
        let text = told(|lines| {
            for fact in breached() {
                lines.fact(&fact);
            }
        });
        assert_snapshot!(text, @"
        12:00:00Z phase 2 performance  migration of phase 2 `performance` begun by ann@build-7 on revision 41: week 3
        12:00:01Z phase 2 performance  backup `b-20300101-1200-a1b2` begun
        12:00:04Z phase 2 performance  backup `b-20300101-1200-a1b2` taken and verified: 1.2 MiB in .ctx/backups/b-20300101-1200-a1b2
        12:00:05Z phase 2 performance  step pool-ramp 1/4 applied as revision 42, provisional
        12:00:05Z phase 2 performance  step pool-ramp 1/4 soaks for 30m
        12:30:05Z phase 2 performance  step pool-ramp 1/4 soaked, the guards held in 1800 looks
        12:30:05Z phase 2 performance  step pool-ramp 1/4 confirmed as revision 42
        12:30:06Z phase 2 performance  step pool-ramp 2/4 applied as revision 43, provisional
        12:30:06Z phase 2 performance  step pool-ramp 2/4 soaks for 30m
        12:42:06Z phase 2 performance  guard `error-rate` breached at step pool-ramp 2/4: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
        12:42:06Z phase 2 performance  rollback begun: guard `error-rate`: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
        12:42:06Z phase 2 performance  revision 43 reverted, revision 44 is in force
        12:42:07Z phase 2 performance  read back: revision 45 equals the configuration from before
        12:42:07Z phase 2 performance  run ended, rolled back: guard `error-rate`: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
        ");
    }

    #[test]
    fn a_soak_has_a_heartbeat_and_a_suspect_guard_is_named() {
        let facts = soaking();
        let from = facts.last().unwrap().at_ms;
        let text = told(|lines| {
            lines.resumed(&facts);
            let fence = Fence { counter: 8, id: "00ff".repeat(4) };
            let fact = Fact::LeaseTaken { fence, anchor: None, pid: 4712 };
            lines.fact(&Recorded { seq: 60, at_ms: from, run: None, fact });
            for second in 1..=62 {
                let look = match second {
                    40 => Look::Suspect(
                        "error_rate 6.2% (n=124), limit at most 5%, breach 1 of 3".into(),
                    ),
                    _ => Look::Held("error_rate 0.2% (n=120), limit at most 5%".into()),
                };
                lines.tick(&Tick {
                    at_ms: from + second * 1000,
                    soak: Some(Soak {
                        elapsed: Duration::from_secs(u64::try_from(second).unwrap()),
                        total: Duration::from_secs(1800),
                    }),
                    guards: vec![Glance { guard: "error-rate".parse().unwrap(), look }],
                    waiting: None,
                });
            }
        });
        assert_snapshot!(text, @"
        12:30:06Z phase 2 performance  run 22222222 taken up at step pool-ramp 2/4, soaks for 30m
        12:30:36Z phase 2 performance  step pool-ramp 2/4 at 25% soaked 30s of 30m, 29m30s left; 1 guard holds
        12:30:46Z phase 2 performance  step pool-ramp 2/4 at 25% soaked 40s of 30m, 29m20s left; guard error-rate suspect: error_rate 6.2% (n=124), limit at most 5%, breach 1 of 3
        ");
    }
}
