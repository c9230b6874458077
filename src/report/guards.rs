//! The guards of a run in flight as they are now: value, limit and streak.
//!
//! Where the orchestrator holds the guards of this run, its own last look is what counts: it is
//! the one that rolls back, on samples that share no request. Otherwise the last few seconds are
//! judged here, which knows no streak. Without an answer there is the limit alone.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::live::Live;
use crate::control::armed::{GuardLook, LookOutcome};
use crate::ids::{GuardId, RunId};
use crate::judge::{Limit, Verdict, criterion};
use crate::plan::model::Guard;

/// How many values of a guard are kept for its sparkline.
const KEPT: usize = 10;
/// From the least to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A guard, its limit, and how it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GuardNow {
    pub guard: GuardId,
    pub state: GuardState,
    /// The metric of the last few seconds; absent where there is nothing to compute it from.
    pub value: Option<f64>,
    #[serde(skip)]
    pub bound: Limit,
    /// Breaches in a row until now; absent where only the orchestrator could say, and did not.
    pub streak: Option<u32>,
    /// Breaches in a row that make it fail.
    pub breaches: u32,
    /// The limit; with the number and its count where the orchestrator gave one.
    pub sentence: String,
    /// The same in the fewest words.
    #[serde(skip)]
    pub brief: String,
}

/// How a guard is at one look. A breach needs several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    /// Outside so often in a row that the phase is rolled back.
    Breached,
    Outside,
    /// Too little to judge.
    Inconclusive,
    Within,
    /// The orchestrator was not asked.
    Unread,
}

impl GuardState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Breached => "BREACHED",
            Self::Outside => "OUTSIDE",
            Self::Inconclusive => "inconclusive",
            Self::Within => "within",
            Self::Unread => "not read",
        }
    }
}

/// The guards of `run` as they are now, in the order of the plan.
pub(super) fn now(guards: &[Guard], run: Option<&RunId>, live: Option<&Live>) -> Vec<GuardNow> {
    let armed = live.and_then(|live| live.guards.as_ref()).filter(|view| {
        let of = view.armed.as_ref().map(|armed| &armed.run);
        of.is_some() && of == run
    });
    let look = |guard: &Guard| armed?.looks.iter().find(|look| look.guard == guard.id);
    guards.iter().map(|guard| one(guard, look(guard), live)).collect()
}

fn one(guard: &Guard, look: Option<&GuardLook>, live: Option<&Live>) -> GuardNow {
    let read = live.and_then(|live| Some((live.metrics.as_ref()?, live.health.as_ref()?)));
    // What a Prometheus server says, the orchestrator knows while guards are armed.
    let reading = read.zip(guard.measure.own());
    let reading = reading.map(|((metrics, health), metric)| (metric, metric.read(metrics, health)));
    let limit = guard.limit.describe_in(guard.measure.unit());
    let (state, streak, sentence) = match (look, reading) {
        (Some(look), _) => {
            let (state, streak) = match look.outcome {
                LookOutcome::Held => (GuardState::Within, Some(0)),
                LookOutcome::Suspect => (GuardState::Outside, streak(&look.why)),
                LookOutcome::Breached => (GuardState::Breached, streak(&look.why)),
                LookOutcome::Waiting => (GuardState::Inconclusive, None),
            };
            (state, streak, look.why.clone())
        }
        (None, Some((metric, reading))) => {
            let verdict = criterion::judge(metric, guard.limit, guard.min_samples, reading, 1);
            let state = match verdict {
                Verdict::Pass(_) => GuardState::Within,
                Verdict::Fail(_) => GuardState::Outside,
                Verdict::Inconclusive(_) => GuardState::Inconclusive,
            };
            (state, None, verdict.why().to_owned())
        }
        (None, None) => (GuardState::Unread, None, format!("{} {limit}", guard.measure)),
    };
    GuardNow {
        guard: guard.id.clone(),
        state,
        value: reading.and_then(|(_, reading)| reading.value).filter(|value| value.is_finite()),
        bound: guard.limit,
        streak,
        breaches: guard.breaches,
        brief: brief(guard, &sentence, streak),
        sentence,
    }
}

