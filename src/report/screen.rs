//! The status on a terminal: at most 24 rows.

use std::time::Duration;

use super::guards::{GuardNow, GuardState, Trails};
use super::model::{PhaseState, RunEntry};
use super::page::{Cell, Field, Page};
use super::status::{InFlight, Status, StepNow};
use super::text::{self, outcome_brief, phase_paint};
use super::words;
use crate::ui::Paint;

/// Rows of one screen.
pub const ROWS: u16 = 24;
/// Guards beyond this are counted, not shown: there are 19 other rows at most.
const GUARDS: usize = 5;

/// Renders the status in at most `width` columns and [`ROWS`] rows.
pub fn render(status: &Status, width: usize, color: bool) -> String {
    page(status, None, width).render(color)
}

/// The same as a page, with a sparkline for each guard where somebody watches.
pub fn page(status: &Status, trails: Option<&Trails>, width: usize) -> Page {
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
    guards(&mut fields, &status.guards, trails);
    records(&mut fields, status);
    next(&mut fields, status);
    let mut page = Page::new(width);
    page.fields(fields);
    page
}

fn target(fields: &mut Vec<Field<'_>>, status: &Status) {
    let url = status.target.as_deref().unwrap_or("no orchestrator is named");
    let (health, paint) = match (status.reached, status.health) {
        (false, _) => ("not read: `--live` asks it", None),
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
        let strays = step.strays() && run.status == PhaseState::Running;
        let line = Cell::painted(step_line(step), strays.then_some(Paint::Bad));
        fields.push(Field::at_most(2, "step", line));
    }
    let id = run.run.as_ref().map(|run| format!("{run} ")).unwrap_or_default();
    let doing = format!("{id}since {}: {}", words::minute(run.begun.0), run.doing);
    fields.push(Field::at_most(2, "run", doing));
    if let (Some(left), Some(end)) = (run.soaks_left_ms, run.earliest_end) {
        let left = match left {
            0 => "no soak is left".to_owned(),
            left => format!("{} of soaks left", words::span(Duration::from_millis(left))),
        };
        let eta = format!("{} at the earliest: {left}", words::second(end.0));
        fields.push(Field::at_most(1, "eta", eta));
    }
}

/// `1 of 3 pool-ramp, part 2/4 at 25% (reads 25%), for 12m, 18m left`.
fn step_line(step: &StepNow) -> String {
    let weight = step.weight.as_ref().map(|weight| match &step.weight_read_back {
        Some(read) if step.strays() => format!(" at {weight}, READS {read}"),
        Some(read) => format!(" at {weight} (reads {read})"),
        None => format!(" at {weight}"),
    });
    let part = (step.parts > 1).then(|| format!("part {}/{}", step.part, step.parts));
    let part = match (part, weight) {
        (part, Some(weight)) => {
            Some(format!("{}{weight}", part.unwrap_or_default()).trim().to_owned())
        }
        (part, None) => part,
    };
    let soak = step.soak_left_ms.map(|left| match left {
        0 => "soak over".to_owned(),
        left => format!("{} left", words::span(Duration::from_millis(left))),
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

fn guards(fields: &mut Vec<Field<'_>>, guards: &[GuardNow], trails: Option<&Trails>) {
    // Those that need attention come first, so that they are never among those not shown.
    let mut sorted: Vec<&GuardNow> = guards.iter().collect();
    sorted.sort_by_key(|guard| guard.state);
    let shown = if sorted.len() > GUARDS { GUARDS - 1 } else { sorted.len() };
    for (n, guard) in sorted.iter().take(shown).enumerate() {
        let paint = match guard.state {
            GuardState::Breached | GuardState::Outside => Some(Paint::Bad),
            GuardState::Inconclusive => Some(Paint::Warn),
            GuardState::Within | GuardState::Unread => None,
        };
        let text = match guard.state {
            GuardState::Unread => format!("{} not read: {}", guard.guard, guard.sentence),
            state => format!("{} {}: {}", guard.guard, state.words(), guard.brief),
        };
        // A page takes runs of spaces for one: what stands before a line keeps its place.
        let spark = trails.map(|trails| trails.spark(guard).replace(' ', "·") + " ");
        let text = format!("{}{text}", spark.unwrap_or_default());
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
