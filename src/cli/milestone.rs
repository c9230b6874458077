//! `ctx milestone`: the signs of progress that a plan names, and when each was reached.
//!
//! A milestone is reached by a run when its criteria hold. `reach` is for those that a person
//! decides about, such as a training that was held: it says who, when and why, and it refuses
//! while a criterion of the milestone is not met.

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::known::known;
use super::session::{confirm, connect};
use super::{Context, candidates, lock};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::MilestoneId;
use crate::judge::Verdict;
use crate::ledger::fact::Fact;
use crate::plan::Loaded;
use crate::plan::model::{Criterion, Milestone};
use crate::report::model::MilestoneEntry;
use crate::report::page::{Cell, Field, Page, Row};
use crate::report::{Inputs, Report, words};
use crate::ui::Paint;

/// The most columns on a terminal.
const WIDEST: usize = 120;

/// List a plan's milestones, or mark one as reached
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx milestone list\n  ctx milestone show connection-pooling\n  ctx milestone reach performance-validated --reason \"all three shifts\""
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List every milestone, with its day and whether it is reached
    #[command(after_help = "Examples:\n  ctx milestone list\n  ctx milestone list --json")]
    List,
    /// Show one milestone and what it depends on
    #[command(
        after_help = "Examples:\n  ctx milestone show connection-pooling\n  ctx milestone show connection-pooling --json"
    )]
    Show {
        #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::milestones))]
        milestone: String,
    },
    /// Mark a milestone as reached, once its criteria hold
    #[command(
        after_help = "Examples:\n  ctx milestone reach performance-validated\n  ctx milestone reach performance-validated --yes --reason \"all three shifts\""
    )]
    Reach {
        #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::milestones))]
        milestone: String,
    },
}

/// Runs the command.
///
/// # Errors
/// When there is no such milestone; for `reach`, also when its criteria do not hold or it cannot
/// be recorded.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.what {
        What::List => list(context),
        What::Show { milestone } => show(milestone, context),
        What::Reach { milestone } => reach(milestone, context),
    }
}

fn entries(context: &Context) -> Result<Vec<MilestoneEntry>> {
    let known = known(context)?;
    let now_ms = SystemClock.wall().timestamp_millis();
    let inputs = Inputs { now_ms, records: &known.records, plan: known.plan.as_ref(), live: None };
    Ok(Report::build(&inputs).milestones)
}

