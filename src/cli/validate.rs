//! `ctx validate`: judges the success criteria now.

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::hands::Workshop;
use super::session::{block_on, connect, control_failure};
use super::{Context, candidates};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::control::wire::Fence;
use crate::engine::executor::{Target, judge_now};
use crate::error::{Code, Failure, Result, count};
use crate::judge::Verdict;
use crate::ledger::Ledger;
use crate::ledger::fact::{Fact, Judged};
use crate::plan::Loaded;
use crate::plan::model::{Category, Criterion};
use crate::ui::Paint;

/// Judge the success criteria now
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx validate\n  ctx validate --phase 2 --json")]
pub struct Args {
    /// Judge the criteria of one phase only
    #[arg(long, value_name = "N|ID", add = ArgValueCandidates::new(candidates::phases))]
    phase: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let loaded = crate::plan::load(context.settings.plan_file()?)?;
    let criteria: Vec<Criterion> = match &args.phase {
        Some(named) => super::phases::find(&loaded.plan, named)?.criteria.clone(),
        None => loaded.plan.all_criteria().into_iter().cloned().collect(),
    };
    let client = connect(context, &loaded.plan.orchestrator)?;
    let judged = judge(context, &loaded, &client, &criteria)?;
    let passed = judged.iter().all(|judged| judged.verdict.passed());
    record(context, &loaded, &judged, passed)?;
    let code = if passed { Code::Done } else { Code::CriteriaNotMet };
    if context.ui.json {
        let category = |(category, judged): (Category, Vec<&Judged>)| {
            let verdict = Whole::of(judged);
            json!({
                "category": category,
                "passed": verdict == Whole::Pass,
                "verdict": verdict.name(),
            })
        };
        let categories: Vec<_> = by_category(&judged).into_iter().map(category).collect();
        context.ui.json(&json!({
            "passed": passed,
            "verdict": Whole::of(&judged).name(),
            "exit_code": code.number(),
            "categories": categories,
            "criteria": judged,
        }));
        return Ok(code);
    }
    show(context, &judged);
    failure(&judged).map_or(Ok(code), Err)
}

/// What criteria come to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    Pass,
    /// None has failed, and not all can be judged. No success.
    Inconclusive,
    Fail,
}

impl Whole {
    fn of<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        judged.into_iter().fold(Self::Pass, |whole, judged| match (whole, &judged.verdict) {
            (whole, Verdict::Pass(_)) => whole,
            (Self::Fail, _) | (_, Verdict::Fail(_)) => Self::Fail,
            (Self::Pass | Self::Inconclusive, Verdict::Inconclusive(_)) => Self::Inconclusive,
        })
    }

    /// As in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }
}

/// Why this is no success; what has failed and what cannot be known are told apart.
fn failure(judged: &[Judged]) -> Option<Failure> {
    let named = |whole: Whole| -> Vec<String> {
        let own = judged.iter().filter(|judged| Whole::of([*judged]) == whole);
        own.map(|judged| format!("`{}`", judged.criterion)).collect()
    };
    let (failed, unknown) = (named(Whole::Fail), named(Whole::Inconclusive));
    let cannot =
        |unknown: &[String]| format!("{} cannot be judged yet", count(unknown.len(), "criterion"));
    let new = |what: String| Failure::new(Code::CriteriaNotMet, what);
    let failure = match (failed.as_slice(), unknown.as_slice()) {
        ([], []) => return None,
        ([], unknown) => new(cannot(unknown)).why(unknown.join(", ")),
        (failed, unknown) => {
            let failure =
                new(format!("{} not met", count(failed.len(), "criterion"))).why(failed.join(", "));
            if unknown.is_empty() {
                return Some(failure);
            }
            failure.why(format!("{}: {}", cannot(unknown), unknown.join(", ")))
        }
    };
    Some(failure.hint("what cannot be judged is not met: it may need load, or time"))
}

fn by_category(judged: &[Judged]) -> BTreeMap<Category, Vec<&Judged>> {
    let mut by_category: BTreeMap<Category, Vec<&Judged>> = BTreeMap::new();
    for judged in judged {
        by_category.entry(judged.category).or_default().push(judged);
    }
    by_category
}

/// Judges criteria by what the orchestrator shows now; nothing is recorded.
///
/// # Errors
/// When the orchestrator does not answer.
pub(super) fn judge(
    context: &Context,
    loaded: &Loaded,
    client: &Client,
    criteria: &[Criterion],
) -> Result<Vec<Judged>> {
    block_on(judge_all(context, loaded, client, criteria))
}

