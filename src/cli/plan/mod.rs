//! `ctx plan`: looks at a plan without doing anything about it.

mod show;

use std::path::{Path, PathBuf};

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::{Context, candidates};
use crate::error::{Code, Failure, Result, count};
use crate::plan::preview::Preview;
use crate::plan::{self, Fault, LoadError, Plan, render};
use crate::progress::github;
use crate::ui::{Paint, Ui};

/// Check a plan, preview it, or print the schema of plans
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx plan check plans/contexten.toml\n  ctx plan show plans/contexten.toml --phase 2"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Find every fault of a plan
    Check {
        /// The plan file [default: that of `--plan`]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Preview what a plan would change, and how it would be undone
    Show {
        /// The plan file [default: that of `--plan`]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// One phase only, by its number or id
        #[arg(long, value_name = "N|ID", add = ArgValueCandidates::new(candidates::phases))]
        phase: Option<String>,
    },
    /// Print the JSON Schema of plans, for editors
    Schema,
}

/// Runs `ctx plan`.
///
/// # Errors
/// When the plan cannot be read; for `show`, also when it has faults or no such phase.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Check { file } => check(path(file.as_deref(), context)?, context),
        Command::Show { file, phase } => {
            let loaded = plan::load(path(file.as_deref(), context)?)?;
            show(&loaded.plan, phase.as_deref(), &context.ui)
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

fn check(path: &Path, context: &Context) -> Result<Code> {
    let ui = &context.ui;
    let faults = match plan::check(path) {
        Ok(loaded) => {
            if ui.json {
                ui.json(&json!([]));
            } else {
                ui.out(format!("{}: no faults; {}", path.display(), counts(&loaded.plan)));
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
        ui.out(ui.paint_out(Paint::Bad, &format!("{} has {total}", path.display())));
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

/// Previews a plan, or one phase of it.
pub(super) fn show(plan: &Plan, phase: Option<&str>, ui: &Ui) -> Result<Code> {
    let mut preview = Preview::of(plan).map_err(|error| {
        Failure::new(Code::Bug, "failed to preview a plan that was checked").because(&error)
    })?;
    if let Some(wanted) = phase {
        let number = super::migrate::find(plan, wanted)?.number;
        preview.phases.retain(|phase| phase.number == number);
    }
    if ui.json {
        ui.json(&preview);
    } else {
        ui.out_raw(show::text(&preview, ui));
    }
    Ok(Code::Done)
}
