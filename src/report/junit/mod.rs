//! The report as JUnit XML, as GitLab, Jenkins and GitHub's reporters read it: a suite is a phase,
//! a case is a criterion, and the first case of a suite is whether the phase is in force.
//!
//! A criterion that cannot be judged is a failure of type `inconclusive`: a pipeline must not go on
//! because nobody looked. What was never judged, and a phase that never ran, is skipped.

pub mod document;

use std::time::Duration;

use self::document::{Bad, Case, Outcome, Suite};
use super::model::{CriterionEntry, CriterionState, PhaseEntry, PhaseState, Report};
use crate::clock::{from_wall_ms, rfc3339};

/// Renders the report.
pub fn render(report: &Report) -> String {
    let name = report.plan.as_ref().map_or("migration", |plan| plan.as_str());
    document::render(name, &suites(report, name))
}

fn suites(report: &Report, plan: &str) -> Vec<Suite> {
    let criteria = || report.criteria.iter().flat_map(|category| &category.criteria);
    let phase = |phase: &PhaseEntry| {
        let id = phase.id.as_ref().map_or_else(|| phase.number.to_string(), ToString::to_string);
        let class = format!("{plan}.{id}");
        let own = criteria()
            .filter(|entry| phase.id.as_ref().is_some_and(|id| entry.required_by.contains(id)));
        Suite {
            name: format!("phase {} {id}: {}", phase.number, phase.title),
            begun: phase.begun.map(|at| rfc3339(from_wall_ms(at.0))),
            took: phase.lasted_ms.map(Duration::from_millis),
            cases: std::iter::once(in_force(phase, report, &class))
                .chain(own.map(|entry| case(entry, &class)))
                .collect(),
        }
    };
    let mut suites: Vec<Suite> = report.phases.iter().map(phase).collect();
    // Those that no phase requires stand for the migration as a whole.
    let class = format!("{plan}.migration");
    let whole = criteria().filter(|entry| entry.required_by.is_empty());
    let cases: Vec<Case> = whole.map(|entry| case(entry, &class)).collect();
    if !cases.is_empty() {
        let name = "the migration as a whole".to_owned();
        suites.push(Suite { name, begun: None, took: None, cases });
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
        PhaseState::Confirmed => Outcome::Passed(vec!["confirmed".to_owned()]),
        PhaseState::Pending => Outcome::Skipped("the phase was not run yet"),
        PhaseState::Running => Outcome::Skipped("the phase is in flight"),
        state @ (PhaseState::RollingBack
        | PhaseState::RolledBack
        | PhaseState::Failed
        | PhaseState::RollbackIncomplete
        | PhaseState::Halted) => {
            let message = state.words().to_owned();
            Outcome::Failed(Bad { kind: "phase", message, text: vec![why()] })
        }
    };
    let name = "the phase is confirmed".to_owned();
    Case { name, class: class.to_owned(), took: Duration::ZERO, outcome }
}

fn case(entry: &CriterionEntry, class: &str) -> Case {
    let told = || {
        let actual = entry.actual.as_deref().unwrap_or("not known");
        let evidence = entry.evidence.as_deref().unwrap_or_default();
        let (target, actual) = (format!("target: {}", entry.target), format!("actual: {actual}"));
        vec![target, actual, evidence.to_owned()]
    };
    let failed = |kind| {
        let actual = entry.actual.as_deref().unwrap_or("not known");
        let message = format!("{}, actual {actual}", entry.target);
        Outcome::Failed(Bad { kind, message, text: told() })
    };
    let outcome = match entry.verdict {
        CriterionState::Pass => Outcome::Passed(told()),
        CriterionState::NotJudged => Outcome::Skipped("not judged"),
        CriterionState::Fail => failed("criterion"),
        CriterionState::Inconclusive => failed("inconclusive"),
    };
    let name = format!("{}: {}", entry.id, entry.title);
    Case { name, class: class.to_owned(), took: Duration::ZERO, outcome }
}
