//! What came of a drill, and whose fault it was.

use std::time::Duration;

use super::{Case, Fault};
use crate::ids::{PhaseId, StepId};

/// What came of one fault at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Drilled {
    pub phase: PhaseId,
    pub phase_number: u32,
    pub step: StepId,
    pub fault: Fault,
    pub ending: Ending,
    /// From the fault until somebody noticed; absent when the run went on regardless.
    pub detected: Option<Duration>,
    /// Who noticed, in a sentence.
    pub by: String,
    /// From the fault until the state was the one before the phase.
    pub rolled_back: Option<Duration>,
    /// Events that were acknowledged during the drill.
    pub acknowledged: u64,
    /// Those of them that nobody has handled and that are no dead letters.
    pub lost: Vec<String>,
    /// What is not as it was before the phase.
    pub differs: Vec<String>,
    /// Steps whose undo failed, as the run itself says.
    pub not_undone: Vec<String>,
    /// A change that was kept although what guards it could not be asked.
    pub kept: Option<String>,
    /// What there is to say besides.
    pub note: Option<String>,
    pub took: Duration,
}

/// How the phase ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It failed, and rolled back by itself.
    ByItself,
    /// It was rolled back by `ctx rollback`.
    OnRequest,
    /// It could not be rolled back.
    Incomplete(String),
    /// The phase failed before the fault was there.
    NotReached(String),
    /// The drill itself did not work.
    Broken(String),
}

impl Ending {
    /// A word for tables and programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ByItself => "by-itself",
            Self::OnRequest => "on-request",
            Self::Incomplete(_) => "incomplete",
            Self::NotReached(_) => "not-reached",
            Self::Broken(_) => "broken",
        }
    }
}

impl Drilled {
    /// The beginning of one, before anything has happened.
    pub(super) fn of(case: &Case) -> Self {
        Self {
            phase: case.phase.id.clone(),
            phase_number: case.phase.number,
            step: case.step.id.clone(),
            fault: case.fault,
            ending: Ending::Broken("it did not begin".to_owned()),
            detected: None,
            by: String::new(),
            rolled_back: None,
            acknowledged: 0,
            lost: Vec::new(),
            differs: Vec::new(),
            not_undone: Vec::new(),
            kept: None,
            note: None,
            took: Duration::ZERO,
        }
    }

    /// Whether everything is as it was before the phase, and nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.has_rolled_back() && self.is_equal() && self.lost.is_empty() && self.kept.is_none()
    }

    /// Whether the phase was rolled back at all.
    pub fn has_rolled_back(&self) -> bool {
        matches!(self.ending, Ending::ByItself | Ending::OnRequest)
    }

    /// Whether the state is that before the phase.
    pub fn is_equal(&self) -> bool {
        self.differs.is_empty() && self.not_undone.is_empty()
    }

    /// What is wrong, in words; nothing when it is clean.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match &self.ending {
            Ending::ByItself | Ending::OnRequest => {}
            Ending::Incomplete(why) => faults.push(format!("not rolled back: {why}")),
            Ending::NotReached(why) => {
                faults.push(format!("the phase failed before the fault: {why}"));
            }
            Ending::Broken(why) => faults.push(format!("the drill did not work: {why}")),
        }
        let undo = |step: &String| format!("the undo of `{step}` failed");
        faults.extend(self.not_undone.iter().map(undo));
        faults.extend(self.differs.iter().map(|what| format!("not as before: {what}")));
        faults.extend(self.kept.clone());
        if !self.lost.is_empty() {
            faults.push(format!("{} acknowledged events lost", self.lost.len()));
        }
        faults
    }
}

