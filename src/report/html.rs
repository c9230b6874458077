//! The report as one HTML file: no script, no request to anywhere, readable on a phone, on paper,
//! in the light and in the dark, and by a screen reader.
//!
//! Everything that comes from a plan, a ledger or a service is escaped, and the page carries a
//! policy that would not run it anyway.

use std::fmt::Write;
use std::time::Duration;

use super::chart;
use super::model::{CriterionState, Moment, PhaseEntry, PhaseState, Report, StepState};
use super::page::clean;
use super::text::{outcome_brief, progress, span_of};
use super::timeline::MarkKind;
use super::words;
use crate::ledger::fact::Outcome;

/// How a state is shown; always beside its word.
#[derive(Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Warn,
    Plain,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Plain => "plain",
        }
    }
}

/// Renders the report.
pub fn render(report: &Report) -> String {
    let mut page = Html(String::new());
    let title = escape(&report.title);
    page.raw(&format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
        include_str!("html.css")
    ));
    head(&mut page, report);
    page.raw("<main>\n");
    next(&mut page, report);
    phases(&mut page, report);
    over_time(&mut page, report);
    criteria(&mut page, report);
    milestones(&mut page, report);
    issues(&mut page, report);
    rest(&mut page, report);
    page.raw("</main>\n");
    foot(&mut page, report);
    page.raw("</body>\n</html>\n");
    page.0
}

fn head(page: &mut Html, report: &Report) {
    page.raw("<header>\n");
    page.raw(&format!("<h1>{}</h1>\n", escape(&report.title)));
    let plan = report.plan.as_ref().map(|plan| format!("Plan <b>{}</b>, ", escape(plan.as_str())));
    let at = words::second(report.generated_at.0);
    let done = escape(&progress(&report.progress));
    page.raw(&format!("<p>{}as of {at}.</p>\n", plan.unwrap_or_default()));
    let percent = report.progress.percent;
    page.raw(&format!(
        "<p><progress max=\"100\" value=\"{percent}\" aria-label=\"progress of the migration\">\
         </progress> {done}</p>\n"
    ));
    if let Some(orchestrator) = &report.orchestrator {
        let tone = match orchestrator.health {
            "healthy" => Tone::Good,
            "unhealthy" => Tone::Bad,
            _ => Tone::Warn,
        };
        page.raw(&format!(
            "<p>The orchestrator is {}, revision {}, ctx {}.</p>\n",
            badge(tone, orchestrator.health),
            orchestrator.revision,
            escape(&orchestrator.version)
        ));
        let said = orchestrator.provisional.iter().chain(&orchestrator.failing);
        page.list(said.map(|sentence| escape(sentence)));
    }
    page.list(report.notes.iter().map(|note| format!("Note: {}.", escape(note))));
    page.raw("</header>\n");
}

fn next(page: &mut Html, report: &Report) {
    page.heading("Next");
    page.list(report.next_steps.iter().map(|step| match &step.command {
        Some(command) => format!("<code>{}</code>: {}", escape(command), escape(&step.why)),
        None => escape(&step.why),
    }));
}

fn phases(page: &mut Html, report: &Report) {
    page.heading("Phases");
    let rows = report.phases.iter().map(|phase| {
        let soak = Duration::from_millis(phase.soak_ms);
        let lasted = phase.lasted_ms.map(Duration::from_millis).map(words::span);
        vec![
            phase.number.to_string(),
            escape(&phase.title),
            badge(phase_tone(phase.status), phase.status.words()),
            format!("{}%", phase.percent),
            phase.days.map(words::days).unwrap_or_default(),
            if soak.is_zero() { String::new() } else { words::span(soak) },
            phase.begun.map(|at| words::minute(at.0)).unwrap_or_default(),
            lasted.unwrap_or_default(),
        ]
    });
    let columns = ["#", "Phase", "Status", "Done", "Planned", "Soaks", "Begun", "Lasted"];
    page.table("Every phase, planned against actual", &columns, rows.collect());
    page.raw(&chart::phases(&report.phases, report.generated_at.0));
    for phase in report.phases.iter().filter(|phase| !phase.steps.is_empty()) {
        steps(page, phase);
    }
}

