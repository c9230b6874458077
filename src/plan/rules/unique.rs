//! An id is given once.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use toml::Spanned;

use crate::plan::draft::Draft;
use crate::plan::fault::Faults;

pub(super) fn unique(draft: &Draft<'_>, faults: &Faults<'_>) {
    once("phase", draft.phases.iter().map(|phase| &phase.id), faults);
    for phase in &draft.phases {
        once("step", phase.steps.iter().map(|step| &step.id), faults);
    }
    once("criterion", draft.all_criteria().map(|criterion| &criterion.item.id), faults);
    let milestones = draft.phases.iter().flat_map(|phase| &phase.milestones);
    once("milestone", milestones.map(|milestone| &milestone.id), faults);
    once("risk", draft.risks.iter().map(|risk| &risk.id), faults);
    once("suite", draft.suites.iter().map(|suite| &suite.id), faults);
}

fn once<'a, I: Eq + Hash + Display + 'a>(
    what: &str,
    ids: impl Iterator<Item = &'a Spanned<I>>,
    faults: &Faults<'_>,
) {
    let mut seen: HashMap<&I, u32> = HashMap::new();
    for id in ids {
        let line = faults.line(&id.span());
        if let Some(first) = seen.get(id.get_ref()) {
            let message = format!("a second {what} `{}`", id.get_ref());
            faults.hinted(id.span(), message, format!("the first one is on line {first}"));
        } else {
            seen.insert(id.get_ref(), line);
        }
    }
}
