//! `ctx resume`: takes up the run in flight, whatever phase it is of.

use super::known::reader;
use super::{Context, migrate, rollback};
use crate::error::{Code, Result};
use crate::ledger::fact::RunKind;

/// Take up the run in flight, or say that there is none
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx resume\n  ctx resume --json")]
pub struct Args {}

/// Runs the command.
///
/// # Errors
/// As `ctx migrate`, and when the plan is another one than that of the run.
pub fn run(_: &Args, context: &Context) -> Result<Code> {
    // Closed before the run is taken up, which opens the ledger for writing.
    let begun = match reader(context)? {
        Some(reader) => match reader.open_run()? {
            Some(open) => Some(reader.begun(&open.run)?),
            None => None,
        },
        None => None,
    };
    match begun {
        None => {
            context.ui.note("nothing to resume: no run is in flight");
            Ok(Code::Done)
        }
        Some(begun) if begun.kind == RunKind::Migrate => migrate::take_up(context, &begun),
        Some(_) => rollback::take_up(context),
    }
}