fn steps(page: &mut Html, phase: &PhaseEntry) {
    page.raw(&format!("<h3>Phase {}: {}</h3>\n", phase.number, escape(&phase.title)));
    if let Some(objective) = &phase.objective {
        page.raw(&format!("<p>{}</p>\n", escape(objective)));
    }
    let rows = phase.steps.iter().map(|step| {
        let revisions: Vec<String> = step.revisions.iter().map(ToString::to_string).collect();
        let soak = Duration::from_millis(step.soak_ms);
        let irreversible = step.irreversible.then_some("irreversible");
        let detail: Vec<&str> = irreversible.into_iter().chain(step.detail.as_deref()).collect();
        vec![
            format!("<code>{}</code>", escape(step.id.as_str())),
            badge(step_tone(step.status), step.status.words()),
            format!("{}/{}", step.parts_done, step.parts),
            escape(&span_of(&revisions)),
            if soak.is_zero() { String::new() } else { words::span(soak) },
            step.ended.map(|at| words::second(at.0)).unwrap_or_default(),
            escape(&detail.join("; ")),
        ]
    });
    let columns = ["Step", "Status", "Parts", "Revision", "Soak", "Ended", "Detail"];
    let caption = format!("The steps of phase {}", phase.number);
    page.table(&caption, &columns, rows.collect());
}

fn over_time(page: &mut Html, report: &Report) {
    let charts = chart::charts(&report.timeline);
    if charts.is_empty() {
        return;
    }
    page.heading("Over time");
    page.raw(
        "<p class=\"key\">A tick below an axis is a step. <b class=\"breach\">B</b> a guard was \
         breached or a step failed, <b class=\"rollback\">R</b> a rollback, \
         <b class=\"confirmed\">C</b> confirmed. The dashed line is the limit.</p>\n",
    );
    page.raw(&charts);
    let rows = report.timeline.marks.iter().filter(|mark| mark.kind != MarkKind::Step);
    let rows = rows.map(|mark| {
        let tone = match mark.kind {
            MarkKind::Breach => Tone::Bad,
            MarkKind::Rollback => Tone::Warn,
            MarkKind::Confirmed => Tone::Good,
            MarkKind::Step => Tone::Plain,
        };
        let phase = format!("<code>{}</code>", escape(mark.phase.as_str()));
        let what = escape(&mark.what);
        vec![words::second(mark.at.0), badge(tone, mark.kind.words()), phase, what]
    });
    page.table("The marks in the charts", &["Time", "Mark", "Phase", "What"], rows.collect());
}

fn criteria(page: &mut Html, report: &Report) {
    if report.criteria.is_empty() {
        return;
    }
    page.heading("Success criteria");
    for category in &report.criteria {
        let rows = category.criteria.iter().map(|entry| {
            let tone = match entry.verdict {
                CriterionState::Pass => Tone::Good,
                CriterionState::Fail => Tone::Bad,
                CriterionState::Inconclusive => Tone::Warn,
                CriterionState::NotJudged => Tone::Plain,
            };
            vec![
                escape(&entry.title),
                escape(&entry.target),
                entry.actual.as_deref().map(escape).unwrap_or_default(),
                badge(tone, entry.verdict.words()),
                entry.evidence.as_deref().map(escape).unwrap_or_default(),
                entry.judged.map(|at| words::minute(at.0)).unwrap_or_default(),
            ]
        });
        let columns = ["Criterion", "Target", "Actual", "Verdict", "Evidence", "Judged"];
        let name = category.category.name();
        page.table(&format!("Criteria of {name}"), &columns, rows.collect());
    }
}

fn milestones(page: &mut Html, report: &Report) {
    let rows = report.milestones.iter().map(|entry| {
        let reached = match entry.reached {
            Some(Moment(at)) => badge(Tone::Good, &format!("reached {}", words::minute(at))),
            None => badge(Tone::Plain, "pending"),
        };
        let days = entry.days.map(words::days).unwrap_or_default();
        vec![escape(&entry.title), reached, days]
    });
    page.section("Milestones", &["Milestone", "Status", "Planned"], rows.collect());
}

fn issues(page: &mut Html, report: &Report) {
    let rows: Vec<Vec<String>> = report
        .issues
        .iter()
        .map(|issue| {
            let (phase, run) = (escape(issue.phase.as_str()), issue.run.short().to_owned());
            vec![words::minute(issue.at.0), phase, run, escape(&issue.what)]
        })
        .collect();
    if rows.is_empty() {
        page.heading("Issues met");
        page.raw("<p>None.</p>\n");
    }
    page.section("Issues met", &["Time", "Phase", "Run", "What"], rows);
}