/// The steps to blame, in order, each with what is wrong.
///
/// A step whose undo does not restore spoils every later drill of its phase as well. So what
/// differs is blamed on the first step after which it does, and what the run itself names is
/// blamed on that step.
pub fn culprits(drilled: &[Drilled]) -> Vec<(PhaseId, StepId, Vec<String>)> {
    let mut blamed: Vec<(PhaseId, StepId, Vec<String>)> = Vec::new();
    let mut blame = |phase: &PhaseId, step: &StepId, what: String| {
        let there = blamed.iter_mut().find(|(p, s, _)| p == phase && s == step);
        match there {
            Some((_, _, all)) if !all.contains(&what) => all.push(what),
            Some(_) => {}
            None => blamed.push((phase.clone(), step.clone(), vec![what])),
        }
    };
    for one in drilled.iter().filter(|one| !one.is_clean()) {
        for step in &one.not_undone {
            if let Ok(step) = step.parse() {
                blame(&one.phase, &step, "its undo fails".to_owned());
            }
        }
        for what in &one.differs {
            if began_at(drilled, one, what) {
                blame(&one.phase, &one.step, format!("not as before: {what}"));
            }
        }
        if let Some(kept) = &one.kept {
            blame(&one.phase, &one.step, format!("{}: {kept}", one.fault));
        }
        if !one.lost.is_empty() {
            blame(&one.phase, &one.step, format!("{}: events lost", one.fault));
        }
        match &one.ending {
            Ending::ByItself | Ending::OnRequest => {}
            // Whose undo it was is said above.
            Ending::Incomplete(_) if !one.not_undone.is_empty() => {}
            Ending::Incomplete(why) | Ending::NotReached(why) | Ending::Broken(why) => {
                blame(&one.phase, &one.step, format!("{}: {why}", one.fault));
            }
        }
    }
    blamed
}

/// Whether the first drill after which `what` differs was one of the same step.
fn began_at(drilled: &[Drilled], one: &Drilled, what: &String) -> bool {
    let first = drilled.iter().find(|d| d.phase == one.phase && d.differs.contains(what));
    first.is_some_and(|first| first.step == one.step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drilled(step: &str, differs: &[&str], not_undone: &[&str]) -> Drilled {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Drilled {
            phase: "one".parse().unwrap(),
            phase_number: 1,
            step: step.parse().unwrap(),
            fault: Fault::Errors,
            ending: Ending::ByItself,
            detected: None,
            by: String::new(),
            rolled_back: None,
            acknowledged: 0,
            lost: Vec::new(),
            differs: own(differs),
            not_undone: own(not_undone),
            kept: None,
            note: None,
            took: Duration::ZERO,
        }
    }

    fn blamed(drilled: &[Drilled]) -> Vec<String> {
        culprits(drilled).into_iter().map(|(_, step, _)| step.to_string()).collect()
    }

    #[test]
    fn what_one_step_leaves_behind_is_not_blamed_on_those_after_it() {
        let clean = drilled("before", &[], &[]);
        let broken = drilled("broken", &["file `mark`"], &[]);
        let after = drilled("after", &["file `mark`"], &[]);
        assert_eq!(blamed(&[clean.clone(), broken.clone(), broken.clone(), after]), ["broken"]);
        let worse = drilled("worse", &["file `mark`", "file `other`"], &[]);
        assert_eq!(blamed(&[clean.clone(), broken, worse]), ["broken", "worse"]);
        assert_eq!(blamed(&[clean]), Vec::<String>::new());
    }

    #[test]
    fn an_undo_that_fails_is_blamed_on_its_own_step() {
        let incomplete = Ending::Incomplete("a person is needed".to_owned());
        let later = Drilled { ending: incomplete, ..drilled("later", &[], &["program"]) };
        assert!(!later.is_clean());
        assert_eq!(blamed(&[later]), ["program"]);
    }

    #[test]
    fn a_lost_event_and_a_drill_that_did_not_work_are_faults() {
        let lost = Drilled { lost: vec!["d-1".to_owned()], ..drilled("ramp", &[], &[]) };
        assert_eq!(lost.faults(), ["1 acknowledged events lost"]);
        let broken = Ending::Broken("no port".to_owned());
        let broken = Drilled { ending: broken, ..drilled("set", &[], &[]) };
        assert_eq!(broken.faults(), ["the drill did not work: no port"]);
        assert_eq!(blamed(&[lost, broken]), ["ramp", "set"]);
        let kept = Some("`ramp`, part 2 of 2, was kept".to_owned());
        let kept = Drilled { kept, ..drilled("ramp", &[], &[]) };
        assert_eq!(kept.faults(), ["`ramp`, part 2 of 2, was kept"]);
        assert!(!kept.is_clean());
        assert_eq!(blamed(&[kept]), ["ramp"]);
    }
}
