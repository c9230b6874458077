//! The report as GitHub Markdown: for a pull request, an issue, or a step summary.
//!
//! Everything that comes from a plan, a ledger or a service is escaped: it can neither break a
//! table, nor become a link, an image or a mention.

use std::fmt::Write;
use std::time::Duration;

use super::model::{Moment, PhaseEntry, Report};
use super::page::clean;
use super::text::{outcome_brief, progress, span_of};
use super::words;

/// Renders the report.
pub fn render(report: &Report) -> String {
    let mut out = Text(String::new());
    head(&mut out, report);
    out.heading("Next");
    for step in &report.next_steps {
        match &step.command {
            Some(command) => out.line(&format!("- {}: {}", code(command), escape(&step.why))),
            None => out.line(&format!("- {}", escape(&step.why))),
        }
    }
    phases(&mut out, &report.phases);
    milestones(&mut out, report);
    criteria(&mut out, report);
    let rows = report.performance.iter().map(|measured| {
        let samples = measured.samples.map(|n| n.to_string()).unwrap_or_default();
        vec![code(measured.metric), escape(&measured.text), samples]
    });
    out.section("Performance now", &["metric", "value", "samples"], rows.collect());
    issues(&mut out, report);
    let rows = report.risks.iter().map(|risk| {
        let severity = format!("{:?}", risk.severity).to_lowercase();
        vec![severity, escape(&risk.title), escape(&risk.mitigations.join("; "))]
    });
    out.section("Risks", &["severity", "risk", "mitigation"], rows.collect());
    records(&mut out, report);
    out.0
}

fn head(out: &mut Text, report: &Report) {
    out.line(&format!("# {}", escape(&report.title)));
    out.line("");
    let name = report.plan.as_ref().map(|plan| format!("Plan {}, ", code(plan.as_str())));
    let at = words::second(report.generated_at.0);
    out.line(&format!(
        "{}as of {at}. **{}.**",
        name.unwrap_or_default(),
        progress(&report.progress)
    ));
    if let Some(orchestrator) = &report.orchestrator {
        out.line("");
        out.line(&format!(
            "The orchestrator is **{}**, revision {}, ctx {}.",
            orchestrator.health,
            orchestrator.revision,
            escape(&orchestrator.version)
        ));
        for sentence in orchestrator.provisional.iter().chain(&orchestrator.failing) {
            out.line(&format!("- {}", escape(sentence)));
        }
    }
    for note in &report.notes {
        out.line("");
        out.line(&format!("> Note: {}.", escape(note)));
    }
}

fn phases(out: &mut Text, phases: &[PhaseEntry]) {
    let rows = phases.iter().map(|phase| {
        let days = phase.days.map(|(first, last)| format!("{first}-{last}"));
        let soak = Duration::from_millis(phase.soak_ms);
        vec![
            phase.number.to_string(),
            phase.id.as_ref().map(|id| code(id.as_str())).unwrap_or_default(),
            escape(&phase.title),
            bold_if_upper(phase.status.words()),
            format!("{}%", phase.percent),
            days.unwrap_or_default(),
            if soak.is_zero() { String::new() } else { words::span(soak) },
            phase.begun.map(|at| words::minute(at.0)).unwrap_or_default(),
            phase.lasted_ms.map(|ms| words::span(Duration::from_millis(ms))).unwrap_or_default(),
        ]
    });
    let head = ["#", "phase", "title", "status", "done", "days", "soak", "begun", "lasted"];
    out.section("Phases", &head, rows.collect());
    for phase in phases.iter().filter(|phase| !phase.steps.is_empty()) {
        let rows = phase.steps.iter().map(|step| {
            let revisions: Vec<String> = step.revisions.iter().map(ToString::to_string).collect();
            let soak = Duration::from_millis(step.soak_ms);
            let irreversible = step.irreversible.then_some("irreversible");
            let detail: Vec<&str> =
                irreversible.into_iter().chain(step.detail.as_deref()).collect();
            vec![
                code(step.id.as_str()),
                bold_if_upper(step.status.words()),
                format!("{}/{}", step.parts_done, step.parts),
                span_of(&revisions),
                if soak.is_zero() { String::new() } else { words::span(soak) },
                step.ended.map(|at| words::second(at.0)).unwrap_or_default(),
                escape(&detail.join("; ")),
            ]
        });
        let rows = rows.collect();
        out.line("");
        out.line(&format!("### Phase {}: {}", phase.number, escape(&phase.title)));
        if let Some(objective) = &phase.objective {
            out.line("");
            out.line(&escape(objective));
        }
        out.table(&["step", "status", "parts", "revision", "soak", "ended", "detail"], rows);
    }
}

