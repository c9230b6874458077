//! The report for a terminal: sections of aligned columns, readable without colour.

use std::time::Duration;

use super::model::{
    CategoryEntry, CriterionState, MilestoneEntry, Moment, PhaseEntry, PhaseState, Progress,
    Report, RunEntry, StepEntry, StepState,
};
use super::page::{Cell, Field, Page, Row};
use super::sentence::outcome_words;
use super::words;
use crate::error::count;
use crate::ledger::fact::Outcome;
use crate::ui::Paint;

/// Renders the report in at most `width` columns.
pub fn render(report: &Report, width: usize, color: bool) -> String {
    let mut page = Page::new(width);
    head(&mut page, report);
    next_steps(&mut page, report);
    phases(&mut page, &report.phases);
    milestones(&mut page, &report.milestones);
    criteria(&mut page, &report.criteria);
    performance(&mut page, report);
    issues(&mut page, report);
    risks(&mut page, report);
    backups(&mut page, report);
    if !report.runs.is_empty() {
        page.heading("Runs");
        runs(&mut page, &report.runs);
    }
    page.render(color)
}

fn head(page: &mut Page, report: &Report) {
    page.heading(&report.title);
    let mut fields = Vec::new();
    if let Some(plan) = &report.plan {
        fields.push(Field::new("plan", plan.as_str()));
    }
    fields.push(Field::new("as of", words::second(report.generated_at.0)));
    fields.push(Field::new("progress", progress(&report.progress)));
    if let Some(orchestrator) = &report.orchestrator {
        let (revision, health) = (orchestrator.revision, orchestrator.health);
        let text = format!("{health}, revision {revision}, ctx {}", orchestrator.version);
        fields.push(Field::new("service", text));
        let failing = |check: &String| Field::new("", Cell::painted(check.as_str(), Paint::Bad));
        fields.extend(orchestrator.failing.iter().map(failing));
        fields.extend(orchestrator.provisional.iter().map(|fate| Field::new("", fate.as_str())));
    }
    if let Some(head) = &report.ledger {
        fields.push(Field::new("ledger", format!("{} {}", head.seq, head.hash)));
    }
    fields.extend(report.notes.iter().map(|note| Field::new("note", note.as_str())));
    page.fields(fields);
}

/// `37%: 1 of 4 phases confirmed, 3 of 9 steps and 7 of 20 parts done`.
pub(super) fn progress(progress: &Progress) -> String {
    let of = |done: usize, all: usize, noun: &str| format!("{done} of {}", count(all, noun));
    let mut text = format!(
        "{}%: {} confirmed",
        progress.percent,
        of(progress.phases_done, progress.phases, "phase"),
    );
    if progress.steps > 0 {
        text.push_str(", ");
        text.push_str(&of(progress.steps_done, progress.steps, "step"));
        text.push_str(" and ");
        text.push_str(&of(progress.parts_done, progress.parts, "part"));
        text.push_str(" done");
    }
    text
}

fn next_steps(page: &mut Page, report: &Report) {
    page.heading("Next");
    for step in &report.next_steps {
        match &step.command {
            Some(command) => {
                page.paragraph(Cell::painted(format!("$ {command}"), Paint::Good));
                page.fields(vec![Field::new("", step.why.as_str())]);
            }
            None => page.paragraph(step.why.as_str()),
        }
    }
}

