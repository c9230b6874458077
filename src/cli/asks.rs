//! `ctx pause`, `ctx abort`, `ctx confirm`: what a person asks of a run from any terminal.
//!
//! They speak to the orchestrator alone, so they work beside the process that drives the run, from
//! another machine, and without a ledger.

use std::time::Duration;

use super::Context;
use super::known::{Known, known, nowhere, orchestrator};
use super::session::{block_on, confirm, connect, control_failure};
use crate::clock::{Clock, SystemClock};
use crate::control::armed::{Armed, Ask, AskRequest};
use crate::control::client::{Client, ControlError};
use crate::control::wire::{ProblemCode, State};
use crate::error::{Code, Failure, Result};
use crate::plan::model::Orchestrator;

/// How long to wait for the holder of the lease to heed what was asked.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between two looks whether it did.
const STRIDE: Duration = Duration::from_millis(200);

/// Stop the run in flight at its next safe point
///
/// What is provisional is taken back; what is confirmed stays. `ctx resume` goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx pause --yes\n  ctx pause --reason \"release freeze\"")]
pub struct Pause {}

/// Take the phase in flight back, at once
///
/// The orchestrator writes the configuration from before the phase by itself. `ctx resume`
/// then undoes what was done outside the configuration, and ends the run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx abort\n  ctx abort --yes --reason \"customers complain\"")]
pub struct Abort {}

/// Keep the provisional change now, before its soak is over
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx confirm\n  ctx confirm --yes --orchestrator http://127.0.0.1:7700"
)]
pub struct Confirm {}

/// Asks the run in flight to pause.
///
/// # Errors
/// When the orchestrator does not answer or refuses, or nobody confirms the question.
pub fn pause(_: &Pause, context: &Context) -> Result<Code> {
    ask(context, Ask::Pause)
}

/// Takes the phase in flight back.
///
/// # Errors
/// As [`pause`].
pub fn abort(_: &Abort, context: &Context) -> Result<Code> {
    ask(context, Ask::Abort)
}

/// Keeps what is provisional.
///
/// # Errors
/// As [`pause`].
pub fn keep(_: &Confirm, context: &Context) -> Result<Code> {
    ask(context, Ask::Confirm)
}

/// Asks the run in flight, once somebody has confirmed it.
pub(super) fn ask(context: &Context, ask: Ask) -> Result<Code> {
    let client = connect(context, &there(context, &known(context)?)?)?;
    block_on(async {
        let state = client.state().await.map_err(|error| control_failure(&error))?.body;
        let Some(armed) = state.armed.clone().filter(|armed| armed.tripped.is_none()) else {
            context.ui.note(nothing(ask, &state, client.url()));
            return Ok(Code::Done);
        };
        if ask == Ask::Confirm && state.provisional.is_none() {
            context.ui.note("nothing to confirm: no change is provisional");
            return Ok(Code::Done);
        }
        confirm(context, &question(ask, &armed, &state))?;
        let request = AskRequest {
            run: armed.run.clone(),
            ask,
            by: crate::settings::user(),
            host: crate::settings::host(),
            reason: context.reason.clone(),
        };
        let result = client.ask(&request).await.map_err(|error| refused(&error))?.body;
        context.ui.note(&result.detail);
        if result.done {
            context.ui.note(hint(ask));
            return Ok(Code::Done);
        }
        if heeded(&client, &armed, ask).await {
            context.ui.note(heard(ask));
            return Ok(Code::Done);
        }
        Err(Failure::new(Code::Awaiting, "the run has not done it yet")
            .why("whoever drives it looks every second, unless it is busy with a program")
            .hint("see what it does: `ctx status --live`"))
    })
}

/// Where the run is.
///
/// # Errors
/// When nobody knows.
pub(super) fn there(context: &Context, known: &Known) -> Result<Orchestrator> {
    let in_flight = known.records.open.as_ref().map(|place| &place.begun.base);
    orchestrator(context, in_flight, known.plan.as_ref(), None).ok_or_else(nowhere)
}

fn nothing(ask: Ask, state: &State, url: &str) -> String {
    let what = match ask {
        Ask::Confirm => "confirm",
        Ask::Pause => "pause",
        Ask::Abort => "abort",
    };
    match state.armed.as_ref().and_then(|armed| armed.tripped.as_ref()) {
        Some(tripped) => format!("nothing to {what}: the phase was taken back, {}", tripped.why),
        None => format!("nothing to {what}: no phase is in flight at {url}"),
    }
}

fn question(ask: Ask, armed: &Armed, state: &State) -> String {
    let (phase, run) = (&armed.phase, &armed.run);
    match (ask, &state.provisional) {
        (Ask::Confirm, Some(provisional)) => {
            format!("Keep revision {} ({})?", provisional.rev, provisional.reason)
        }
        (Ask::Confirm, None) => "Keep what is provisional?".to_owned(),
        (Ask::Pause, _) => format!("Pause phase `{phase}` (run {run})?"),
        (Ask::Abort, _) => format!(
            "Take phase `{phase}` (run {run}) back to the content of revision {}?",
            armed.target
        ),
    }
}

/// What whoever drives the run has done.
fn heard(ask: Ask) -> String {
    match ask {
        Ask::Confirm => "done: the change is kept, and the run goes on".to_owned(),
        Ask::Pause => format!("done: the run is paused\n{}", hint(ask)),
        Ask::Abort => format!("done: the phase is taken back\n{}", hint(ask)),
    }
}

fn hint(ask: Ask) -> &'static str {
    match ask {
        Ask::Confirm => "hint: nobody drives the run; go on with `ctx resume`",
        Ask::Pause => "hint: go on with `ctx resume`, or undo the phase with `ctx rollback`",
        Ask::Abort => "hint: `ctx resume` undoes the rest and ends the run",
    }
}

fn refused(error: &ControlError) -> Failure {
    let failure = control_failure(error);
    match error.code() {
        Some(ProblemCode::NotProvisional | ProblemCode::Tripped | ProblemCode::NotFound) => {
            Failure { code: Code::Refused, ..failure }.hint("look again: `ctx status --live`")
        }
        _ => failure,
    }
}

/// Waits until the holder of the lease has done what was asked.
async fn heeded(client: &Client, before: &Armed, ask: Ask) -> bool {
    let began = SystemClock.boot();
    while SystemClock.boot().saturating_sub(began) < PATIENCE {
        tokio::time::sleep(STRIDE).await;
        let Ok(view) = client.guards().await else { continue };
        let same = view.armed.filter(|armed| armed.run == before.run);
        let waits = same.and_then(|armed| armed.asked).is_some_and(|asked| asked.ask == ask);
        if !waits {
            return true;
        }
        if ask == Ask::Pause && client.state().await.is_ok_and(|s| s.body.lease.is_none()) {
            return true;
        }
    }
    false
}
