//! `ctx plan`: looks at a plan without doing anything about it.

mod show;

pub(super) use show::text;

use std::path::{Path, PathBuf};

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::known::reader;
use super::{Context, candidates, phases};
use crate::error::{Code, Failure, Result, count};
use crate::plan::preview::Preview;
use crate::plan::{self, Fault, LoadError, Plan, render};
use crate::progress::github;
use crate::ui::{Paint, Ui};

/// Check a plan, preview it, or print the schema of plans
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx plan check\n  ctx plan show --phase 2")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Find every fault of a plan
    #[command(
        after_help = "Examples:\n  ctx plan check\n  ctx plan check plans/contexten.toml --live"
    )]
    Check {
        /// The plan file [default: that of `--plan`]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Also ask the Prometheus servers whether they can answer its queries
        #[arg(long)]
        live: bool,
    },
    /// Preview what a plan would change, and how it would be undone
    #[command(
        after_help = "Examples:\n  ctx plan show --phase 2\n  ctx plan show plans/contexten.toml --detailed-exitcode"
    )]
    Show {
        /// The plan file [default: that of `--plan`]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// One phase only, by its number or id
        #[arg(long, value_name = "N|ID", add = ArgValueCandidates::new(candidates::phases))]
        phase: Option<String>,
        /// Exit with 10 when a phase is not confirmed yet
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Print the JSON Schema of plans, for editors
    #[command(
        after_help = "Examples:\n  ctx plan schema > plan.schema.json\n  ctx plan schema | grep -A 3 max_tail_ratio"
    )]
    Schema,
}

/// Runs `ctx plan`.
///
/// # Errors
/// When the plan cannot be read; for `show`, also when it has faults or no such phase.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Check { file, live } => check(path(file.as_deref(), context)?, *live, context),
        Command::Show { file, phase, detailed_exitcode } => {
            let loaded = plan::load(path(file.as_deref(), context)?)?;
            let only =
                phase.as_deref().map(|phase| phases::find(&loaded.plan, phase)).transpose()?;
            let mut preview = Preview::of(&loaded.plan).map_err(|error| {
                Failure::new(Code::Bug, "failed to preview a plan that was checked").because(&error)
            })?;
            preview.phases.retain(|phase| only.is_none_or(|only| only.number == phase.number));
            if context.ui.json {
                context.ui.json(&preview);
            } else {
                context.ui.out_raw(text(&preview, &context.ui));
            }
            if !detailed_exitcode {
                return Ok(Code::Done);
            }
            let pending = phases::pending(reader(context)?.as_ref(), &loaded)?;
            let pending = pending.iter().any(|phase| only.is_none_or(|only| only.id == phase.id));
            Ok(if pending { Code::ChangesPending } else { Code::Done })
        }
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&plan::schema()).expect("JSON prints");
            context.ui.out(schema);
            Ok(Code::Done)
        }
    }
}

fn path<'a>(file: Option<&'a Path>, context: &'a Context) -> Result<&'a Path> {
    file.map_or_else(|| context.settings.plan_file(), Ok)
}

fn check(path: &Path, live: bool, context: &Context) -> Result<Code> {
    let ui = &context.ui;
    let faults = match plan::check(path) {
        Ok(loaded) => {
            let asked = if live {
                super::queries::check(&loaded.plan.guards, loaded.plan.named_criteria())?
            } else {
                0
            };
            if ui.json {
                ui.json(&json!([]));
            } else {
                let mut found = counts(&loaded.plan);
                if live {
                    found = format!("{found}; {} answered", count(asked, "query"));
                }
                ui.say(format!("{}: no faults; {found}", path.display()));
            }
            return Ok(Code::Done);
        }
        Err(LoadError::Unreadable(failure)) => return Err(failure),
        Err(LoadError::Faulty(faults)) => faults,
    };
    if context.beside.github.is_some() {
        annotate(&faults, ui);
    }
    if ui.json {
        ui.json(&faults.iter().map(record).collect::<Vec<_>>());
    } else {
        for fault in &faults {
            ui.out(render::fault(fault, ui.color_out));
            ui.out("");
        }
        let total = count(faults.len(), "fault");
        ui.say(ui.paint_out(Paint::Bad, &format!("{} has {total}", path.display())));
    }
    Ok(Code::PlanInvalid)
}

/// Has GitHub show faults at their lines: ten of them, more it does not show.
fn annotate(faults: &[Fault], ui: &Ui) {
    for fault in faults.iter().take(10) {
        let hint = fault.hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        let text = format!("{}{hint}", fault.message);
        ui.note(github::fault(&fault.file, fault.line, fault.column, &text));
    }
}

fn record(fault: &Fault) -> serde_json::Value {
    json!({
        "file": fault.file,
        "line": fault.line,
        "column": fault.column,
        "message": fault.message,
        "hint": fault.hint,
    })
}

/// `4 phases, 27 steps, ...`: what a plan has.
fn counts(plan: &Plan) -> String {
    let steps = plan.phases.iter().map(|phase| phase.steps.len()).sum();
    let all = [
        (plan.phases.len(), "phase"),
        (steps, "step"),
        (plan.guards.len(), "guard"),
        (plan.all_criteria().len(), "criterion"),
        (plan.milestones.len(), "milestone"),
        (plan.suites.len(), "suite"),
    ];
    all.map(|(n, noun)| count(n, noun)).join(", ")
}
