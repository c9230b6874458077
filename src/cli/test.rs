//! `ctx test`: how the outcome of a suite is shown.

use serde_json::{Value, json};

use crate::error::count;
use crate::load::suites::{CaseOutcome, LoadOutcome, SuiteOutcome};
use crate::ui::{Paint, Ui};
use crate::units::duration;

/// Columns of a line with its leader; wider terminals leave the eye too far to travel.
const WIDEST: usize = 88;

/// The outcome of a suite as lines of text.
pub fn lines(outcome: &SuiteOutcome, ui: &Ui) -> Vec<String> {
    let title = format!("{} ({})", outcome.id, count(outcome.cases.len(), "case"));
    let mut lines = vec![ui.paint_out(Paint::Strong, &title)];
    for case in &outcome.cases {
        lines.push(leader(&case.name, case.passed(), ui));
        lines.extend(case.faults.iter().map(|fault| format!("      {}: {fault}", case.request)));
    }
    lines.extend(outcome.load.iter().flat_map(|load| load_lines(load, ui)));
    lines
}

fn load_lines(load: &LoadOutcome, ui: &Ui) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(outcome) = &load.outcome {
        let lasted = duration::format(outcome.lasted);
        let (sent, wrong) = (outcome.sent, outcome.errors());
        let title = format!("load: {sent} requests in {lasted}, {wrong} wrong");
        lines.push(leader(&title, load.faults.is_empty(), ui));
    } else {
        lines.push(leader("load", false, ui));
    }
    lines.extend(load.faults.iter().map(|fault| format!("      {fault}")));
    lines
        .extend(load.judged.iter().map(|(_, verdict)| leader(verdict.why(), verdict.passed(), ui)));
    lines
}

/// `  name ......... ok`, or `FAIL`.
fn leader(text: &str, passed: bool, ui: &Ui) -> String {
    let (word, paint) = if passed { ("ok", Paint::Good) } else { ("FAIL", Paint::Bad) };
    let taken = 2 + text.chars().count() + 2 + word.len();
    let dots = ".".repeat(ui.width.min(WIDEST).saturating_sub(taken).max(3));
    format!("  {text} {} {}", ui.paint_out(Paint::Faint, &dots), ui.paint_out(paint, word))
}

/// The outcome of a suite as JSON: its parts, and `passed` and `summary` on top.
pub fn json(outcome: &SuiteOutcome) -> Value {
    let case = |case: &CaseOutcome| {
        let mut value = serde_json::to_value(case).expect("a case's outcome is plain data");
        value["passed"] = case.passed().into();
        value
    };
    json!({
        "suite": outcome.id,
        "kind": outcome.kind,
        "passed": outcome.passed(),
        "summary": outcome.summary(),
        "cases": outcome.cases.iter().map(case).collect::<Vec<_>>(),
        "load": outcome.load,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::judge::{Metric, Verdict};
    use crate::load::Counters;
    use crate::plan::model::SuiteKind;
    use crate::ui::Color;

    fn outcome() -> SuiteOutcome {
        let case = |name: &str, request: &str, faults: Vec<String>| CaseOutcome {
            name: name.into(),
            request: request.into(),
            took: Duration::from_millis(2),
            faults,
        };
        let fault = r#"expected status 200, got 500 with `{"detail":"no"}`"#.to_owned();
        let verdict = Verdict::Pass("error_rate 0% (n=2000), limit at most 1%".into());
        SuiteOutcome {
            id: "events".parse().unwrap(),
            kind: SuiteKind::Integration,
            cases: vec![
                case("a push is acknowledged", "POST /github/events", vec![]),
                case("a mention is acknowledged", "POST /slack/events", vec![fault]),
            ],
            load: Some(LoadOutcome {
                outcome: Some(Counters::default().outcome(Duration::from_secs(10))),
                faults: vec!["no request was answered".into()],
                judged: vec![(Metric::ErrorRate, verdict)],
            }),
        }
    }

    #[test]
    fn a_suite_reads_line_by_line() {
        let ui = Ui { width: 60, ..Ui::new(false, false, Color::Never) };
        insta::assert_snapshot!(lines(&outcome(), &ui).join("\n"), @r#"
        events (2 cases)
          a push is acknowledged ................................ ok
          a mention is acknowledged ........................... FAIL
              POST /slack/events: expected status 200, got 500 with `{"detail":"no"}`
          load: 0 requests in 10s, 0 wrong .................... FAIL
              no request was answered
          error_rate 0% (n=2000), limit at most 1% .............. ok
        "#);
    }

    #[test]
    fn json_says_what_passed() {
        let json = json(&outcome());
        assert_eq!(json["passed"], false);
        assert_eq!(json["kind"], "integration");
        assert_eq!(json["cases"][0]["passed"], true);
        assert_eq!(json["cases"][1]["request"], "POST /slack/events");
        assert_eq!(json["load"]["judged"][0][0], "error_rate");
    }
}
