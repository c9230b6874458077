//! What there is to say between two facts, and how often it is said.

use super::{Glance, Tick};
use crate::clock::WallMs;
use crate::error::count;
use crate::judge::guard::Look;
use crate::report::Place;
use crate::report::words;

/// Silence that is broken by a heartbeat: long enough not to fill a CI log, short enough that
/// nobody takes the run for dead.
const CALM_MS: WallMs = 30_000;
/// The same while a guard is outside its limit, or the run waits for something.
const UNEASY_MS: WallMs = 5000;

/// When something was said last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    spoken_ms: Option<WallMs>,
    uneasy: bool,
}

impl Pace {
    /// Something is said now.
    pub(super) fn spoken(&mut self, at_ms: WallMs) {
        self.spoken_ms = Some(at_ms);
    }

    /// Whether this tick is to be said: the silence was long enough, or just became uneasy.
    pub(super) fn due(&mut self, tick: &Tick) -> bool {
        let uneasy = tick.waiting.is_some() || tick.guards.iter().any(is_suspect);
        let turned = uneasy && !std::mem::replace(&mut self.uneasy, uneasy);
        let bound = if uneasy { UNEASY_MS } else { CALM_MS };
        // The first tick starts the silence; after a jump of the clock it starts again.
        let since = *self.spoken_ms.get_or_insert(tick.at_ms);
        let silence = tick.at_ms - since;
        let due = turned && silence >= 1000 || silence >= bound || silence < 0;
        if due {
            self.spoken(tick.at_ms);
        }
        due
    }
}

/// The tick as one sentence.
pub(super) fn sentence(place: Option<&Place>, tick: &Tick) -> String {
    let step = place.and_then(|place| {
        let at = place.at.as_ref()?;
        let weight = place.weight().map(|weight| format!(" at {weight}")).unwrap_or_default();
        Some(format!("step {at}{weight} "))
    });
    let what = match (&tick.waiting, tick.soak, place) {
        (Some(waiting), ..) => format!("waits: {waiting}"),
        (None, Some(soak), _) => {
            let elapsed = words::span(soak.elapsed.min(soak.total));
            let (total, left) = (words::span(soak.total), words::span(soak.left()));
            format!("{}soaked {elapsed} of {total}, {left} left", step.unwrap_or_default())
        }
        (None, None, Some(place)) => format!("{}{}", step.unwrap_or_default(), place.activity()),
        (None, None, None) => "not begun yet".to_owned(),
    };
    match guards(&tick.guards) {
        Some(guards) => format!("{what}; {guards}"),
        None => what,
    }
}

/// The guards in few words: those that do not hold by name, with their numbers.
fn guards(glances: &[Glance]) -> Option<String> {
    let not_held = |glance: &&Glance| !matches!(glance.look, Look::Held(_));
    let troubled: Vec<String> = glances
        .iter()
        .filter(not_held)
        .map(|glance| {
            format!("guard {} {}: {}", glance.guard, word(&glance.look), glance.look.why())
        })
        .collect();
    match (glances.len(), troubled.len()) {
        (0, _) => None,
        (all, 0) => {
            Some(format!("{} hold", count(all, "guard")).replace("1 guard hold", "1 guard holds"))
        }
        _ => Some(troubled.join("; ")),
    }
}

/// A look in one word.
pub(super) fn word(look: &Look) -> &'static str {
    match look {
        Look::Held(_) => "held",
        Look::Suspect(_) => "suspect",
        Look::Waiting(_) => "waiting",
        Look::Breached(_) => "breached",
    }
}

fn is_suspect(glance: &Glance) -> bool {
    matches!(glance.look, Look::Suspect(_) | Look::Breached(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(seconds: WallMs, waiting: bool) -> Tick {
        let waiting = waiting.then(|| "the orchestrator does not answer".to_owned());
        Tick { at_ms: seconds * 1000, waiting, ..Tick::default() }
    }

    #[test]
    fn a_calm_run_speaks_every_thirty_seconds() {
        let mut pace = Pace::default();
        let spoken: Vec<i64> = (0..100).filter(|second| pace.due(&tick(*second, false))).collect();
        assert_eq!(spoken, [30, 60, 90]);
    }

    #[test]
    fn trouble_is_said_at_once_and_then_every_five_seconds() {
        let mut pace = Pace::default();
        let spoken: Vec<i64> =
            (0..20).filter(|second| pace.due(&tick(*second, *second >= 7))).collect();
        assert_eq!(spoken, [7, 12, 17]);
    }

    #[test]
    fn a_fact_ends_the_silence() {
        let mut pace = Pace::default();
        assert!(!pace.due(&tick(0, false)));
        pace.spoken(29_000);
        assert!(!pace.due(&tick(58, false)));
        assert!(pace.due(&tick(59, false)));
    }
}
