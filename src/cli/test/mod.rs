//! `ctx test`: runs a plan's test suites, and shows what came of them.

mod junit;

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};

use super::hands::Workshop;
use super::session::{block_on, connect, control_failure};
use super::{Context, candidates};
use crate::control::client::Client;
use crate::error::{Code, Failure, Result, count, did_you_mean};
use crate::load::suites::{CaseOutcome, LoadOutcome, SuiteOutcome, run_suite};
use crate::plan::Loaded;
use crate::plan::model::{Action, Plan, Suite};
use crate::secret::redacted;
use crate::ui::{Paint, Ui};
use crate::units::duration;

/// Columns of a line with its leader; wider terminals leave the eye too far to travel.
const WIDEST: usize = 88;

/// Run a plan's test suites against its orchestrator
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx test phase 2\n  ctx test suite functional --json\n  ctx test phase 2 --junit tests.xml"
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    /// Write the outcome to FILE for a pipeline, as JUnit XML
    #[arg(long, value_name = "FILE", global = true, value_hint = clap::ValueHint::FilePath)]
    junit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run the suites that a phase's `test` steps name
    #[command(
        after_help = "Examples:\n  ctx test phase 2\n  ctx test phase performance --junit tests.xml"
    )]
    Phase {
        #[arg(value_name = "N|ID", add = ArgValueCandidates::new(candidates::phases))]
        phase: String,
    },
    /// Run one suite
    #[command(
        after_help = "Examples:\n  ctx test suite functional\n  ctx test suite functional --json"
    )]
    Suite {
        #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::suites))]
        suite: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When there is no such phase or suite, the orchestrator does not answer, or a suite fails.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let loaded = crate::plan::load(context.settings.plan_file()?)?;
    let suites = match &args.what {
        What::Phase { phase } => of_phase(&loaded.plan, phase)?,
        What::Suite { suite } => vec![named(&loaded.plan, suite)?],
    };
    let outcomes = if suites.is_empty() {
        context.ui.note("nothing to test: no step of the phase names a suite");
        Vec::new()
    } else {
        let client = connect(context, &loaded.plan.orchestrator)?;
        block_on(run_all(context, &loaded, &client, &suites))?
    };
    if let Some(path) = &args.junit {
        let text = junit::render(&loaded.plan.name, &outcomes);
        super::report::replace(path, redacted(&text).as_bytes()).map_err(|error| {
            let what = format!("failed to write the outcome to `{}`", path.display());
            Failure::new(Code::Failure, what).because(&error)
        })?;
        context.ui.note(format!("outcome written to {}", path.display()));
    }
    let failed: Vec<&SuiteOutcome> = outcomes.iter().filter(|suite| !suite.passed()).collect();
    let code = if failed.is_empty() { Code::Done } else { Code::CriteriaNotMet };
    if context.ui.json {
        let suites: Vec<Value> = outcomes.iter().map(json).collect();
        let passed = failed.is_empty();
        let document = json!({ "passed": passed, "exit_code": code.number(), "suites": suites });
        context.ui.json(&document);
        return Ok(code);
    }
    if failed.is_empty() {
        return Ok(code);
    }
    let failure = Failure::new(code, format!("{} failed", count(failed.len(), "suite")));
    Err(failed.iter().fold(failure, |failure, suite| failure.why(suite.summary())))
}

/// The suites of a phase, in the order of its steps, each once.
fn of_phase<'a>(plan: &'a Plan, phase: &str) -> Result<Vec<&'a Suite>> {
    let mut suites: Vec<&Suite> = Vec::new();
    for step in &super::phases::find(plan, phase)?.steps {
        let Action::Test { suites: ids } = &step.action else { continue };
        for id in ids {
            if suites.iter().all(|suite| suite.id != *id) {
                suites.push(named(plan, id.as_str())?);
            }
        }
    }
    Ok(suites)
}

fn named<'a>(plan: &'a Plan, id: &str) -> Result<&'a Suite> {
    plan.suites.iter().find(|suite| suite.id.as_str() == id).ok_or_else(|| {
        let known: Vec<&str> = plan.suites.iter().map(|suite| suite.id.as_str()).collect();
        let failure =
            Failure::new(Code::Usage, format!("plan `{}` has no suite `{id}`", plan.name));
        match did_you_mean(id, known.iter().copied()) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => {
                failure.hint("it has none: write a `[[suite]]`; `ctx plan schema` says how")
            }
            None => failure.why(format!("its suites are: {}", known.join(", "))),
        }
    })
}

/// Runs suites in turn; each is shown as soon as it is done.
async fn run_all(
    context: &Context,
    loaded: &Loaded,
    client: &Client,
    suites: &[&Suite],
) -> Result<Vec<SuiteOutcome>> {
    let there = client.state().await.map_err(|error| control_failure(&error))?.body;
    let workshop = Workshop::new(context, &loaded.plan, &loaded.path);
    let target = workshop.target(client, format!("http://{}", there.data_addr)).await;
    let mut outcomes = Vec::with_capacity(suites.len());
    for suite in suites {
        let outcome = run_suite(suite, &target).await;
        if !context.ui.json {
            for line in lines(&outcome, &context.ui) {
                context.ui.out(line);
            }
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The outcome of a suite as lines of text.
pub fn lines(outcome: &SuiteOutcome, ui: &Ui) -> Vec<String> {
    let title = format!("{} ({})", outcome.id, count(outcome.cases.len(), "case"));
    let mut lines = vec![ui.paint_out(Paint::Strong, &title)];
    for case in &outcome.cases {
        lines.push(leader(&case.name, case.passed(), ui));
        lines.extend(case.told().iter().map(|line| format!("      {line}")));
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
    lines.extend(load.told().iter().map(|line| format!("      {line}")));
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
    use crate::load::suites::{Fault, Wrong};
    use crate::plan::model::SuiteKind;
    use crate::ui::Color;

    pub(super) fn outcome() -> SuiteOutcome {
        let case = |name: &str, request: &str, faults: Vec<Fault>| CaseOutcome {
            name: name.into(),
            request: request.into(),
            took: Duration::from_millis(2),
            faults,
            sent: None,
            got: None,
        };
        let got = r#"500 with `{"detail":"no"}`"#.to_owned();
        let fault = Fault::Differs { expected: "status 200".into(), got };
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
                wrong: vec![Wrong {
                    case: "a push is acknowledged".into(),
                    request: "POST /github/events".into(),
                    expected: "status 200".into(),
                    got: "no answer: connection refused".into(),
                    times: 20,
                }],
                ..LoadOutcome::default()
            }),
        }
    }

    #[test]
    fn a_suite_reads_line_by_line() {
        let mut ui = Ui::new(false, false, Color::Never);
        ui.width = 60;
        insta::assert_snapshot!(lines(&outcome(), &ui).join("\n"), @r#"
        events (2 cases)
          a push is acknowledged ................................ ok
          a mention is acknowledged ........................... FAIL
              request   POST /slack/events
              expected  status 200
              got       500 with `{"detail":"no"}`
          load: 0 requests in 10s, 0 wrong .................... FAIL
              no request was answered
          error_rate 0% (n=2000), limit at most 1% .............. ok
              request   POST /github/events (`a push is acknowledged`)
              expected  status 200
              got       no answer: connection refused, 20 times
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
