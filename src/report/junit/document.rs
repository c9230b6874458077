//! JUnit XML as GitLab, Jenkins and GitHub's reporters read it; the one writer of it.
//!
//! There is no standard; these are the elements and attributes that all of them know, in the form
//! of the Jenkins schema: counts on every level, a class for every case, and a failure apart from an
//! error, where a case could not be run and has shown nothing.

use std::fmt::Write;
use std::time::Duration;

use super::super::html::escape;

/// A suite and its cases.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    /// When it began, as RFC 3339.
    pub begun: Option<String>,
    /// How long it took; as long as its cases together where that is not said.
    pub took: Option<Duration>,
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// What a reader groups cases by, such as `PLAN.PHASE`.
    pub class: String,
    pub took: Duration,
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// And what there is to say about it, line by line.
    Passed(Vec<String>),
    Skipped(&'static str),
    Failed(Bad),
    /// It could not be run.
    Error(Bad),
}

/// What is wrong with a case.
#[derive(Clone, Debug)]
pub struct Bad {
    pub kind: &'static str,
    pub message: String,
    pub text: Vec<String>,
}

/// Renders the whole document.
pub fn render(name: &str, suites: &[Suite]) -> String {
    let all = counts(suites.iter().flat_map(|suite| &suite.cases));
    let took = suites.iter().map(Suite::took).sum();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites name=\"{}\" {all} {}>", escape(name), time(took));
    for suite in suites {
        let (name, counts) = (escape(&suite.name), counts(&suite.cases));
        let begun = suite.begun.as_ref().map(|at| format!(" timestamp=\"{}\"", escape(at)));
        let (begun, took) = (begun.unwrap_or_default(), time(suite.took()));
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {counts} {took}{begun}>");
        suite.cases.iter().for_each(|case| write_case(&mut out, case));
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

impl Suite {
    fn took(&self) -> Duration {
        self.took.unwrap_or_else(|| self.cases.iter().map(|case| case.took).sum())
    }
}

fn time(took: Duration) -> String {
    format!("time=\"{:.3}\"", took.as_secs_f64())
}

fn counts<'a>(cases: impl IntoIterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.outcome {
            Outcome::Passed(_) => {}
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Failed(_) => failures += 1,
            Outcome::Error(_) => errors += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn write_case(out: &mut String, case: &Case) {
    let (name, class, took) = (escape(&case.name), escape(&case.class), time(case.took));
    let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\" {took}");
    let _ = match &case.outcome {
        Outcome::Passed(told) if told.is_empty() => writeln!(out, "/>"),
        Outcome::Passed(told) => {
            writeln!(out, "><system-out>{}</system-out></testcase>", lines(told))
        }
        Outcome::Skipped(why) => {
            writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(why))
        }
        Outcome::Failed(bad) => write_bad(out, "failure", bad),
        Outcome::Error(bad) => write_bad(out, "error", bad),
    };
}

fn write_bad(out: &mut String, element: &str, bad: &Bad) -> std::fmt::Result {
    let Bad { kind, message, text } = bad;
    let (message, text) = (escape(message), lines(text));
    writeln!(out, "><{element} type=\"{kind}\" message=\"{message}\">{text}</{element}></testcase>")
}

/// Text of several lines; what XML cannot hold is gone.
fn lines(text: &[String]) -> String {
    text.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_counted_and_what_xml_cannot_hold_is_left_out() {
        let bad =
            || Bad { kind: "k", message: "a<b> & \"c\"\u{1b}".into(), text: vec!["x".into()] };
        let outcomes = [
            Outcome::Passed(Vec::new()),
            Outcome::Passed(vec!["one".to_owned(), "two".to_owned()]),
            Outcome::Skipped("not yet"),
            Outcome::Failed(bad()),
            Outcome::Error(bad()),
        ];
        let case = |outcome| Case {
            name: "n".to_owned(),
            class: "c".to_owned(),
            took: Duration::from_millis(1),
            outcome,
        };
        let cases = outcomes.map(case).to_vec();
        let suite = Suite { name: "s".to_owned(), begun: None, took: None, cases };
        insta::assert_snapshot!(render("all", &[suite]), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="all" tests="5" failures="1" errors="1" skipped="1" time="0.005">
          <testsuite name="s" tests="5" failures="1" errors="1" skipped="1" time="0.005">
            <testcase name="n" classname="c" time="0.001"/>
            <testcase name="n" classname="c" time="0.001"><system-out>one
        two</system-out></testcase>
            <testcase name="n" classname="c" time="0.001"><skipped message="not yet"/></testcase>
            <testcase name="n" classname="c" time="0.001"><failure type="k" message="a&lt;b&gt; &amp; &quot;c&quot;�">x</failure></testcase>
            <testcase name="n" classname="c" time="0.001"><error type="k" message="a&lt;b&gt; &amp; &quot;c&quot;�">x</error></testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
