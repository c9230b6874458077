//! What is due, of all that might help.

use std::time::Duration;

use super::Pace;
use super::action::{Action, Intervention, SHED_STEP};
use super::evidence::Evidence;
use super::memory::{Episode, Leave, Memory};
use super::remedies::{Ailment, Case, remedies};
use crate::control::config::Config;
use crate::control::observe::{ExtensionState, Status};
use crate::units::{Percent, duration};

/// Least time between two steps up in the share of refused events: whoever waits now came up to so
/// long ago, before the step that it would be judged by.
const SHED_PACE: Duration = Duration::from_secs(2);

/// What is to be done at `now`, noted in `memory` as done.
///
/// Something that is sick is an episode, from when it is first seen until it is not. Its cures are
/// tried in order, each with `patience` to help before the next; the last is repeated after its
/// cooldown. When that one has had its time, too, or none is left within its limit, a person is
/// told; once in an episode.
pub fn decide(
    now: Duration,
    pace: &Pace,
    config: &Config,
    evidence: &Evidence,
    memory: &mut Memory,
) -> Vec<Intervention> {
    memory.follow(config);
    let standing = memory.standing.clone();
    let case = Case { config, evidence, standing: &standing };
    let mut ailments = remedies(&case);
    ailments.extend(to_and_fro(now, pace, &ailments, memory));
    let mut due = relief(now, pace, &case, &ailments, memory);
    memory.episodes.retain(|what, _| ailments.iter().any(|ailment| ailment.what == *what));
    for ailment in &ailments {
        due.extend(treat(now, pace, &case, ailment, memory));
    }
    for intervention in &due {
        memory.take(now, pace, &intervention.action);
    }
    due
}

/// What is to be done about one ailment.
fn treat(
    now: Duration,
    pace: &Pace,
    case: &Case<'_>,
    ailment: &Ailment,
    memory: &mut Memory,
) -> Vec<Intervention> {
    let Ailment { what, because, cures } = ailment;
    let mut episode = memory.episodes.remove(what).unwrap_or(Episode {
        began: now,
        tried: None,
        last_since: None,
        escalated: false,
    });
    let (chosen, spent) = choose(now, pace, case, cures, &episode, memory);
    let mut due = Vec::new();
    if let Some(at) = chosen {
        let action = &cures[at];
        if !case.holds(action) {
            due.push(Intervention { action: action.clone(), because: because.clone() });
        }
        episode.tried = Some((at, now));
        if at + 1 == cures.len() {
            episode.last_since.get_or_insert(now);
        }
    }
    let waited_since = if cures.is_empty() { Some(episode.began) } else { episode.last_since };
    let why = match waited_since {
        _ if spent => Some(format!(
            "nothing is left to try: {} times within {} is the limit",
            pace.limit,
            duration::format(pace.window)
        )),
        Some(since) if now >= since + pace.patience => Some(match episode.tried {
            Some((at, _)) => format!("`{}` has not helped", cures[at]),
            None => "there is nothing to try".to_owned(),
        }),
        _ => None,
    };
    if let Some(why) = why.filter(|_| !episode.escalated) {
        episode.escalated = true;
        let action = Action::Escalate { what: what.clone() };
        if memory.leave(now, pace, &action) == Leave::Granted {
            due.push(Intervention { action, because: format!("{because}; {why}") });
        }
    }
    memory.episodes.insert(what.clone(), episode);
    due
}

/// Which cure is due, if any; and whether none is left within its limit.
fn choose(
    now: Duration,
    pace: &Pace,
    case: &Case<'_>,
    cures: &[Action],
    episode: &Episode,
    memory: &Memory,
) -> (Option<usize>, bool) {
    let first = match episode.tried {
        None => 0,
        Some((at, since)) if at + 1 < cures.len() => {
            if now < since + pace.patience {
                return (None, false);
            }
            at + 1
        }
        Some((at, _)) => at,
    };
    for (at, action) in cures.iter().enumerate().skip(first) {
        if case.holds(action) {
            // Done already, by an earlier episode or by itself: it has its time from now on.
            return (episode.tried.is_none_or(|(tried, _)| tried != at).then_some(at), false);
        }
        if matches!(action, Action::ShedLoad { .. })
            && memory.shed() > Percent::ZERO
            && now < memory.shed_at + SHED_PACE
        {
            return (None, false);
        }
        match memory.leave(now, pace, action) {
            Leave::Granted => return (Some(at), false),
            Leave::Resting => return (None, false),
            Leave::Spent => {}
        }
    }
    (None, !cures.is_empty())
}

/// Extensions that have fallen back as often as they may: well now, perhaps, but not to be trusted
/// until the window has passed.
fn to_and_fro(now: Duration, pace: &Pace, sick: &[Ailment], memory: &Memory) -> Vec<Ailment> {
    let wavers = |id: &String| {
        let what = format!("extension {id}");
        let fall_back = Action::FallBack { extension: id.clone() };
        let spent = memory.leave(now, pace, &fall_back) == Leave::Spent;
        let (times, window) = (pace.limit, duration::format(pace.window));
        let because = format!("it fell back {times} times within {window}");
        (spent && sick.iter().all(|ailment| ailment.what != what)).then(|| Ailment {
            what,
            because,
            cures: vec![fall_back],
        })
    };
    memory.left_out.keys().filter_map(wavers).collect()
}

/// What is given back.
fn relief(
    now: Duration,
    pace: &Pace,
    case: &Case<'_>,
    ailments: &[Ailment],
    memory: &mut Memory,
) -> Vec<Intervention> {
    let sick = |what: &str| ailments.iter().any(|ailment| ailment.what == what);
    let mut due = Vec::new();
    for (id, since) in &memory.left_out {
        let well = !sick(&format!("extension {id}")) && case.is_seen_well(id);
        if well && now >= *since + pace.cooldown {
            let because = "it is healthy again".to_owned();
            due.push(Intervention { action: Action::GiveBack { extension: id.clone() }, because });
        }
    }
    if sick("load") {
        // The time without waiting begins anew.
        if memory.shed() >= case.config.healing.max_shed {
            memory.shed_at = now;
        }
    } else if memory.shed() > Percent::ZERO && now >= memory.shed_at + pace.release {
        let less = memory.shed().thousandths().saturating_sub(SHED_STEP.thousandths());
        let share = Percent::from_thousandths(less).unwrap_or(Percent::ZERO);
        let release = duration::format(pace.release);
        let because = format!("events did not wait for {release}");
        due.push(Intervention { action: Action::Admit { share }, because });
    }
    due
}

impl Case<'_> {
    /// Whether something says that an extension is well, and not only nothing that it is sick.
    fn is_seen_well(&self, id: &str) -> bool {
        let name = format!("extension {id}");
        let mut checks = self.evidence.checks.iter();
        let check = checks.any(|check| check.name == name && check.status == Status::Healthy);
        let mut views = self.evidence.extensions.iter();
        check || views.any(|view| view.id == id && view.state == ExtensionState::Running)
    }
}
