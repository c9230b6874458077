//! What a shell offers for an argument: phases, suites and milestones of the plan at hand, runs and
//! backups of the ledger.
//!
//! Asked on every press of a tab, so each answer comes from one file and none from the network.
//! Whatever cannot be read offers nothing: a shell is no place for an error.

use clap_complete::engine::CompletionCandidate;

use super::Cli;
use crate::ledger::{Ledger, Reader};
use crate::plan::Plan;
use crate::report::words;
use crate::settings::{Flags, Settings};

/// The variable by which a shell asks for completions.
pub const VARIABLE: &str = "CTX_COMPLETE";

/// How many runs are offered.
const RUNS: u32 = 20;

/// Answers a shell that asks for completions, and ends the process then.
pub fn answer() {
    clap_complete::CompleteEnv::with_factory(<Cli as clap::CommandFactory>::command)
        .var(VARIABLE)
        .complete();
}

/// The phases of the plan, by id.
pub(super) fn phases() -> Vec<CompletionCandidate> {
    let Some(plan) = plan() else { return Vec::new() };
    let offer = |phase: &crate::plan::model::Phase| {
        let help = format!("phase {}: {}", phase.number, phase.title);
        CompletionCandidate::new(phase.id.as_str()).help(Some(help.into()))
    };
    plan.phases.iter().map(offer).collect()
}

/// The phases of the plan, and `start`.
pub(super) fn phases_and_start() -> Vec<CompletionCandidate> {
    let start = CompletionCandidate::new("start").help(Some("keep no phase".into()));
    phases().into_iter().chain([start]).collect()
}

/// The suites of the plan.
pub(super) fn suites() -> Vec<CompletionCandidate> {
    let Some(plan) = plan() else { return Vec::new() };
    plan.suites.iter().map(|suite| CompletionCandidate::new(suite.id.as_str())).collect()
}

/// The milestones of the plan.
pub(super) fn milestones() -> Vec<CompletionCandidate> {
    let Some(plan) = plan() else { return Vec::new() };
    let offer = |milestone: &crate::plan::model::Milestone| {
        CompletionCandidate::new(milestone.id.as_str()).help(Some(milestone.title.clone().into()))
    };
    plan.milestones.iter().map(offer).collect()
}

/// The latest runs of the ledger, newest first.
pub(super) fn runs() -> Vec<CompletionCandidate> {
    let runs = reader().and_then(|reader| reader.runs(RUNS).ok()).unwrap_or_default();
    let offer = |row: &crate::ledger::view::RunRow| {
        let help = format!("{} of {}, {}", row.kind, row.phase, words::minute(row.begun_ms));
        CompletionCandidate::new(row.run.as_str()).help(Some(help.into()))
    };
    runs.iter().map(offer).collect()
}

/// The backups that the ledger knows, newest first.
pub(super) fn backups() -> Vec<CompletionCandidate> {
    let backups = reader().and_then(|reader| reader.backups().ok()).unwrap_or_default();
    let offer = |row: &crate::ledger::view::BackupRow| {
        let help = format!("{}, {}", words::minute(row.at_ms), words::bytes(row.bytes));
        CompletionCandidate::new(row.backup.as_str()).help(Some(help.into()))
    };
    backups.iter().map(offer).collect()
}

/// The exit codes and error codes that `ctx help` explains, and the commands.
pub(super) fn topics() -> Vec<CompletionCandidate> {
    let commands = <Cli as clap::CommandFactory>::command();
    let commands = commands.get_subcommands().filter(|command| !command.is_hide_set());
    let commands = commands.map(|command| CompletionCandidate::new(command.get_name()));
    let codes = crate::error::Code::ALL.map(|code| {
        CompletionCandidate::new(code.number().to_string()).help(Some(code.title().into()))
    });
    commands.chain(codes).collect()
}

fn settings() -> Option<Settings> {
    // What stands on the line is not known here; variables and files are.
    Settings::load(&Flags::default()).ok()
}

fn plan() -> Option<Plan> {
    let settings = settings()?;
    Some(crate::plan::load(settings.plan_file().ok()?).ok()?.plan)
}

fn reader() -> Option<Reader> {
    Ledger::read(&settings()?.ledger.value).ok()
}
