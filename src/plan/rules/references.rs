//! A name that is used is a name that is given.

use std::collections::HashSet;

use toml::Spanned;

use crate::plan::draft::{Draft, DraftPhase};
use crate::plan::fault::Faults;
use crate::plan::model::Action;
use crate::plan::source::Span;

pub(super) fn references(draft: &Draft<'_>, faults: &Faults<'_>) {
    let criteria = Known::new(
        "criterion",
        "known criteria",
        draft.all_criteria().map(|c| c.item.id.get_ref().as_str()),
    );
    let guards =
        Known::new("guard", "known guards", draft.guards.iter().map(|g| g.id.get_ref().as_str()));
    let suites =
        Known::new("suite", "known suites", draft.suites.iter().map(|s| s.id.get_ref().as_str()));
    for phase in &draft.phases {
        criteria.check_all(&phase.named, faults);
        own_criteria(phase, faults);
        guards.check_all(&phase.without_guards, faults);
        let steps =
            Known::new("step", "known steps", phase.steps.iter().map(|s| s.id.get_ref().as_str()));
        for milestone in &phase.milestones {
            criteria.check_all(&milestone.when, faults);
            steps.check_all(milestone.after.as_slice(), faults);
        }
        for step in &phase.steps {
            criteria.check_all(&step.require, faults);
            let Some(action) = &step.action else { continue };
            if let Action::Test { suites: named } = &action.action {
                for (suite, mark) in named.iter().zip(&action.marks) {
                    suites.check(suite.as_str(), mark.name.clone(), faults);
                }
            }
        }
    }
    for suite in draft.all_criteria().filter_map(|criterion| criterion.suite.as_ref()) {
        suites.check(suite.get_ref().as_str(), suite.span(), faults);
    }
}

/// A phase's own criteria are its own already.
fn own_criteria(phase: &DraftPhase<'_>, faults: &Faults<'_>) {
    let mut seen: HashSet<&str> =
        phase.criteria.iter().map(|criterion| criterion.item.id.get_ref().as_str()).collect();
    for named in &phase.named {
        if !seen.insert(named.get_ref()) {
            let message = format!("criterion `{}` counts for this phase already", named.get_ref());
            faults.push(named.span(), message);
        }
    }
}

/// The names there are of one kind of thing.
struct Known<'a> {
    what: &'static str,
    lead: &'static str,
    names: Vec<&'a str>,
    set: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn new(what: &'static str, lead: &'static str, names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.collect();
        Self { what, lead, set: names.iter().copied().collect(), names }
    }

    fn check(&self, name: &str, at: Span, faults: &Faults<'_>) {
        if !self.set.contains(name) {
            faults.unknown(at, self.what, name, &self.names, self.lead);
        }
    }

    fn check_all(&self, names: &[Spanned<&str>], faults: &Faults<'_>) {
        for name in names {
            self.check(name.get_ref(), name.span(), faults);
        }
    }
}
