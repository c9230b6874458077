//! `ctx status`

use std::io::IsTerminal;
use std::time::Duration;

use super::Context;
use super::known::{known, live};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result};
use crate::report::place::Place;
use crate::report::{Inputs, Status, screen};
use crate::secret::shown_url;

/// The columns of one screen; wider is not easier to read.
const WIDEST: usize = 100;

/// Show where the migration stands, on one screen
///
/// Reads the ledger and changes nothing. Never waits for a lock or for a service that hangs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx status --live\n  ctx status --watch\n  ctx status --prompt"
)]
pub struct Args {
    /// Show it again every second until no run is in flight
    #[arg(long)]
    pub watch: bool,
    /// Ask the orchestrator too, for at most a second
    #[arg(long)]
    pub live: bool,
    /// Print a few words for a shell's prompt, or nothing when nothing is in flight
    #[arg(long, conflicts_with_all = ["watch", "live"])]
    pub prompt: bool,
}

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    if args.prompt {
        prompt(context);
        return Ok(Code::Done);
    }
    if !args.watch {
        return show(args, context).map(|_| Code::Done);
    }
    if context.ui.json || !std::io::stdout().is_terminal() {
        return Err(Failure::new(Code::Usage, "`--watch` needs a terminal")
            .hint("follow a run in a script with `ctx migrate ... --json`, or ask again later"));
    }
    loop {
        // Home, and then clear what is left of the screen before: no flicker.
        context.ui.out_raw("\x1b[H\x1b[J");
        if show(args, context)?.run.is_none() {
            return Ok(Code::Done);
        }
        #[expect(clippy::disallowed_methods, reason = "a person watches; no test waits for this")]
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// One line for a prompt: no notes, no network, and no failure whatever the ledger is like.
fn prompt(context: &Context) {
    let reader = crate::ledger::Ledger::read(&context.settings.ledger.value).ok();
    let open = reader.and_then(|reader| {
        let run = reader.open_run().ok()??;
        Place::of(&reader.facts(&run.run).ok()?)
    });
    if let Some(place) = open {
        context.ui.out(place.segment());
    }
}

fn show(args: &Args, context: &Context) -> Result<Status> {
    let known = known(context)?;
    let live = if args.live { live(context, &known) } else { None };
    let inputs = Inputs {
        now_ms: SystemClock.wall().timestamp_millis(),
        records: &known.records,
        plan: known.plan.as_ref(),
        live: live.as_ref(),
    };
    let target = context.settings.orchestrator.as_ref().map(|url| shown_url(&url.value));
    let status = Status::build(&inputs, target.as_deref());
    if context.ui.json {
        context.ui.json(&status);
        return Ok(status);
    }
    if !known.ledger {
        let path = context.settings.ledger.value.display();
        context
            .ui
            .note(format!("note: there is no ledger at `{path}` yet; the first run makes it"));
    }
    let width = context.ui.width.min(WIDEST);
    context.ui.out_raw(screen::render(&status, width, context.ui.color_out));
    Ok(status)
}
