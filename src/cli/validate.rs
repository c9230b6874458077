//! `ctx validate`: judges the success criteria now.

use std::collections::BTreeMap;

use clap_complete::engine::ArgValueCandidates;

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
        Some(named) => super::migrate::find(&loaded.plan, named)?.criteria.clone(),
        None => loaded.plan.all_criteria().into_iter().cloned().collect(),
    };
    let client = connect(context, &loaded.plan.orchestrator)?;
    let judged = judge(context, &loaded, &client, &criteria)?;
    let passed = judged.iter().all(|judged| judged.verdict.passed());
    record(context, &loaded, &judged, passed)?;
    let code = if passed { Code::Done } else { Code::CriteriaNotMet };
    if context.ui.json {
        let exit_code = code.number();
        let document =
            serde_json::json!({ "passed": passed, "exit_code": exit_code, "criteria": judged });
        context.ui.json(&document);
        return Ok(code);
    }
    show(context, &judged);
    if passed {
        return Ok(code);
    }
    let missing: Vec<_> = judged
        .iter()
        .filter(|j| !j.verdict.passed())
        .map(|j| format!("`{}`", j.criterion))
        .collect();
    Err(Failure::new(code, format!("{} not met", count(missing.len(), "criterion")))
        .why(missing.join(", "))
        .hint("what cannot be known yet is not met: it may need load, or time"))
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
        judged
            .push(judge_now(&plan.name, criterion, &plan.suites, &mut hands, target, None).await?);
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

fn show(context: &Context, judged: &[Judged]) {
    let ui = &context.ui;
    let mut by_category: BTreeMap<Category, Vec<&Judged>> = BTreeMap::new();
    for judged in judged {
        by_category.entry(judged.category).or_default().push(judged);
    }
    for (category, judged) in by_category {
        ui.out(ui.paint_out(Paint::Strong, category.name()));
        for judged in judged {
            let word = match &judged.verdict {
                Verdict::Pass(_) => ui.paint_out(Paint::Good, "met         "),
                Verdict::Fail(_) => ui.paint_out(Paint::Bad, "NOT MET     "),
                Verdict::Inconclusive(_) => ui.paint_out(Paint::Warn, "inconclusive"),
            };
            ui.out(format!("  {word}  {}", judged.title));
            ui.out(format!("                target {}, actual {}", judged.target, judged.actual));
            if !judged.verdict.passed() {
                ui.out(format!("                {}", judged.verdict.why()));
            }
        }
    }
}
