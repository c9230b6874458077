//! The command line: one file per command, each its arguments, one call, and its rendering.

pub mod alerts;
pub mod asks;
pub mod backup;
pub mod canary;
pub mod candidates;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod drift;
pub mod events;
pub mod extension;
pub mod extension_host;
pub mod flags;
pub mod help;
pub mod history;
pub mod init;
pub mod ledger;
pub mod load;
pub mod lock;
pub mod man;
pub mod migrate;
pub mod milestone;
pub mod monitor;
pub mod plan;
pub mod rehearse;
pub mod report;
pub mod resume;
pub mod rollback;
pub mod serve;
pub mod shadow;
pub mod show;
pub mod status;
pub mod test;
pub mod validate;

mod admission;
mod drill;
mod dry_run;
mod hands;
mod known;
mod log;
mod opening;
mod phases;
mod preview;
mod queries;
mod session;
mod soaks;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::clock::Tempo;
use crate::error::{Code, Failure, Result};
use crate::progress::{Beside, GithubStep};
use crate::rehearsal::staging::Staging;
use crate::settings::{Flags, Settings, github_step};
use crate::ui::{Color, Ui};

/// Move a live service to a new shape in phases, and back by itself when a check fails
#[derive(Debug, Parser)]
#[command(name = "ctx", version, propagate_version = true, subcommand_required = true)]
#[command(arg_required_else_help = true, infer_subcommands = false)]
#[command(disable_help_subcommand = true)]
#[command(
    after_help = "Examples:\n  ctx rehearse plans/contexten.toml\n  ctx migrate phase 1\n  ctx status --live\n  ctx rollback"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command; before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The plan file [default: the one plan in `plans/`, or the one `ctx.toml` names]
    #[arg(long, global = true, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// The ledger [default: .ctx/ledger.sqlite3]
    #[arg(long, global = true, value_name = "PATH")]
    pub ledger: Option<PathBuf>,
    /// The orchestrator's control API [default: what the plan says]
    #[arg(long, global = true, value_name = "URL")]
    pub orchestrator: Option<String>,
    /// Print JSON: one document for reads, one record a line for runs
    #[arg(long, global = true)]
    pub json: bool,
    /// Write the records of a run into a file too, as `--json` prints them
    #[arg(long, global = true, value_name = "FILE")]
    pub json_into: Option<PathBuf>,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Never ask; fail with exit code 44 where a confirmation is needed
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Why this is done, for the record
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// What a process of a drill is told by the drill
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    pub staging: Option<PathBuf>,
    /// Print the result and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What ctx can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Args),
    Plan(plan::Args),
    Rehearse(rehearse::Args),
    Serve(serve::Args),
    Migrate(migrate::Args),
    Resume(resume::Args),
    Pause(asks::Pause),
    Abort(asks::Abort),
    Confirm(asks::Confirm),
    Rollback(rollback::Args),
    Status(status::Args),
    Validate(validate::Args),
    Monitor(monitor::Args),
    Report(report::Args),
    History(history::Args),
    Show(show::Args),
    Milestone(milestone::Args),
    Drift(drift::Args),
    Backup(backup::Args),
    Ledger(ledger::Args),
    Lock(lock::Args),
    Load(load::Args),
    Test(test::Args),
    Alerts(alerts::Args),
    Events(events::Args),
    Extension(extension::Args),
    Flags(flags::Args),
    Shadow(shadow::Args),
    Canary(canary::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
    Help(help::Args),
}

impl Command {
    /// Whether it has records, one after the other.
    const fn is_a_run(&self) -> bool {
        matches!(self, Self::Migrate(_) | Self::Resume(_) | Self::Rollback(_) | Self::Rehearse(_))
    }
}

/// What every command gets.
#[derive(Clone, Debug)]
pub struct Context {
    pub ui: Ui,
    pub settings: Settings,
    pub yes: bool,
    pub no_input: bool,
    pub reason: Option<String>,
    /// There in a process of a drill.
    pub staging: Option<Staging>,
    /// Who else is told of a run.
    pub beside: Beside,
}

impl Context {
    /// Prepares what every command needs.
    ///
    /// # Errors
    /// When a settings file has a fault.
    pub fn new(global: &Global, ui: Ui) -> Result<Self> {
        let flags = Flags {
            plan: global.plan.clone(),
            ledger: global.ledger.clone(),
            orchestrator: global.orchestrator.clone(),
        };
        Ok(Self {
            ui,
            settings: Settings::load(&flags)?,
            yes: global.yes,
            no_input: global.no_input || global.json,
            reason: global.reason.clone(),
            staging: global.staging.as_deref().map(drill::staged).transpose()?,
            beside: Beside {
                json_into: global.json_into.clone(),
                github: github_step()
                    .filter(|_| global.staging.is_none())
                    .map(|summary| GithubStep { summary }),
            },
        })
    }

    /// The tempo of plan time; real time outside of a drill.
    fn tempo(&self) -> Tempo {
        self.staging.as_ref().map(Staging::tempo).unwrap_or_default()
    }

    /// Whether programs and requests of a plan are named only.
    fn names_only(&self) -> bool {
        self.staging.as_ref().is_some_and(|staging| !staging.in_earnest)
    }
}

/// A number that something was given.
fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number such as `41`"))
}

/// Runs one command to its exit code.
///
/// # Errors
/// Whatever the command fails with; the caller prints it.
pub fn run(command: Command, context: &Context) -> Result<Code> {
    if context.beside.json_into.is_some() && !command.is_a_run() {
        return Err(Failure::new(Code::Usage, "`--json-into` is for the records of a run")
            .why("`migrate`, `resume`, `rollback` and `rehearse` have them")
            .hint("this one prints one document: `--json > FILE`"));
    }
    match command {
        Command::Init(args) => init::run(&args, context),
        Command::Pause(args) => asks::pause(&args, context),
        Command::Abort(args) => asks::abort(&args, context),
        Command::Confirm(args) => asks::keep(&args, context),
        Command::Plan(args) => plan::run(&args, context),
        Command::Rehearse(args) => rehearse::run(&args, context),
        Command::Serve(args) => serve::run(args, context),
        Command::Migrate(args) => migrate::run(&args, context),
        Command::Resume(args) => resume::run(&args, context),
        Command::Rollback(args) => rollback::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Validate(args) => validate::run(&args, context),
        Command::Monitor(args) => monitor::run(&args, context),
        Command::Report(args) => report::run(&args, context),
        Command::History(args) => history::run(&args, context),
        Command::Show(args) => show::run(&args, context),
        Command::Backup(args) => backup::run(&args, context),
        Command::Ledger(args) => ledger::run(&args, context),
        Command::Lock(args) => lock::run(&args, context),
        Command::Load(args) => load::run(&args, context),
        Command::Test(args) => test::run(&args, context),
        Command::Alerts(args) => alerts::run(&args, context),
        Command::Events(args) => events::run(&args, context),
        Command::Extension(args) => extension::run(&args, context),
        Command::Flags(args) => flags::run(&args, context),
        Command::Shadow(args) => shadow::run(&args, context),
        Command::Canary(args) => canary::run(&args, context),
        Command::Config(args) => config::run(&args, context),
        Command::Milestone(args) => milestone::run(&args, context),
        Command::Drift(args) => drift::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
        Command::Help(args) => help::run(&args, context),
    }
}
