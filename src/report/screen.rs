//! The status on a terminal: at most 24 rows.

use std::time::Duration;

use super::model::RunEntry;
use super::page::{Cell, Field, Page};
use super::status::{GuardNow, GuardState, InFlight, Status, StepNow};
use super::text::{self, outcome_brief, phase_paint};
use super::words;
use crate::ui::Paint;

/// Guards beyond this are counted, not shown: the screen has 24 rows, and 18 others at most.
const GUARDS: usize = 6;

/// Renders the status in at most `width` columns and 24 rows.
pub fn render(status: &Status, width: usize, color: bool) -> String {
    let mut fields = Vec::new();
    let plan = status.plan.as_ref().map(|plan| format!("{plan}: ")).unwrap_or_default();
    let title = Cell::painted(format!("{plan}{}", status.title), Paint::Strong);
    fields.push(Field::at_most(1, "plan", title));
    target(&mut fields, status);
    fields.push(Field::at_most(1, "progress", text::progress(&status.progress)));
    match &status.run {
        Some(run) => in_flight(&mut fields, run),
        None => fields.push(Field::at_most(2, "last run", last(status.last_run.as_ref()))),
    }
    revision(&mut fields, status);
    guards(&mut fields, &status.guards);
    records(&mut fields, status);
    next(&mut fields, status);
    let mut page = Page::new(width);
    page.fields(fields);
    page.render(color)
}

fn target(fields: &mut Vec<Field<'_>>, status: &Status) {
    let url = status.target.as_deref().unwrap_or("no orchestrator is named");
    let (health, paint) = match (status.reached, status.health) {
        (false, _) => ("not asked, or no answer", None),
        (true, "healthy") => ("healthy", Some(Paint::Good)),
        (true, "unhealthy") => ("UNHEALTHY", Some(Paint::Bad)),
        (true, _) => ("health unknown", Some(Paint::Warn)),
    };
    fields.push(Field::at_most(1, "target", Cell::painted(format!("{url}, {health}"), paint)));
    if let Some(first) = status.failing.first() {
        let more = match status.failing.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        fields.push(Field::at_most(1, "", Cell::painted(format!("{first}{more}"), Paint::Bad)));
    }
}

fn in_flight(fields: &mut Vec<Field<'_>>, run: &InFlight) {
    let phase = format!(
        "{} of {} {}: {}, {}",
        run.phase_number,
        run.phases,
        run.phase,
        run.status.words(),
        run.phase_title,
    );
    fields.push(Field::at_most(1, "phase", Cell::painted(phase, phase_paint(run.status))));
    if let Some(step) = &run.step {
        fields.push(Field::at_most(1, "step", step_line(step)));
    }
    let id = run.run.as_ref().map(|run| format!("{run} ")).unwrap_or_default();
    let doing = format!("{id}since {}: {}", words::minute(run.begun.0), run.doing);
    fields.push(Field::at_most(2, "run", doing));
}

/// `1 of 3 pool-ramp, part 2 of 4 at 25%, for 12m, soak ends in 18m`.
fn step_line(step: &StepNow) -> String {
    let part = (step.parts > 1).then(|| {
        let weight = step.weight.as_ref().map(|weight| format!(" at {weight}"));
        format!("part {} of {}{}", step.part, step.parts, weight.unwrap_or_default())
    });
    let soak = step.soak_left_ms.map(|left| match left {
        0 => "soak is over".to_owned(),
        left => format!("soak ends in {}", words::span(Duration::from_millis(left))),
    });
    let place = format!("{} of {} {}", step.number, step.steps, step.id);
    let lasted = format!("for {}", words::span(Duration::from_millis(step.lasted_ms)));
    let pieces = [Some(place), part, Some(lasted), soak];
    pieces.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn last(run: Option<&RunEntry>) -> Cell {
    let Some(run) = run else { return "none yet".into() };
    let outcome = run.outcome.map_or("in flight", outcome_brief);
    let when = words::minute(run.ended.unwrap_or(run.begun).0);
    let summary = run.summary.as_ref().map(|summary| format!(": {summary}")).unwrap_or_default();
    format!("{} {} of {} {outcome} {when}{summary}", run.run, run.kind, run.phase).into()
}

fn revision(fields: &mut Vec<Field<'_>>, status: &Status) {
    match (&status.provisional, status.revision) {
        (Some(fate), _) => {
            fields.push(Field::at_most(2, "revision", Cell::painted(fate.as_str(), Paint::Warn)));
        }
        (None, Some(revision)) => {
            let how = if status.reached { "confirmed" } else { "as recorded" };
            fields.push(Field::at_most(1, "revision", format!("{revision}, {how}")));
        }
        (None, None) => {}
    }
}

fn guards(fields: &mut Vec<Field<'_>>, guards: &[GuardNow]) {
    // Those that need attention come first, so that they are never among those not shown.
    let mut sorted: Vec<&GuardNow> = guards.iter().collect();
    sorted.sort_by_key(|guard| guard.state != GuardState::Outside);
    let shown = if sorted.len() > GUARDS { GUARDS - 1 } else { sorted.len() };
    for (n, guard) in sorted.iter().take(shown).enumerate() {
        let paint = match guard.state {
            GuardState::Outside => Some(Paint::Bad),
            GuardState::Inconclusive => Some(Paint::Warn),
            GuardState::Within | GuardState::Unread => None,
        };
        let text = format!("{} {}: {}", guard.guard, guard.state.words(), guard.sentence);
        let label = if n == 0 { "guards" } else { "" };
        fields.push(Field::at_most(1, label, Cell::painted(text, paint)));
    }
    if sorted.len() > shown {
        fields.push(Field::at_most(1, "", format!("and {} more", sorted.len() - shown)));
    }
}

fn records(fields: &mut Vec<Field<'_>>, status: &Status) {
    if let Some(lease) = &status.lease {
        let text = format!(
            "{}@{}, process {}, run {}, expires in {}",
            lease.holder,
            lease.host,
            lease.pid,
            lease.run,
            words::span(Duration::from_millis(lease.expires_in_ms)),
        );
        fields.push(Field::at_most(1, "lease", text));
    } else if status.reached {
        fields.push(Field::at_most(1, "lease", "nobody holds it"));
    }
    if let Some(backup) = &status.last_backup {
        let size = words::bytes(backup.bytes);
        let text = format!("{} {}, {size}", backup.id, words::minute(backup.at.0));
        fields.push(Field::at_most(1, "backup", text));
    }
    if let Some(issue) = &status.last_issue {
        let text = format!("{} {}: {}", words::minute(issue.at.0), issue.phase, issue.what);
        fields.push(Field::at_most(2, "issue", Cell::painted(text, Paint::Warn)));
    }
}

fn next(fields: &mut Vec<Field<'_>>, status: &Status) {
    for (n, step) in status.next_steps.iter().take(2).enumerate() {
        let text = match &step.command {
            Some(command) => format!("`{command}`: {}", step.why),
            None => step.why.clone(),
        };
        let label = if n == 0 { "next" } else { "or" };
        fields.push(Field::at_most(2, label, Cell::painted(text, Paint::Good)));
    }
}