fn rest(page: &mut Html, report: &Report) {
    let rows = report.performance.iter().map(|measured| {
        let samples = measured.samples.map(|n| n.to_string()).unwrap_or_default();
        vec![escape(measured.metric), escape(&measured.text), samples]
    });
    page.section("Performance now", &["Metric", "Value", "Samples"], rows.collect());
    let rows = report.risks.iter().map(|risk| {
        let severity = format!("{:?}", risk.severity).to_lowercase();
        vec![severity, escape(&risk.title), escape(&risk.mitigations.join("; "))]
    });
    page.section("Risks", &["Severity", "Risk", "Mitigation"], rows.collect());
    let rows = report.backups.iter().map(|backup| {
        let id = format!("<code>{}</code>", escape(backup.id.as_str()));
        let size = words::bytes(backup.bytes);
        vec![id, words::minute(backup.at.0), size, escape(&backup.path)]
    });
    page.section("Backups", &["Backup", "Taken", "Size", "Path"], rows.collect());
    let rows = report.runs.iter().map(|run| {
        let reason = run.reason.as_ref().map(|reason| format!("reason: {reason}"));
        let why: Vec<String> = run.summary.clone().into_iter().chain(reason).collect();
        let tone = match run.outcome {
            Some(Outcome::Done) => Tone::Good,
            Some(Outcome::RolledBack | Outcome::Abandoned) => Tone::Warn,
            Some(Outcome::Held | Outcome::RollbackIncomplete) => Tone::Bad,
            None => Tone::Plain,
        };
        vec![
            words::minute(run.begun.0),
            format!("<code>{}</code>", run.run.short()),
            escape(&format!("{} {}", run.kind, run.phase)),
            badge(tone, run.outcome.map_or("in flight", outcome_brief)),
            words::span(Duration::from_millis(run.lasted_ms)),
            escape(&format!("{}@{}", run.user, run.host)),
            escape(&why.join("; ")),
        ]
    });
    let columns = ["Time", "Run", "What", "Outcome", "Lasted", "By", "Why"];
    page.section("Runs", &columns, rows.collect());
}

fn foot(page: &mut Html, report: &Report) {
    page.raw("<footer>\n");
    if let Some(head) = &report.ledger {
        page.raw(&format!(
            "<p>Ledger: entry {}, head <code>{}</code>. Whoever keeps this hash can prove later, \
             with <code>ctx ledger verify</code>, that nothing before it was rewritten.</p>\n",
            head.seq, head.hash
        ));
    }
    page.raw(&format!("<p>ctx {}</p>\n</footer>\n", env!("CARGO_PKG_VERSION")));
}

const fn phase_tone(state: PhaseState) -> Tone {
    match state {
        PhaseState::Confirmed => Tone::Good,
        PhaseState::Failed | PhaseState::RollbackIncomplete | PhaseState::Halted => Tone::Bad,
        PhaseState::RolledBack | PhaseState::RollingBack => Tone::Warn,
        PhaseState::Pending | PhaseState::Running => Tone::Plain,
    }
}

const fn step_tone(state: StepState) -> Tone {
    match state {
        StepState::Done => Tone::Good,
        StepState::Failed | StepState::NotUndone => Tone::Bad,
        StepState::RolledBack => Tone::Warn,
        StepState::Pending | StepState::Intended | StepState::Applied | StepState::Soaking => {
            Tone::Plain
        }
    }
}

fn badge(tone: Tone, words: &str) -> String {
    format!("<span class=\"badge {}\">{}</span>", tone.class(), escape(words))
}

/// HTML that grows piece by piece.
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn heading(&mut self, title: &str) {
        let _ = writeln!(self.0, "<h2>{title}</h2>");
    }

    fn list(&mut self, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.map(|item| format!("<li>{item}</li>\n")).collect();
        if !items.is_empty() {
            let _ = writeln!(self.0, "<ul>\n{}</ul>", items.concat());
        }
    }

    /// A heading and its table; nothing where there are no rows.
    fn section(&mut self, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.heading(title);
            self.table(title, head, rows);
        }
    }

    /// A table whose cells are HTML already. It scrolls by itself where it is too wide, and can be
    /// reached by the keyboard for that.
    fn table(&mut self, caption: &str, head: &[&str], rows: Vec<Vec<String>>) {
        let caption = escape(caption);
        let _ = write!(
            self.0,
            "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n<table>\n\
             <caption>{caption}</caption>\n<thead><tr>"
        );
        for title in head {
            let _ = write!(self.0, "<th scope=\"col\">{}</th>", escape(title));
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for cell in row {
                let _ = write!(self.0, "<td>{cell}</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table>\n</div>\n");
    }
}

/// Text that stays text, in an element or in an attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