/// The streak that a look's sentence ends with: `..., breach 2 of 3`.
fn streak(why: &str) -> Option<u32> {
    let (_, tail) = why.rsplit_once(", breach ")?;
    tail.split(' ').next()?.parse().ok()
}

/// `6.2% (n=124), at most 5%, streak 2/3`.
fn brief(guard: &Guard, sentence: &str, streak: Option<u32>) -> String {
    let sentence = sentence.rsplit_once(", breach ").map_or(sentence, |(head, _)| head);
    let measure = guard.measure.to_string();
    let own = sentence.strip_prefix(measure.as_str()).unwrap_or(sentence);
    let own = own.trim_start_matches([':', ' ']);
    let own = own.replacen(", limit ", ", ", 1);
    match streak {
        Some(streak) => format!("{own}, streak {streak}/{}", guard.breaches),
        None => format!("{own}, fails at {} in a row", guard.breaches),
    }
}

/// The last values of each guarded metric, for whoever watches.
#[derive(Clone, Debug, Default)]
pub struct Trails(BTreeMap<GuardId, VecDeque<f64>>);

impl Trails {
    /// Takes in what the guards read now. A value that is missing leaves no mark.
    pub fn see(&mut self, guards: &[GuardNow]) {
        for guard in guards {
            let Some(value) = guard.value else { continue };
            let trail = self.0.entry(guard.guard.clone()).or_default();
            trail.push_back(value);
            while trail.len() > KEPT {
                trail.pop_front();
            }
        }
    }

    /// The sparkline of a guard, always equally wide, the newest value at its right; the limit is
    /// within the scale, so that a line near the top of a scale is near the limit.
    pub fn spark(&self, guard: &GuardNow) -> String {
        let (Limit::AtMost(limit) | Limit::AtLeast(limit)) = guard.bound;
        let values = self.0.get(&guard.guard).map(VecDeque::iter).unwrap_or_default();
        let low = values.clone().copied().fold(limit, f64::min);
        let high = values.clone().copied().fold(limit, f64::max);
        let bars: String = values.map(|value| bar((value - low) / (high - low))).collect();
        format!("{bars:>KEPT$}")
    }
}

/// The bar for a share of the scale; in the middle where there is no scale.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded, and within 0..=7"
)]
fn bar(share: f64) -> char {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.5 };
    BARS[(share * 7.0).round() as usize]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::judge::guard::{Streak, look};
    use crate::judge::metric::Reading;
    use crate::report::fixture::plan;

    #[test]
    fn the_streak_is_read_from_the_sentence_of_a_look() {
        let guard = plan().guards[0].clone();
        let bad = Reading { value: Some(0.5), samples: Some(10_000) };
        let at = Duration::from_secs(1);
        let (seen, first) = look(&guard, Streak::default(), bad, at);
        let (_, second) = look(&guard, seen, bad, at);
        assert_eq!((streak(first.why()), streak(second.why())), (Some(1), Some(2)));
        let told = brief(&guard, second.why(), streak(second.why()));
        assert_eq!(told, "50% (n=10000), at most 5%, streak 2/3");
    }

    fn guard(value: Option<f64>, bound: Limit) -> GuardNow {
        GuardNow {
            guard: "g".parse().unwrap(),
            state: GuardState::Within,
            value,
            bound,
            streak: None,
            breaches: 3,
            sentence: String::new(),
            brief: String::new(),
        }
    }

    #[test]
    fn a_sparkline_is_as_high_as_the_limit_is_near() {
        let mut trails = Trails::default();
        let at_most = |value| guard(value, Limit::AtMost(0.05));
        assert_eq!(trails.spark(&at_most(None)), " ".repeat(KEPT), "nothing seen yet");
        for value in [Some(0.0), Some(0.025), None, Some(0.05)] {
            trails.see(&[at_most(value)]);
        }
        assert_eq!(trails.spark(&at_most(None)), "       ▁▅█");
        for _ in 0..KEPT {
            trails.see(&[at_most(Some(0.1))]);
        }
        assert_eq!(trails.spark(&at_most(None)), "██████████");
        let mut flat = Trails::default();
        let at_least = guard(Some(1.0), Limit::AtLeast(1.0));
        flat.see(std::slice::from_ref(&at_least));
        assert!(flat.spark(&at_least).ends_with('▅'), "no scale is the middle");
    }
}
