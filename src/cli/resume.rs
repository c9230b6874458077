//! `ctx resume`: takes up the run in flight, whatever phase it is of.

use super::known::reader;
use super::soaks::Soaks;
use super::{Context, migrate, rollback};
use crate::engine::executor::Attendance;
use crate::error::{Code, Result};
use crate::ledger::fact::RunKind;

/// Take up the run in flight, or say that there is none
///
/// A run whose soaks were left to the orchestrator stays detached: as long as one is not over,
/// this exits with 12, so that a scheduled job can ask again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx resume\n  ctx resume --attend --json")]
pub struct Args {
    #[command(flatten)]
    soaks: Soaks,
    /// Stay and watch the soaks, even of a run that was detached
    #[arg(long, conflicts_with = "detach")]
    attend: bool,
}

/// Runs the command.
///
/// # Errors
/// As `ctx migrate`, and when the plan is another one than that of the run.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let attendance = if args.attend { Attendance::Attend } else { args.soaks.attendance()? };
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
        Some(begun) if begun.kind == RunKind::Migrate => {
            migrate::take_up(context, &begun, attendance)
        }
        Some(_) => rollback::take_up(context),
    }
}
