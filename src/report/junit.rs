//! The report as JUnit XML, as GitLab, Jenkins and GitHub's reporters read it: a suite is a phase,
//! a case is a criterion, and the first case of a suite is whether the phase is in force.
//!
//! A criterion that cannot be judged is a failure of type `inconclusive`: a pipeline must not go on
//! because nobody looked. What was never judged, and a phase that never ran, is skipped.

use std::fmt::Write;

use super::html::escape;
use super::model::{CriterionEntry, CriterionState, PhaseEntry, PhaseState, Report};
use crate::clock::{from_wall_ms, rfc3339};

/// One test case.
struct Case {
    name: String,
    class: String,
    outcome: Outcome,
}

/// What came of a case.
enum Outcome {
    Passed(String),
    Skipped(&'static str),
    Failed { kind: &'static str, message: String, text: String },
}

/// Renders the report.
pub fn render(report: &Report) -> String {
    let name = report.plan.as_ref().map_or("migration", |plan| plan.as_str());
    let suites: Vec<(String, Option<&PhaseEntry>, Vec<Case>)> = suites(report, name);
    let all = || suites.iter().flat_map(|(.., cases)| cases);
    let (tests, failures, skipped) = counted(all());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\">",
        escape(name)
    );
    for (name, phase, cases) in &suites {
        suite(&mut out, name, *phase, cases);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suites<'a>(report: &'a Report, plan: &str) -> Vec<(String, Option<&'a PhaseEntry>, Vec<Case>)> {
    let criteria = || report.criteria.iter().flat_map(|category| &category.criteria);
    let phase = |phase: &'a PhaseEntry| {
        let id = phase.id.as_ref().map_or_else(|| phase.number.to_string(), ToString::to_string);
        let class = format!("{plan}.{id}");
        let own = criteria()
            .filter(|entry| phase.id.as_ref().is_some_and(|id| entry.required_by.contains(id)));
        let cases = std::iter::once(in_force(phase, report, &class))
            .chain(own.map(|entry| case(entry, &class)))
            .collect();
        (format!("phase {} {id}: {}", phase.number, phase.title), Some(phase), cases)
    };
    let mut suites: Vec<_> = report.phases.iter().map(phase).collect();
    // Those that no phase requires stand for the migration as a whole.
    let class = format!("{plan}.migration");
    let whole: Vec<Case> =
        criteria().filter(|entry| entry.required_by.is_empty()).map(|c| case(c, &class)).collect();
    if !whole.is_empty() {
        suites.push(("the migration as a whole".to_owned(), None, whole));
    }
    suites
}

/// Whether the phase is in force, as a case of its own: a phase that was rolled back before its
/// criteria were judged must not look as if nothing had happened.
fn in_force(phase: &PhaseEntry, report: &Report, class: &str) -> Case {
    let why = || {
        let mut issues = report.issues.iter();
        let issue = issues.find(|issue| Some(&issue.phase) == phase.id.as_ref());
        issue.map(|issue| issue.what.clone()).unwrap_or_default()
    };
    let outcome = match phase.status {
        PhaseState::Confirmed => Outcome::Passed("confirmed".to_owned()),
        PhaseState::Pending => Outcome::Skipped("the phase was not run yet"),
        PhaseState::Running => Outcome::Skipped("the phase is in flight"),
        state @ (PhaseState::RollingBack
        | PhaseState::RolledBack
        | PhaseState::Failed
        | PhaseState::RollbackIncomplete
        | PhaseState::Halted) => {
            Outcome::Failed { kind: "phase", message: state.words().to_owned(), text: why() }
        }
    };
    Case { name: "the phase is confirmed".to_owned(), class: class.to_owned(), outcome }
}

fn case(entry: &CriterionEntry, class: &str) -> Case {
    let told = || {
        let actual = entry.actual.as_deref().unwrap_or("not known");
        let evidence = entry.evidence.as_deref().unwrap_or_default();
        format!("target: {}\nactual: {actual}\n{evidence}", entry.target)
    };
    let failed = |kind| {
        let actual = entry.actual.as_deref().unwrap_or("not known");
        let message = format!("{}, actual {actual}", entry.target);
        Outcome::Failed { kind, message, text: told() }
    };
    let outcome = match entry.verdict {
        CriterionState::Pass => Outcome::Passed(told()),
        CriterionState::NotJudged => Outcome::Skipped("not judged"),
        CriterionState::Fail => failed("criterion"),
        CriterionState::Inconclusive => failed("inconclusive"),
    };
    let name = format!("{}: {}", entry.id, entry.title);
    Case { name, class: class.to_owned(), outcome }
}

fn counted<'a>(cases: impl Iterator<Item = &'a Case>) -> (usize, usize, usize) {
    cases.fold((0, 0, 0), |(tests, failures, skipped), case| match case.outcome {
        Outcome::Passed(_) => (tests + 1, failures, skipped),
        Outcome::Skipped(_) => (tests + 1, failures, skipped + 1),
        Outcome::Failed { .. } => (tests + 1, failures + 1, skipped),
    })
}

fn suite(out: &mut String, name: &str, phase: Option<&PhaseEntry>, cases: &[Case]) {
    let (tests, failures, skipped) = counted(cases.iter());
    let begun = phase.and_then(|phase| phase.begun);
    let at = begun.map(|at| format!(" timestamp=\"{}\"", rfc3339(from_wall_ms(at.0))));
    #[expect(clippy::cast_precision_loss, reason = "shown with three decimals")]
    let seconds = phase.and_then(|phase| phase.lasted_ms).unwrap_or(0) as f64 / 1000.0;
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"{seconds:.3}\"{}>",
        escape(name),
        at.unwrap_or_default()
    );
    for Case { name, class, outcome } in cases {
        let (name, class) = (escape(name), escape(class));
        let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\" time=\"0\"");
        let _ = match outcome {
            Outcome::Passed(told) => {
                writeln!(out, "><system-out>{}</system-out></testcase>", lines(told))
            }
            Outcome::Skipped(why) => writeln!(out, "><skipped message=\"{why}\"/></testcase>"),
            Outcome::Failed { kind, message, text } => writeln!(
                out,
                "><failure type=\"{kind}\" message=\"{}\">{}</failure></testcase>",
                escape(message),
                lines(text)
            ),
        };
    }
    out.push_str("  </testsuite>\n");
}

/// Text of several lines; what XML cannot hold is gone.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
