//! The outcome of suites as JUnit XML: a suite is a suite, a case is a case, and the load of a
//! suite is a case and one more for each threshold.
//!
//! A failure shows the request as it was sent, what was expected, and what came instead. A request
//! that could not be made is an error: the case has shown nothing about the service. A threshold
//! that cannot be judged is a failure of type `inconclusive`, as in a report.

use std::fmt::Write;
use std::time::Duration;

use crate::ids::PlanName;
use crate::judge::Verdict;
use crate::load::suites::{CaseOutcome, Fault, LoadOutcome, SuiteOutcome};
use crate::report::html::escape;

/// One test case.
struct Case {
    name: String,
    took: Duration,
    result: Result<Option<String>, Bad>,
}

/// What is wrong with a case.
struct Bad {
    /// `failure`, or `error` where the case could not be run.
    element: &'static str,
    kind: &'static str,
    message: String,
    text: Vec<String>,
}

/// Renders the outcomes of a plan's suites.
pub(super) fn render(plan: &PlanName, outcomes: &[SuiteOutcome]) -> String {
    let suites: Vec<(&SuiteOutcome, Vec<Case>)> =
        outcomes.iter().map(|outcome| (outcome, cases(outcome))).collect();
    let all = counts(suites.iter().flat_map(|(_, cases)| cases));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"{}\" {all}>", escape(plan.as_str()));
    for (outcome, cases) in &suites {
        let class = escape(&format!("{plan}.{}", outcome.id));
        let (id, counts) = (escape(outcome.id.as_str()), counts(cases));
        let _ = writeln!(out, "  <testsuite name=\"{id}\" {counts}>");
        for case in cases {
            write_case(&mut out, &class, case);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counts<'a>(cases: impl IntoIterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut took) = (0, 0, 0, Duration::ZERO);
    for case in cases {
        tests += 1;
        took += case.took;
        match &case.result {
            Ok(_) => {}
            Err(bad) if bad.element == "error" => errors += 1,
            Err(_) => failures += 1,
        }
    }
    format!(
        "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" \
         time=\"{:.3}\"",
        took.as_secs_f64()
    )
}

fn write_case(out: &mut String, class: &str, case: &Case) {
    let (name, took) = (escape(&case.name), case.took.as_secs_f64());
    let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\" time=\"{took:.3}\"");
    let _ = match &case.result {
        Ok(None) => writeln!(out, "/>"),
        Ok(Some(said)) => writeln!(out, "><system-out>{}</system-out></testcase>", escape(said)),
        Err(Bad { element, kind, message, text }) => {
            let text: Vec<String> = text.iter().map(|line| escape(line)).collect();
            writeln!(
                out,
                "><{element} type=\"{kind}\" message=\"{}\">{}</{element}></testcase>",
                escape(message),
                text.join("\n")
            )
        }
    };
}

fn cases(outcome: &SuiteOutcome) -> Vec<Case> {
    let own = outcome.cases.iter().map(case);
    own.chain(outcome.load.iter().flat_map(load)).collect()
}

fn case(case: &CaseOutcome) -> Case {
    let result = match case.faults.first() {
        None => Ok(None),
        Some(fault) => {
            let (element, kind) = match fault {
                Fault::NotSent { .. } => ("error", "not-sent"),
                Fault::Differs { .. } => ("failure", "expectation"),
            };
            Err(Bad { element, kind, message: fault.to_string(), text: case.told() })
        }
    };
    Case { name: case.name.clone(), took: case.took, result }
}

fn load(load: &LoadOutcome) -> Vec<Case> {
    let took = load.outcome.as_ref().map_or(Duration::ZERO, |outcome| outcome.lasted);
    let applied = match load.faults.first() {
        None => Ok(Some(load.sent())),
        Some(fault) => Err(Bad {
            element: if load.outcome.is_some() { "failure" } else { "error" },
            kind: "load",
            message: fault.clone(),
            text: load.faults.clone(),
        }),
    };
    let judged = load.judged.iter().map(|(metric, verdict)| {
        let kind = match verdict {
            Verdict::Inconclusive(_) => "inconclusive",
            Verdict::Pass(_) | Verdict::Fail(_) => "threshold",
        };
        let why = verdict.why().to_owned();
        let result = if verdict.passed() {
            Ok(Some(why))
        } else {
            Err(Bad { element: "failure", kind, message: why.clone(), text: vec![why] })
        };
        Case { name: format!("load: {metric}"), took: Duration::ZERO, result }
    });
    std::iter::once(Case { name: "load".to_owned(), took, result: applied }).chain(judged).collect()
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
            <testcase name="load" classname="shop.events" time="10.000"><failure type="load" message="no request was answered">no request was answered</failure></testcase>
            <testcase name="load: error_rate" classname="shop.events" time="0.000"><system-out>error_rate 0% (n=2000), limit at most 1%</system-out></testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
