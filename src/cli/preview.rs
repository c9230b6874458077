//! What a phase would do, said before it is done.

use super::Context;
use crate::error::count;
use crate::plan::Loaded;
use crate::plan::model::Phase;
use crate::ui::Paint;
use crate::units::duration;

/// The few lines before the question: what, how long, and what cannot be undone.
pub(crate) fn summary(context: &Context, loaded: &Loaded, phase: &Phase) {
    let ui = &context.ui;
    let total = loaded.plan.phases.len();
    let title = format!("phase {} of {total}, {}: {}", phase.number, phase.id, phase.title);
    ui.note(ui.paint(Paint::Strong, &title));
    ui.note(format!(
        "  {}, soaking {} in all, under {}; a failed check {}",
        count(phase.steps.len(), "step"),
        duration::format(phase.soak_total()),
        count(loaded.plan.guards_of(phase).len(), "guard"),
        match phase.on_failure {
            crate::plan::model::OnFailure::RollbackPhase => "rolls this phase back",
            crate::plan::model::OnFailure::RollbackAll => "rolls back every phase",
            crate::plan::model::OnFailure::Hold => "stops and holds",
        }
    ));
    for step in phase.irreversible() {
        let line = format!("  point of no return: step `{}` cannot be undone", step.id);
        ui.note(ui.paint(Paint::Warn, &line));
    }
}
