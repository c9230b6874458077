//! `ctx migrate --dry-run`: what a run would do and send, and nothing else.
//!
//! It ends as the run itself would where that is known beforehand: 41 and 43 where it would not be
//! admitted, 32 where nobody answers. The orchestrator is only asked where it stands.

use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::admission::{Admission, admit, check_drift};
use super::known::reader;
use super::opening::{by, prepare};
use super::session::{block_on, connect, control_failure};
use crate::control::client::{Client, Write};
use crate::control::config::Config;
use crate::control::draft::{Draft, Outgoing};
use crate::control::wire::{Fence, State};
use crate::engine::draft::{Doing, draft};
use crate::engine::executor::lease_request;
use crate::engine::protocol::Call;
use crate::error::{Code, Failure, Result};
use crate::ids::{PhaseId, RunId};
use crate::plan::model::{Action, Phase};
use crate::plan::preview::{Preview, diff};
use crate::plan::{Loaded, preview};
use crate::units::duration;

/// The version of the JSON.
const SCHEMA: &str = "ctx.dry-run/1";

/// What a phase would do, in order.
#[derive(Debug, Serialize)]
struct PhaseDraft {
    phase: PhaseId,
    number: u32,
    /// Why there is nothing to show for it.
    note: Option<String>,
    doings: Vec<Shown>,
}

/// One thing that a run would do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    Request {
        request: Draft,
        /// What the configuration in the body changes.
        changes: Vec<preview::Change>,
    },
    /// Something that is no request of the protocol.
    Doing(String),
}

/// Shows what running `phases` one after the other would do.
///
/// # Errors
/// What the first of them would fail with before it changes anything.
pub(super) fn run(
    context: &Context,
    loaded: &Loaded,
    phases: &[Phase],
    accept_drift: bool,
) -> Result<Code> {
    let mut preview = Preview::of(&loaded.plan).map_err(|error| {
        Failure::new(Code::Bug, "failed to preview a plan that was checked").because(&error)
    })?;
    preview.phases.retain(|shown| phases.iter().any(|phase| phase.id == shown.id));
    if !context.ui.json {
        context.ui.out_raw(super::plan::text(&preview, &context.ui));
    }
    let drafts = drafts(context, loaded, phases, accept_drift)?;
    let pending = drafts.iter().any(|draft| !draft.doings.is_empty() || draft.note.is_none());
    if context.ui.json {
        context.ui.json(&serde_json::json!({
            "schema": SCHEMA, "preview": preview, "phases": drafts, "pending": pending,
        }));
    } else {
        for draft in &drafts {
            context.ui.out(text(draft));
        }
    }
    context.ui.note("nothing was done (--dry-run)");
    Ok(if pending { Code::ChangesPending } else { Code::Done })
}

fn drafts(
    context: &Context,
    loaded: &Loaded,
    phases: &[Phase],
    accept_drift: bool,
) -> Result<Vec<PhaseDraft>> {
    let reader = reader(context)?;
    let mut drafts = Vec::new();
    // Where the phase before left the orchestrator.
    let mut there: Option<(Client, State)> = None;
    for phase in phases {
        let shown = |note, doings| PhaseDraft {
            phase: phase.id.clone(),
            number: phase.number,
            note,
            doings,
        };
        let admission = match (&reader, &there) {
            // It is admitted once the one before is done.
            (_, Some(_)) => Admission::Begin { expected: None },
            (None, None) => first(phase)?,
            (Some(reader), None) => admit(reader, loaded, phase)?,
        };
        let expected = match admission {
            Admission::Complete => {
                drafts.push(shown(Some("already complete".to_owned()), Vec::new()));
                continue;
            }
            Admission::Resume(run) => {
                let note = format!("run {run} goes on; it first asks what became of its requests");
                drafts.push(shown(None, vec![Shown::Doing(note)]));
                return Ok(drafts);
            }
            Admission::Begin { expected } => expected.filter(|_| !accept_drift),
        };
        let (client, state) = if let Some(before) = there.take() {
            before
        } else {
            let client = connect(context, &loaded.plan.orchestrator)?;
            let state =
                block_on(async { client.state().await.map_err(|error| control_failure(&error)) })?;
            check_drift(expected.as_deref(), &state.body)?;
            (client, state.body)
        };
        let begun = prepare(loaded, phase, &state, client.url(), by(context), 1.0)?;
        // Both are only drawn when the run begins.
        let (run, fence) = (nobody(), Fence::default());
        let (doings, after) = draft(&run, &begun, &state, &fence).map_err(Failure::from)?;
        drafts.push(shown(None, show(&client, &run, &fence, &state.config, &doings)));
        there = Some((client, after));
    }
    Ok(drafts)
}