fn milestones(out: &mut Text, report: &Report) {
    let rows = report.milestones.iter().map(|entry| {
        let status = match entry.reached {
            Some(Moment(at)) => format!("reached {}", words::day(at)),
            None => "pending".to_owned(),
        };
        let days = entry.days.map(words::days).unwrap_or_default();
        vec![code(entry.id.as_str()), status, days, escape(&entry.title)]
    });
    out.section("Milestones", &["milestone", "status", "planned", "title"], rows.collect());
}

fn criteria(out: &mut Text, report: &Report) {
    let rows = report.criteria.iter().flat_map(|category| {
        category.criteria.iter().map(|entry| {
            vec![
                category.category.name().to_owned(),
                code(entry.id.as_str()),
                escape(&entry.target),
                entry.actual.as_deref().map(escape).unwrap_or_default(),
                bold_if_upper(entry.verdict.words()),
                entry.evidence.as_deref().map(escape).unwrap_or_default(),
                entry.judged.map(|at| words::minute(at.0)).unwrap_or_default(),
            ]
        })
    });
    let head = ["category", "criterion", "target", "actual", "verdict", "evidence", "judged"];
    out.section("Success criteria", &head, rows.collect());
}

fn issues(out: &mut Text, report: &Report) {
    let rows: Vec<Vec<String>> = report
        .issues
        .iter()
        .map(|issue| {
            let (phase, run) = (code(issue.phase.as_str()), code(issue.run.short()));
            vec![words::minute(issue.at.0), phase, run, escape(&issue.what)]
        })
        .collect();
    if rows.is_empty() {
        out.heading("Issues");
        out.line("None.");
    }
    out.section("Issues", &["time", "phase", "run", "what"], rows);
}

fn records(out: &mut Text, report: &Report) {
    let rows = report.backups.iter().map(|backup| {
        let run = backup.run.as_ref().map(|run| code(run.short())).unwrap_or_default();
        let size = words::bytes(backup.bytes);
        vec![code(backup.id.as_str()), words::minute(backup.at.0), size, run, code(&backup.path)]
    });
    out.section("Backups", &["backup", "taken", "size", "run", "path"], rows.collect());
    let rows = report.runs.iter().map(|run| {
        let reason = run.reason.as_ref().map(|reason| format!("reason: {reason}"));
        let why: Vec<String> = run.summary.clone().into_iter().chain(reason).collect();
        vec![
            words::minute(run.begun.0),
            code(run.run.short()),
            escape(&run.kind),
            code(run.phase.as_str()),
            bold_if_upper(run.outcome.map_or("in flight", outcome_brief)),
            words::span(Duration::from_millis(run.lasted_ms)),
            escape(&format!("{}@{}", run.user, run.host)),
            escape(&why.join("; ")),
        ]
    });
    let head = ["time", "run", "kind", "phase", "outcome", "lasted", "by", "why"];
    out.section("Runs", &head, rows.collect());
    if let Some(head) = &report.ledger {
        out.line("");
        out.line(&format!("Ledger: entry {}, {}", head.seq, code(&head.hash)));
    }
}

/// Markdown that grows line by line.
struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        writeln!(self.0, "{line}").expect("a String takes any text");
    }

    fn heading(&mut self, title: &str) {
        self.line("");
        self.line(&format!("## {title}"));
        self.line("");
    }

    /// A heading and its table; nothing where there are no rows.
    fn section(&mut self, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
        if !rows.is_empty() {
            self.line("");
            self.line(&format!("## {title}"));
            self.table(head, rows);
        }
    }

    fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        self.line("");
        self.line(&format!("| {} |", head.join(" | ")));
        self.line(&format!("|{}", " --- |".repeat(head.len())));
        for row in rows {
            self.line(&format!("| {} |", row.join(" | ")));
        }
    }
}

/// States that need somebody are written in capitals, and so in bold.
fn bold_if_upper(words: &str) -> String {
    let upper = words.split(' ').any(|word| word.len() > 2 && word == word.to_uppercase());
    if upper { format!("**{words}**") } else { words.to_owned() }
}

/// Text that stays text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A mention needs an `@` before a word; an entity is not one.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    // GitHub makes links of bare addresses too.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// Text as code; the fence is longer than any run of backticks within.
fn code(text: &str) -> String {
    let text = clean(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}
