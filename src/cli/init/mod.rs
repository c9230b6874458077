//! `ctx init`: the first files of a project, or a ledger for what is there already.

mod adopt;
mod scaffold;

use super::Context;
use crate::error::{Code, Result};

pub(super) use adopt::anew;

/// Make a first plan and settings, or adopt what an orchestrator is doing
///
/// Asks for what it needs to know on a terminal; elsewhere the flags and their defaults say it.
/// Writes `plans/NAME.toml` and `ctx.toml`, and nothing over a file that is there.
///
/// With `--adopt`, makes a ledger instead. A run in flight is taken up with everything that the
/// orchestrator knows of it: then `ctx resume`, `ctx rollback` and the others work from here.
/// Without one, the orchestrator is recorded as the baseline.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx init\n  ctx init shop --title \"The shop behind the orchestrator\" --no-input\n  ctx init --adopt --orchestrator http://127.0.0.1:7700 --yes"
)]
pub struct Args {
    /// Record the running orchestrator as the baseline, or take up the run that it is in
    #[arg(long, conflicts_with_all = ["name", "title", "token"])]
    adopt: bool,
    /// What the plan is called: letters, digits and dashes [default: the folder's name]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What is moved, in a few words
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Where the orchestrator's token is, as `env:NAME` or `file:PATH` [default: where `ctx serve`
    /// keeps it]
    #[arg(long, value_name = "REF")]
    token: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When a file is there already or cannot be written; with `--adopt`, when there is a ledger with
/// a run in it, or the orchestrator does not answer.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    if args.adopt {
        return adopt::run(context);
    }
    scaffold::run(args, context)
}