async fn judge_all(
    context: &Context,
    loaded: &Loaded,
    client: &Client,
    criteria: &[Criterion],
) -> Result<Vec<Judged>> {
    let there = client.state().await.map_err(|error| control_failure(&error))?.body;
    let mut hands = Workshop::new(context, &loaded.plan, &loaded.path);
    // Suites here only read and send events; they hold no lease, so calls that need one are refused.
    let fence = Fence { counter: 0, id: "0".to_owned() };
    let mut judged = Vec::new();
    for criterion in criteria {
        let target =
            Target { data: format!("http://{}", there.data_addr), client, fence: &fence, key: "" };
        let plan = &loaded.plan;
        let (suites, clock) = (&plan.suites, &SystemClock);
        let judging = judge_now(&plan.name, criterion, suites, &mut hands, target, None, clock);
        judged.push(judging.await?);
    }
    Ok(judged)
}

/// Adds the judgement to the record, if there is one and nobody else is writing it.
fn record(context: &Context, loaded: &Loaded, judged: &[Judged], passed: bool) -> Result<()> {
    let path = &context.settings.ledger.value;
    if !path.exists() {
        return Ok(());
    }
    let mut ledger = match Ledger::open(path) {
        Ok(ledger) => ledger,
        Err(error) => {
            let failure = Failure::from(error);
            if failure.code == Code::LedgerDamaged {
                return Err(failure);
            }
            // The verdict does not depend on it: a run may be writing, the disk may be full or
            // read-only.
            context.ui.note(format!("note: this is not recorded: {failure}"));
            return Ok(());
        }
    };
    let at = SystemClock.wall();
    for judged in judged {
        ledger.append(None, &Fact::CriterionJudged(Box::new(judged.clone())), at)?;
    }
    ledger.append(None, &Fact::Validated { plan: loaded.plan.name.clone(), passed }, at)?;
    Ok(())
}

/// Shows a table for each category; what a verdict rests on stands below its row, because it is
/// a sentence.
fn show(context: &Context, judged: &[Judged]) {
    let ui = &context.ui;
    let width = judged.iter().map(|judged| judged.target.chars().count()).max().unwrap_or(0);
    for (category, judged) in by_category(judged) {
        let (word, paint) = match Whole::of(judged.iter().copied()) {
            Whole::Pass => ("met", Paint::Good),
            Whole::Inconclusive => ("inconclusive", Paint::Warn),
            Whole::Fail => ("NOT MET", Paint::Bad),
        };
        let title = ui.paint_out(Paint::Strong, category.name());
        ui.out(format!("{title}: {}", ui.paint_out(paint, word)));
        let head = format!("  {:<12}  {:<width$}  {}", "passed", "target", "actual");
        ui.out(ui.paint_out(Paint::Faint, &head));
        for judged in judged {
            let (word, paint) = match &judged.verdict {
                Verdict::Pass(_) => ("yes", Paint::Good),
                Verdict::Fail(_) => ("NO", Paint::Bad),
                Verdict::Inconclusive(_) => ("inconclusive", Paint::Warn),
            };
            let word = ui.paint_out(paint, &format!("{word:<12}"));
            ui.out(format!("  {word}  {:<width$}  {}", judged.target, judged.actual));
            ui.say(format!("    {}: {}", judged.criterion, judged.title));
            ui.say(format!("    {}", judged.verdict.why()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(id: &str, verdict: Verdict) -> Judged {
        Judged {
            plan: "shop".parse().unwrap(),
            criterion: id.parse().unwrap(),
            title: id.to_owned(),
            category: Category::Performance,
            target: String::new(),
            actual: String::new(),
            verdict,
            required_by: None,
        }
    }

    #[test]
    fn what_cannot_be_known_is_told_apart_from_what_failed_and_is_no_success() {
        let pass = || judged("rate", Verdict::Pass(String::new()));
        let fail = || judged("latency", Verdict::Fail(String::new()));
        let unknown = || judged("uptime", Verdict::Inconclusive(String::new()));
        let check = |judged: &[Judged], whole: Whole, what: Option<&str>| {
            assert_eq!(Whole::of(judged), whole);
            let failure = failure(judged);
            assert!(failure.iter().all(|failure| failure.code == Code::CriteriaNotMet));
            assert_eq!(failure.as_ref().map(|failure| failure.what.as_str()), what);
        };
        check(&[pass()], Whole::Pass, None);
        check(&[pass(), unknown()], Whole::Inconclusive, Some("1 criterion cannot be judged yet"));
        check(&[unknown(), fail(), unknown()], Whole::Fail, Some("1 criterion not met"));
        let both = failure(&[fail(), unknown()]).unwrap();
        assert_eq!(both.why, ["`latency`", "1 criterion cannot be judged yet: `uptime`"]);
    }
}
