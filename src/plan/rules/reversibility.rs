//! A step can be undone, or says that it cannot.

use crate::plan::draft::{Draft, DraftStep};
use crate::plan::fault::Faults;
use crate::plan::model::Action;

pub(super) fn reversibility(draft: &Draft<'_>, faults: &Faults<'_>) {
    for phase in &draft.phases {
        let mut any = false;
        for step in &phase.steps {
            let Some(key) = without_undo(step) else {
                needless(step, faults);
                continue;
            };
            any = true;
            if step.irreversible.is_none() && phase.irreversible.is_none() {
                let message = format!("step `{}` has no undo", step.id.get_ref());
                let hint = format!(
                    "add `undo` to its `{key}`, or say `irreversible = true` on the step: \
                     nothing is rolled back past it"
                );
                let at = step.action.as_ref().map_or(step.id.span(), |action| action.span.clone());
                faults.hinted(at, message, hint);
            }
        }
        let unsure = phase.steps.iter().any(|step| step.action.is_none());
        if let Some(at) = phase.irreversible.clone().filter(|_| !any && !unsure) {
            let message = format!("every step of phase `{}` can be undone", phase.id.get_ref());
            faults.hinted(at, message, "leave `irreversible` out");
        }
    }
}

/// The key of an action that nothing can undo.
fn without_undo(step: &DraftStep<'_>) -> Option<&'static str> {
    match &step.action.as_ref()?.action {
        Action::Run { undo: None, .. } => Some("run"),
        Action::Call { undo: None, .. } => Some("call"),
        _ => None,
    }
}

/// A promise to be irreversible that the step does not keep.
fn needless(step: &DraftStep<'_>, faults: &Faults<'_>) {
    if let (Some(at), Some(_)) = (&step.irreversible, &step.action) {
        let message = format!("step `{}` can be undone", step.id.get_ref());
        faults.hinted(at.clone(), message, "leave `irreversible` out, so that it is undone");
    }
}
