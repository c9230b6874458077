//! `ctx show`

use clap_complete::engine::ArgValueCandidates;

use super::{Context, candidates};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::RunId;
use crate::ledger::fact::Recorded;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::report::page::clean;
use crate::report::record::record;
use crate::report::sentence::{Level, level, sentence};
use crate::report::words;
use crate::ui::Paint;

/// How many runs are looked at for one that may be meant.
const LOOKED_AT: u32 = 50;
/// How many digits of an id people are shown.
const SHORT: usize = 8;

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
    let run = named(&reader, &args.run.to_lowercase())?;
    for recorded in reader.facts(&run)? {
        if context.ui.json {
            context.ui.json(&record(&recorded));
        } else {
            context.ui.say(line(&recorded, context.ui.color_out));
        }
    }
    Ok(Code::Done)
}

/// The run that a person named.
///
/// # Errors
/// When there is none, with the one that may be meant; or more than one.
fn named(reader: &Reader, prefix: &str) -> Result<RunId> {
    let missing = match reader.run(prefix) {
        Ok(row) => return Ok(row.run),
        Err(LedgerError::NoSuchRun(_)) => Failure::from(LedgerError::NoSuchRun(prefix.to_owned())),
        Err(error) => return Err(error.into()),
    };
    let runs = reader.runs(LOOKED_AT)?;
    let known: Vec<&str> = runs.iter().map(|row| row.run.short()).collect();
    let given: String = prefix.chars().take(SHORT).collect();
    Err(match did_you_mean(&given, known.iter().copied()) {
        Some(near) => missing.hint(format!("did you mean `{near}`?")),
        None => missing,
    })
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
