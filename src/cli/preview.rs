//! What a phase would do, said before it is done.

use super::Context;
use crate::control::config::Config;
use crate::engine::moves::{Act, unroll};
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

/// `--dry-run`: every change in order, from the configuration of an untouched service.
pub(crate) fn dry_run(context: &Context, loaded: &Loaded, phase: &Phase) {
    summary(context, loaded, phase);
    let ui = &context.ui;
    let base = Config::legacy("http://127.0.0.1:8000");
    let earlier = loaded.plan.phases.iter().filter(|p| p.number < phase.number);
    let base = earlier.fold(base, |config, phase| {
        let moves = unroll(phase, &config).unwrap_or_default();
        let last = moves.into_iter().rev().find_map(|m| match m.act {
            Act::Change { target } => Some(*target),
            Act::Local(_) => None,
        });
        last.unwrap_or(config)
    });
    for step in unroll(phase, &base).unwrap_or_default() {
        let what = match &step.act {
            Act::Change { target } => format!("POST /v1/revisions, configuration {:.12}", target.hash()),
            Act::Local(action) => crate::plan::describe(action),
        };
        let soak = match step.soak.is_zero() {
            true => String::new(),
            false => format!(", then soak {}", duration::format(step.soak)),
        };
        ui.out(format!("{:<28} {what}{soak}", step.at.to_string()));
    }
    ui.note("nothing was changed (--dry-run)");
}
