//! The report as JUnit XML, which GitLab and most other CI systems show as tests.
//!
//! A suite is a phase, a case one of its criteria; the first case of a suite is the phase itself.
//! `failure` says that it is not so, `error` that it could not be found out, `skipped` that it was
//! not looked at yet. Criteria that no phase needs are a suite of the whole migration.

use std::fmt::Write;

use super::model::{CriterionEntry, CriterionState, PhaseEntry, PhaseState, Report};
use super::page::clean;

/// One case.
struct Case<'a> {
    name: &'a str,
    seconds: Option<f64>,
    result: Result<(), Not>,
}

/// Why a case has not passed.
struct Not {
    element: &'static str,
    message: String,
}

/// Renders the report.
pub fn render(report: &Report) -> String {
    let plan = report.plan.as_ref().map_or("migration", |plan| plan.as_str());
    let criteria = || report.criteria.iter().flat_map(|category| &category.criteria);
    let mut suites = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    let mut add = |name: &str, begun: Option<String>, cases: &[Case<'_>]| {
        let count = |element: &str| {
            cases.iter().filter(|c| c.result.as_ref().is_err_and(|n| n.element == element)).count()
        };
        let (all, failed, unknown) = (cases.len(), count("failure"), count("error"));
        tests += all;
        failures += failed;
        errors += unknown;
        let skipped = count("skipped");
        let begun = begun.map(|at| format!(" timestamp=\"{at}\"")).unwrap_or_default();
        let _ = writeln!(
            suites,
            "  <testsuite name=\"{}\" tests=\"{all}\" failures=\"{failed}\" errors=\"{unknown}\" \
             skipped=\"{skipped}\"{begun}>",
            text(name)
        );
        for case in cases {
            suites.push_str(&element(case, plan, name));
        }
        suites.push_str("  </testsuite>\n");
    };
    for phase in &report.phases {
        let id = phase.id.as_ref();
        let own = criteria().filter(|c| id.is_some_and(|id| c.required_by.contains(id)));
        let mut cases = vec![of_phase(phase)];
        cases.extend(own.map(of_criterion));
        let begun = phase.begun.map(|at| crate::clock::rfc3339(crate::clock::from_wall_ms(at.0)));
        let name = id.map_or(phase.title.as_str(), |id| id.as_str());
        add(&format!("{} {name}", phase.number), begun, &cases);
    }
    let whole: Vec<_> = criteria().filter(|c| c.required_by.is_empty()).map(of_criterion).collect();
    if !whole.is_empty() {
        add("the whole migration", None, &whole);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n",
        text(plan)
    )
}

fn of_phase(phase: &PhaseEntry) -> Case<'_> {
    let not = |element, message: &str| Err(Not { element, message: message.to_owned() });
    let result = match phase.status {
        PhaseState::Confirmed => Ok(()),
        PhaseState::Pending => not("skipped", "it was not run yet"),
        PhaseState::Running => not("skipped", "it is running"),
        PhaseState::RollingBack => not("failure", "it is being rolled back"),
        PhaseState::RolledBack => not("failure", "it was rolled back"),
        PhaseState::Failed => not("failure", "it failed, and stays where it is"),
        PhaseState::RollbackIncomplete => not("failure", "its rollback is NOT complete"),
        PhaseState::Halted => not("error", "it waits for a person"),
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds with milliseconds, for display")]
    let seconds = phase.lasted_ms.map(|ms| ms as f64 / 1000.0);
    Case { name: &phase.title, seconds, result }
}

fn of_criterion(criterion: &CriterionEntry) -> Case<'_> {
    let found = criterion.evidence.as_deref().or(criterion.actual.as_deref()).unwrap_or_default();
    let message = format!("{}: {found}", criterion.target);
    let element = match criterion.verdict {
        CriterionState::Pass => None,
        CriterionState::Fail => Some("failure"),
        CriterionState::Inconclusive => Some("error"),
        CriterionState::NotJudged => Some("skipped"),
    };
    let result = element.map_or(Ok(()), |element| Err(Not { element, message }));
    Case { name: criterion.id.as_str(), seconds: None, result }
}

fn element(case: &Case<'_>, plan: &str, suite: &str) -> String {
    let seconds = case.seconds.map(|s| format!(" time=\"{s:.3}\"")).unwrap_or_default();
    let (name, class) = (text(case.name), text(&format!("{plan}.{suite}")));
    let head = format!("    <testcase name=\"{name}\" classname=\"{class}\"{seconds}");
    match &case.result {
        Ok(()) => format!("{head}/>\n"),
        Err(Not { element, message }) => {
            format!("{head}>\n      <{element} message=\"{}\"/>\n    </testcase>\n", text(message))
        }
    }
}

/// A text as the value of an attribute.
fn text(text: &str) -> String {
    let text = clean(text).replace('\n', " ");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