fn list(context: &Context) -> Result<Code> {
    let entries = entries(context)?;
    if context.ui.json {
        context.ui.json(&json!({"schema": "ctx.milestones/1", "milestones": entries}));
        return Ok(Code::Done);
    }
    if entries.is_empty() {
        context.ui.note("no milestone: the plan names none, and none was reached");
        return Ok(Code::Done);
    }
    let rows: Vec<Row> = entries.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.noted_table(&["milestone", "phase", "days", "reached"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}

fn row(entry: &MilestoneEntry) -> Row {
    let reached = match &entry.reached {
        Some(at) => Cell::painted(words::minute(at.0), Paint::Good),
        None => Cell::painted("not yet", Paint::Faint),
    };
    let cells = vec![
        entry.id.to_string().into(),
        entry.phase.as_ref().map(ToString::to_string).unwrap_or_default().into(),
        entry.days.map(words::days).unwrap_or_default().into(),
        reached,
    ];
    Row { cells, note: Some(entry.title.as_str().into()) }
}

fn show(named: &str, context: &Context) -> Result<Code> {
    let entries = entries(context)?;
    let entry = entries
        .iter()
        .find(|entry| entry.id.as_str() == named)
        .ok_or_else(|| unknown(named, entries.iter().map(|entry| entry.id.as_str())))?;
    let plan = super::known::plan(context)?;
    let planned = plan.as_ref().and_then(|plan| plan.milestones.iter().find(|m| m.id == entry.id));
    let when: Vec<String> =
        planned.map(|m| m.when.iter().map(condition).collect()).unwrap_or_default();
    if context.ui.json {
        let document = json!({"schema": "ctx.milestone/1", "milestone": entry, "when": when});
        context.ui.json(&document);
        return Ok(Code::Done);
    }
    let reached = match &entry.reached {
        Some(at) => Cell::painted(words::minute(at.0), Paint::Good),
        None => Cell::from("not yet"),
    };
    let mut fields = vec![
        Field::new("milestone", Cell::painted(entry.id.to_string(), Paint::Strong)),
        Field::new("title", entry.title.clone()),
        Field::new("reached", reached),
    ];
    if let Some(phase) = &entry.phase {
        fields.push(Field::new("phase", phase.to_string()));
    }
    if let Some(days) = entry.days {
        fields.push(Field::new("days", words::days(days)));
    }
    fields.extend(when.iter().map(|when| Field::new("when", when.clone())));
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.fields(fields);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}

/// `95 of 100 answers within 100 ms (response-time)`.
fn condition(criterion: &Criterion) -> String {
    match &criterion.title {
        Some(title) => format!("{title} ({})", criterion.id),
        None => criterion.id.to_string(),
    }
}

fn unknown<'a>(named: &str, known: impl Iterator<Item = &'a str> + Clone) -> Failure {
    let failure = Failure::new(Code::Usage, format!("there is no milestone `{named}`"));
    if let Some(near) = did_you_mean(named, known.clone()) {
        return failure.hint(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = known.collect();
    if all.is_empty() {
        return failure.hint("name the plan that has it: `--plan FILE`");
    }
    failure.why(format!("the milestones are: {}", all.join(", ")))
}

fn reach(named: &str, context: &Context) -> Result<Code> {
    let loaded = crate::plan::load(context.settings.plan_file()?)?;
    let milestones = &loaded.plan.milestones;
    let milestone = milestones
        .iter()
        .find(|milestone| milestone.id.as_str() == named)
        .ok_or_else(|| unknown(named, milestones.iter().map(|m| m.id.as_str())))?;
    let mut ledger = lock::open(&context.settings.ledger.value)?;
    if reached(&ledger.milestones(&loaded.plan.name)?, &milestone.id) {
        context.ui.note(format!("milestone `{}` is reached already", milestone.id));
        return Ok(Code::Done);
    }
    let run = ledger.last_migration(&loaded.plan.name, &milestone.phase)?.ok_or_else(|| {
        Failure::new(Code::Refused, format!("milestone `{}` cannot be reached yet", milestone.id))
            .why(format!("phase `{}` was never begun", milestone.phase))
            .hint(format!("begin it: `ctx migrate phase {}`", milestone.phase))
    })?;
    require(&loaded, milestone, context)?;
    confirm(context, &format!("Mark milestone `{}` as reached?", milestone.id))?;
    let (id, title) = (milestone.id.clone(), milestone.title.clone());
    let by = Some(super::opening::by(context));
    let fact = Fact::MilestoneReached { milestone: id, title, by };
    ledger.append(Some(&run.run), &fact, SystemClock.wall())?;
    context
        .ui
        .note(format!("milestone `{}` is reached, recorded in run {}", milestone.id, run.run));
    Ok(Code::Done)
}

fn reached(rows: &[crate::ledger::view::MilestoneRow], id: &MilestoneId) -> bool {
    rows.iter().any(|row| row.milestone == *id)
}

/// Refuses while a criterion of the milestone does not hold.
fn require(loaded: &Loaded, milestone: &Milestone, context: &Context) -> Result<()> {
    if milestone.when.is_empty() {
        return Ok(());
    }
    let client = connect(context, &loaded.plan.orchestrator)?;
    let judged = super::validate::judge(context, loaded, &client, &milestone.when)?;
    let missing: Vec<_> = judged.iter().filter(|judged| !judged.verdict.passed()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let known = missing.iter().any(|judged| matches!(judged.verdict, Verdict::Fail(_)));
    let what = if known { "is not met" } else { "cannot be judged" };
    let failure = Failure::new(
        Code::CriteriaNotMet,
        format!("milestone `{}` is not reached: a criterion {what}", milestone.id),
    );
    Err(missing.iter().fold(failure, |failure, judged| {
        failure.why(format!("`{}`: {}", judged.criterion, judged.verdict.why()))
    }))
}
