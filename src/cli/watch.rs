//! `ctx status --watch`: the same screen, again every second until no run is in flight.
//!
//! It asks the orchestrator each time, for that is where the guards are, and goes on without an
//! answer. What it collects, it collects while it watches: nothing is written anywhere.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::known::{ask, client, known};
use super::session::block_on;
use super::status::{WIDEST, status_of};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::error::{Code, Failure, Result};
use crate::report::guards::Trails;
use crate::report::{Status, screen};
use crate::ui::{Key, Window, terminal_width};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// How long a key waits at most.
const STRIDE: Duration = Duration::from_millis(100);

/// Watches until the run ends or somebody leaves. The last screen stays in the terminal.
///
/// # Errors
/// When there is no terminal, or the ledger cannot be read.
pub(super) fn run(context: &Context) -> Result<Code> {
    if context.ui.json || !std::io::stdout().is_terminal() {
        return Err(Failure::new(Code::Usage, "`--watch` needs a terminal")
            .hint("follow a run in a script with `ctx migrate ... --json`, or ask again later"));
    }
    // Notes would be written across the picture; what they say, the picture says too.
    let mut quiet = context.clone();
    quiet.ui.quiet = true;
    let client = client(&quiet, &known(context)?);
    block_on(watch(&quiet, client.as_ref()))
}

async fn watch(context: &Context, client: Option<&Client>) -> Result<Code> {
    let mut trails = Trails::default();
    let mut status = look(context, client, &mut trails).await?;
    if status.run.is_none() {
        return Ok(stays(&status, context, Code::Done));
    }
    let mut window =
        Window::open(screen::ROWS, context.ui.color_out).map_err(|error| gone(&error))?;
    let mut terminate = signals(SignalKind::terminate())?;
    let mut hangup = signals(SignalKind::hangup())?;
    let code = loop {
        let page = screen::page(&status, Some(&trails), width());
        window.draw(page.lines()).map_err(|error| gone(&error))?;
        let left = tokio::select! {
            left = pause() => left?,
            _ = terminate.recv() => Some(Code::Terminated),
            _ = hangup.recv() => Some(Code::Terminated),
        };
        if let Some(code) = left {
            break code;
        }
        status = look(context, client, &mut trails).await?;
        if status.run.is_none() {
            break Code::Done;
        }
    };
    window.close().map_err(|error| gone(&error))?;
    Ok(stays(&status, context, code))
}

/// Waits until the next look, or until somebody leaves.
async fn pause() -> Result<Option<Code>> {
    let until = SystemClock.boot() + EVERY;
    loop {
        match Window::key().map_err(|error| gone(&error))? {
            Some(Key::Leave) => return Ok(Some(Code::Done)),
            Some(Key::Interrupt) => return Ok(Some(Code::Interrupted)),
            None if SystemClock.boot() >= until => return Ok(None),
            None => tokio::time::sleep(STRIDE).await,
        }
    }
}

async fn look(context: &Context, client: Option<&Client>, trails: &mut Trails) -> Result<Status> {
    let known = known(context)?;
    let live = match client {
        Some(client) => ask(client).await.ok(),
        None => None,
    };
    let status = status_of(&known, live.as_ref(), context);
    trails.see(&status.guards);
    Ok(status)
}

/// Prints the last screen as it is printed without `--watch`.
fn stays(status: &Status, context: &Context, code: Code) -> Code {
    context.ui.out_raw(screen::render(status, width(), context.ui.color_out));
    code
}

/// The window may become wider or narrower while somebody watches.
fn width() -> usize {
    terminal_width().min(WIDEST)
}

fn signals(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|error| {
        Failure::new(Code::Failure, "failed to listen for signals").because(&error)
    })
}

fn gone(error: &std::io::Error) -> Failure {
    Failure::new(Code::Failure, "the terminal cannot be drawn on")
        .because(error)
        .hint("`ctx status` prints the same once, on any terminal")
}
