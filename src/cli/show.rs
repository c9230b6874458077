//! `ctx show`

use clap_complete::engine::ArgValueCandidates;

use super::{Context, candidates};
use crate::error::{Code, Result};
use crate::ledger::Ledger;
use crate::ledger::fact::Recorded;
use crate::report::page::clean;
use crate::report::record::record;
use crate::report::sentence::{Level, level, sentence};
use crate::report::words;
use crate::ui::Paint;

/// Show everything that a run recorded, one line each
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx show 1a90\n  ctx show 1a90ac40 --json")]
pub struct Args {
    /// The run, by the first digits of its id
    #[arg(value_name = "RUN", add = ArgValueCandidates::new(candidates::runs))]
    pub run: String,
}

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read, or not exactly one run is meant.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let reader = Ledger::read(&context.settings.ledger.value)?;
    let run = reader.run(&args.run.to_lowercase())?.run;
    for recorded in reader.facts(&run)? {
        if context.ui.json {
            context.ui.json(&record(&recorded));
        } else {
            context.ui.out(line(&recorded, context.ui.color_out));
        }
    }
    Ok(Code::Done)
}

/// `2030-01-01 12:00:05Z     44  step pool-ramp 1/4 sent, on top of revision 41`.
fn line(recorded: &Recorded, color: bool) -> String {
    let what = clean(&sentence(&recorded.fact));
    let what = match level(&recorded.fact) {
        Level::Debug => Paint::Faint.apply(color, &what),
        Level::Info => what,
        Level::Warning => Paint::Warn.apply(color, &what),
        Level::Error => Paint::Bad.apply(color, &what),
    };
    format!("{} {:>6}  {what}", words::second(recorded.at_ms), recorded.seq)
}