/// Whether a phase may begin where nothing was ever run.
fn first(phase: &Phase) -> Result<Admission> {
    if phase.number == 1 {
        return Ok(Admission::Begin { expected: None });
    }
    Err(Failure::new(Code::Refused, "phase 1 comes first and is not confirmed")
        .hint("run it: `ctx migrate phase 1`"))
}

/// The id that stands for one that is not drawn yet.
fn nobody() -> RunId {
    "0".repeat(32).try_into().expect("an id of the right form")
}

fn show(
    client: &Client,
    run: &RunId,
    fence: &Fence,
    base: &Config,
    doings: &[Doing],
) -> Vec<Shown> {
    let request = |request| Shown::Request { request, changes: Vec::new() };
    let lease = lease_request(run, None, 0);
    let mut config = base.clone();
    let mut all = vec![
        request(client.draft(Outgoing::Acquire(&lease))),
        request(client.draft(Outgoing::State(fence))),
    ];
    for doing in doings {
        all.push(match doing {
            Doing::Send(call) => {
                let Some(outgoing) = outgoing(call, fence) else { continue };
                let mut changes = Vec::new();
                if let Call::Apply { request, .. } = call {
                    changes = diff(&config, &request.config);
                    config = request.config.clone();
                }
                Shown::Request { request: client.draft(outgoing), changes }
            }
            Doing::Backup => Shown::Doing("take a backup and verify it".to_owned()),
            Doing::Soak(at, soak) => {
                Shown::Doing(format!("soak {at} for {} under the guards", duration::format(*soak)))
            }
            Doing::Local(at, action) => Shown::Doing(format!("{at}: {}", local(action))),
            Doing::Judge => Shown::Doing("judge the criteria of the phase".to_owned()),
        });
    }
    all.push(request(client.draft(Outgoing::Release(fence))));
    all
}

fn outgoing<'a>(call: &'a Call, fence: &'a Fence) -> Option<Outgoing<'a>> {
    Some(match call {
        Call::State => Outgoing::State(fence),
        Call::Arm(request) => Outgoing::Arm(fence, request),
        Call::Apply { key, if_match, request } => {
            Outgoing::Apply { write: Write { fence, key }, if_match: *if_match, request }
        }
        Call::Confirm { key, rev } => Outgoing::Confirm { write: Write { fence, key }, rev: *rev },
        Call::Disarm { taken_back } => Outgoing::Disarm { fence, taken_back: *taken_back },
        // Only a run that something happened to sends these.
        Call::Acquire { .. } | Call::Operation { .. } | Call::Revert { .. } => return None,
    })
}

fn local(action: &Action) -> &'static str {
    match action {
        Action::Test { .. } => "run a test suite",
        Action::Run { .. } => "run a program",
        Action::Call { .. } => "send the request of the plan",
        Action::Backup => "take a backup and verify it",
        Action::Approve { .. } => "wait for approval",
        _ => "wait",
    }
}

/// The requests as they would go over the wire, one paragraph for each.
fn text(draft: &PhaseDraft) -> String {
    let mut lines = vec![String::new()];
    let head = format!("Requests of phase {} `{}`, in order", draft.number, draft.phase);
    match &draft.note {
        Some(note) => lines.push(format!("Phase {} `{}`: {note}", draft.number, draft.phase)),
        None => lines.push(head),
    }
    for shown in &draft.doings {
        match shown {
            Shown::Doing(what) => lines.push(format!("  ({what})")),
            Shown::Request { request, changes } => {
                lines.push(format!("  {} {}", request.method, request.path));
                let headers = request.headers.iter();
                lines.extend(headers.map(|(name, value)| format!("      {name}: {value}")));
                lines.extend(body(&request.body, changes));
            }
        }
    }
    if draft.note.is_none() {
        lines.push("  besides these, the lease is renewed, and metrics and health are read".into());
    }
    lines.join("\n")
}

/// The body; of a configuration what it changes, of a long text how long it is.
fn body(body: &Value, changes: &[preview::Change]) -> Vec<String> {
    let Value::Object(fields) = body else { return Vec::new() };
    let mut lines = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Object(_) if name == "config" && changes.is_empty() => {
                lines.push("      config = as it is".to_owned());
            }
            Value::Object(_) if name == "config" => lines.extend(changes.iter().map(|change| {
                let to = change.to.last().unwrap_or(&Value::Null);
                format!("      config.{}: {} -> {to}", change.path, change.from)
            })),
            Value::String(text) if text.len() > 200 => {
                lines.push(format!("      {name} = ({} bytes of text)", text.len()));
            }
            Value::Array(items) if items.len() > 1 || value.to_string().len() > 100 => {
                lines.push(format!("      {name} = ({} of them)", items.len()));
            }
            value => lines.push(format!("      {name} = {value}")),
        }
    }
    lines
}