fn phases(page: &mut Page, phases: &[PhaseEntry]) {
    if phases.is_empty() {
        return;
    }
    page.heading("Phases");
    let row = |phase: &PhaseEntry| {
        let id = phase.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let soak = Duration::from_millis(phase.soak_ms);
        vec![
            phase.number.to_string().into(),
            id.into(),
            Cell::painted(phase.status.words(), phase_paint(phase.status)),
            format!("{}%", phase.percent).into(),
            phase.days.map(|(a, b)| format!("{a}-{b}")).unwrap_or_default().into(),
            if phase.soak_ms > 0 { words::span(soak) } else { String::new() }.into(),
            phase.begun.map(|at| words::minute(at.0)).unwrap_or_default().into(),
            phase
                .lasted_ms
                .map(|ms| words::span(Duration::from_millis(ms)))
                .unwrap_or_default()
                .into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = phases.iter().map(row).collect();
    page.table(&["#", "phase", "status", "done", "days", "soak", "begun", "lasted"], &rows);
    for phase in phases.iter().filter(|phase| !phase.steps.is_empty()) {
        page.blank();
        page.paragraph(Cell::painted(
            format!("Phase {}: {}", phase.number, phase.title),
            Paint::Strong,
        ));
        if let Some(objective) = &phase.objective {
            page.paragraph(objective.as_str());
        }
        let rows: Vec<Row> = phase.steps.iter().map(step).collect();
        page.noted_table(&["step", "status", "parts", "revision", "soak", "ended"], &rows);
    }
}

fn step(step: &StepEntry) -> Row {
    let revisions: Vec<String> = step.revisions.iter().map(ToString::to_string).collect();
    let soak = Duration::from_millis(step.soak_ms);
    let irreversible = step.irreversible.then_some("irreversible");
    let detail: Vec<&str> = irreversible.into_iter().chain(step.detail.as_deref()).collect();
    let parts = format!("{}/{}", step.parts_done, step.parts);
    let cells = vec![
        step.id.as_str().into(),
        Cell::painted(step.status.words(), step_paint(step.status)),
        if step.parts > 1 { parts } else { String::new() }.into(),
        span_of(&revisions).into(),
        if soak.is_zero() { String::new() } else { words::span(soak) }.into(),
        step.ended.map(|at| words::minute(at.0)).unwrap_or_default().into(),
    ];
    let note = (!detail.is_empty()).then(|| Cell::from(detail.join("; ")));
    Row { cells, note }
}

/// `12`, or `12-15` for the first and the last of several.
pub(super) fn span_of(revisions: &[String]) -> String {
    match revisions {
        [] => String::new(),
        [only] => only.clone(),
        [first, .., last] => format!("{first}-{last}"),
    }
}

fn milestones(page: &mut Page, milestones: &[MilestoneEntry]) {
    if milestones.is_empty() {
        return;
    }
    page.heading("Milestones");
    let row = |entry: &MilestoneEntry| {
        vec![
            entry.id.as_str().into(),
            match entry.reached {
                Some(Moment(at)) => {
                    Cell::painted(format!("reached {}", words::day(at)), Paint::Good)
                }
                None => "pending".into(),
            },
            entry.days.map(words::days).unwrap_or_default().into(),
            entry.title.as_str().into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = milestones.iter().map(row).collect();
    page.table(&["milestone", "status", "planned", "title"], &rows);
}

fn criteria(page: &mut Page, categories: &[CategoryEntry]) {
    if categories.is_empty() {
        return;
    }
    page.heading("Success criteria");
    let rows = categories.iter().flat_map(|category| {
        category.criteria.iter().map(|entry| Row {
            cells: vec![
                category.category.name().into(),
                entry.id.as_str().into(),
                Cell::painted(entry.verdict.words(), verdict_paint(entry.verdict)),
                entry.judged.map(|at| words::day(at.0)).unwrap_or_default().into(),
            ],
            note: Some(entry.evidence.as_ref().unwrap_or(&entry.target).as_str().into()),
        })
    });
    page.noted_table(&["category", "criterion", "verdict", "judged"], &rows.collect::<Vec<_>>());
}

fn performance(page: &mut Page, report: &Report) {
    if report.performance.is_empty() {
        return;
    }
    page.heading("Performance now");
    let rows = report.performance.iter().map(|measured| {
        let samples = measured.samples.map(|n| n.to_string()).unwrap_or_default();
        vec![measured.metric.into(), measured.text.as_str().into(), samples.into()]
    });
    page.table(&["metric", "value", "samples"], &rows.collect::<Vec<_>>());
}

fn issues(page: &mut Page, report: &Report) {
    page.heading("Issues");
    if report.issues.is_empty() {
        page.paragraph("none");
        return;
    }
    let rows = report.issues.iter().map(|issue| Row {
        cells: vec![
            words::minute(issue.at.0).into(),
            issue.phase.as_str().into(),
            issue.run.short().into(),
        ],
        note: Some(issue.what.as_str().into()),
    });
    page.noted_table(&["time", "phase", "run"], &rows.collect::<Vec<_>>());
}

fn risks(page: &mut Page, report: &Report) {
    if report.risks.is_empty() {
        return;
    }
    page.heading("Risks");
    let rows = report.risks.iter().map(|risk| {
        let severity = format!("{:?}", risk.severity).to_lowercase();
        vec![severity.into(), risk.title.as_str().into(), risk.mitigations.join("; ").into()]
    });
    page.table(&["severity", "risk", "mitigation"], &rows.collect::<Vec<_>>());
}

fn backups(page: &mut Page, report: &Report) {
    if report.backups.is_empty() {
        return;
    }
    page.heading("Backups");
    let rows = report.backups.iter().map(|backup| Row {
        cells: vec![
            backup.id.as_str().into(),
            words::minute(backup.at.0).into(),
            words::bytes(backup.bytes).into(),
            backup.run.as_ref().map(|run| run.short().to_owned()).unwrap_or_default().into(),
        ],
        note: Some(backup.path.as_str().into()),
    });
    page.noted_table(&["backup", "taken", "size", "run"], &rows.collect::<Vec<_>>());
}

/// The table of runs; also what `ctx history` shows.
pub fn runs(page: &mut Page, runs: &[RunEntry]) {
    let row = |run: &RunEntry| {
        let reason = run.reason.as_ref().map(|reason| format!("reason: {reason}"));
        let why: Vec<String> = run.summary.clone().into_iter().chain(reason).collect();
        let cells = vec![
            words::minute(run.begun.0).into(),
            run.run.short().into(),
            run.kind.as_str().into(),
            run.phase.as_str().into(),
            match run.outcome {
                Some(outcome) => Cell::painted(outcome_brief(outcome), outcome_paint(outcome)),
                None => Cell::painted("in flight", Paint::Warn),
            },
            words::span(Duration::from_millis(run.lasted_ms)).into(),
            run.user.as_str().into(),
        ];
        Row { cells, note: (!why.is_empty()).then(|| why.join("; ").into()) }
    };
    let rows: Vec<Row> = runs.iter().map(row).collect();
    page.noted_table(&["time", "run", "kind", "phase", "outcome", "lasted", "user"], &rows);
}

/// An outcome in the fewest words, for a column.
pub(super) fn outcome_brief(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "FAILED, held",
        Outcome::RollbackIncomplete => "INCOMPLETE",
        Outcome::Done | Outcome::RolledBack | Outcome::Abandoned => outcome_words(outcome),
    }
}

fn outcome_paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Done => Paint::Good,
        Outcome::RolledBack | Outcome::Abandoned => Paint::Warn,
        Outcome::Held | Outcome::RollbackIncomplete => Paint::Bad,
    }
}

pub(super) fn phase_paint(state: PhaseState) -> Option<Paint> {
    match state {
        PhaseState::Pending => None,
        PhaseState::Confirmed => Some(Paint::Good),
        PhaseState::Running | PhaseState::RollingBack | PhaseState::RolledBack => Some(Paint::Warn),
        PhaseState::Failed | PhaseState::RollbackIncomplete | PhaseState::Halted => {
            Some(Paint::Bad)
        }
    }
}

fn step_paint(state: StepState) -> Option<Paint> {
    match state {
        StepState::Pending => None,
        StepState::Done => Some(Paint::Good),
        StepState::Intended | StepState::Applied | StepState::Soaking | StepState::RolledBack => {
            Some(Paint::Warn)
        }
        StepState::Failed | StepState::NotUndone => Some(Paint::Bad),
    }
}

fn verdict_paint(state: CriterionState) -> Option<Paint> {
    match state {
        CriterionState::NotJudged => None,
        CriterionState::Pass => Some(Paint::Good),
        CriterionState::Inconclusive => Some(Paint::Warn),
        CriterionState::Fail => Some(Paint::Bad),
    }
}
