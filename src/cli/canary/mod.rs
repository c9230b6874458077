//! `ctx canary`: a second upstream beside the legacy app, watched and decided on from any terminal.

mod judge;
mod status;

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, asks};
use crate::control::armed::Ask;
use crate::error::{Code, Failure, Result};

/// Watch a canary, decide on it, or judge recorded samples
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx canary status\n  ctx canary promote --yes --reason \"looks good\"\n  ctx canary abort --yes\n  ctx canary judge samples.json --json"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show both arms, the weight wanted and read back, and the verdict so far
    ///
    /// Asks the orchestrator alone: what it has measured since the weight last changed, at most
    /// the last ten minutes. Changes nothing.
    #[command(after_help = "Examples:\n  ctx canary status\n  ctx canary status --json")]
    Status,
    /// End the soak of the weight in force now, and go on to the next one
    ///
    /// As `ctx confirm`, for a canary: it is on record who asked, and why.
    #[command(
        after_help = "Examples:\n  ctx canary promote\n  ctx canary promote --yes --reason \"enough traffic\""
    )]
    Promote,
    /// Take the phase of the canary back, at once
    ///
    /// As `ctx abort`, for a canary.
    #[command(
        after_help = "Examples:\n  ctx canary abort\n  ctx canary abort --yes --reason \"customers complain\""
    )]
    Abort,
    /// Judge recorded samples, as a canary step would at one look
    ///
    /// The file is JSON: `{"schema": "ctx.samples/1", "alpha": 0.01, "metrics": [...]}`. A metric of
    /// quantities has `"kind": "values"`, an optional `unit` and `min_effect` (0.1: a tenth of the
    /// baseline's), and the arrays of numbers `baseline` and `canary`; with `"kind": "tail"` the
    /// slowest in twenty of them are judged (0.5: a p95 half as large again). One of failures has
    /// `"kind": "outcomes"`, an optional `min_effect` (0.01: one request in a hundred), and arrays
    /// of `true` for each request that failed and `false` for each that did not.
    ///
    /// Exits with 0 when no metric is worse, 23 when one is, and 12 when it cannot be known.
    #[command(
        after_help = "Examples:\n  ctx canary judge samples.json\n  ctx canary judge samples.json --json"
    )]
    Judge {
        /// The recorded samples
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer or refuses, or a file is not what it should be.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Status => status::run(context),
        Command::Promote => promote(context),
        Command::Abort => abort(context),
        Command::Judge { file } => judge::run(file, context),
    }
}

fn promote(context: &Context) -> Result<Code> {
    let Some(view) = status::view(context)? else {
        context.ui.note(status::NONE);
        return Ok(Code::Done);
    };
    if view.soaks == Some(false) {
        return Err(Failure::new(Code::Refused, "what soaks is not a weight of the canary")
            .why("to promote would keep another change before its time")
            .hint("`ctx confirm` keeps that change now; `ctx status` says what it is"));
    }
    asks::ask(context, Ask::Confirm)
}

fn abort(context: &Context) -> Result<Code> {
    if status::view(context)?.is_none() {
        context.ui.note(status::NONE);
        return Ok(Code::Done);
    }
    asks::ask(context, Ask::Abort)
}
