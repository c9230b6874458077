//! The outcome of suites as JUnit XML: a suite is a suite, a case is a case, and the load of a
//! suite is a case and one more for each threshold.
//!
//! A failure shows the request as it was sent, what was expected, and what came instead. A request
//! that could not be made is an error: the case has shown nothing about the service. A threshold
//! that cannot be judged is a failure of type `inconclusive`, as in a report.

use std::time::Duration;

use crate::ids::PlanName;
use crate::judge::Verdict;
use crate::load::suites::{CaseOutcome, Fault, LoadOutcome, SuiteOutcome};
use crate::report::junit::document::{self, Bad, Case, Outcome, Suite};

/// Renders the outcomes of a plan's suites.
pub(super) fn render(plan: &PlanName, outcomes: &[SuiteOutcome]) -> String {
    let suite = |outcome: &SuiteOutcome| {
        let class = format!("{plan}.{}", outcome.id);
        let own = outcome.cases.iter().map(|one| case(one, &class));
        let cases = own.chain(outcome.load.iter().flat_map(|one| load(one, &class))).collect();
        Suite { name: outcome.id.to_string(), begun: None, took: None, cases }
    };
    let suites: Vec<Suite> = outcomes.iter().map(suite).collect();
    document::render(plan.as_str(), &suites)
}

fn case(case: &CaseOutcome, class: &str) -> Case {
    let outcome = match case.faults.first() {
        None => Outcome::Passed(Vec::new()),
        Some(fault) => {
            let bad = |kind| Bad { kind, message: fault.to_string(), text: case.told() };
            match fault {
                Fault::NotSent { .. } => Outcome::Error(bad("not-sent")),
                Fault::Differs { .. } => Outcome::Failed(bad("expectation")),
            }
        }
    };
    Case { name: case.name.clone(), class: class.to_owned(), took: case.took, outcome }
}

fn load(load: &LoadOutcome, class: &str) -> Vec<Case> {
    let took = load.outcome.as_ref().map_or(Duration::ZERO, |outcome| outcome.lasted);
    let applied = match load.faults.first() {
        None => Outcome::Passed(vec![load.sent()]),
        Some(fault) => {
            let text = [load.faults.clone(), load.told()].concat();
            let bad = Bad { kind: "load", message: fault.clone(), text };
            if load.outcome.is_some() { Outcome::Failed(bad) } else { Outcome::Error(bad) }
        }
    };
    let case = |name: String, took, outcome| Case { name, class: class.to_owned(), took, outcome };
    let judged = load.judged.iter().map(|(metric, verdict)| {
        let why = || verdict.why().to_owned();
        let text = || [vec![why()], load.told()].concat();
        let bad = |kind| Outcome::Failed(Bad { kind, message: why(), text: text() });
        let outcome = match verdict {
            Verdict::Pass(_) => Outcome::Passed(vec![why()]),
            Verdict::Fail(_) => bad("threshold"),
            Verdict::Inconclusive(_) => bad("inconclusive"),
        };
        case(format!("load: {metric}"), Duration::ZERO, outcome)
    });
    std::iter::once(case("load".to_owned(), took, applied)).chain(judged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_with_its_load_reads_as_cases() {
        let text = render(&"shop".parse().unwrap(), &[super::super::tests::outcome()]);
        insta::assert_snapshot!(text, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="shop" tests="4" failures="2" errors="0" skipped="0" time="10.004">
          <testsuite name="events" tests="4" failures="2" errors="0" skipped="0" time="10.004">
            <testcase name="a push is acknowledged" classname="shop.events" time="0.002"/>
            <testcase name="a mention is acknowledged" classname="shop.events" time="0.002"><failure type="expectation" message="expected status 200, got 500 with `{&quot;detail&quot;:&quot;no&quot;}`">request POST /slack/events
        expected status 200
        got 500 with `{&quot;detail&quot;:&quot;no&quot;}`</failure></testcase>
            <testcase name="load" classname="shop.events" time="10.000"><failure type="load" message="no request was answered">no request was answered
        request POST /github/events (`a push is acknowledged`)
        expected status 200
        got no answer: connection refused, 20 times</failure></testcase>
            <testcase name="load: error_rate" classname="shop.events" time="0.000"><system-out>error_rate 0% (n=2000), limit at most 1%</system-out></testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
