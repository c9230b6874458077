//! `ctx drift`: whether plan, ledger and orchestrator still say the same.
//!
//! Three comparisons, each of which can be clean or not by itself: the configuration in force with
//! the one that the ledger's last run left; the orchestrator with the one that the ledger knows;
//! and the plan's phases with those that were applied. Changes nothing.

use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::known::{nowhere, orchestrator, reader};
use super::session::{block_on, connect, control_failure};
use crate::control::wire::State;
use crate::engine::moves::Act;
use crate::engine::state::{MoveState, RunState};
use crate::error::{Code, Result, count};
use crate::ids::PhaseId;
use crate::ledger::Reader;
use crate::ledger::view::PhaseStatus;
use crate::plan::preview::{Change, diff};
use crate::plan::{Loaded, phase_hash};
use crate::report::page::{Cell, Page};
use crate::ui::Paint;

/// The most columns on a terminal.
const WIDEST: usize = 120;

/// Show where plan, ledger and orchestrator differ
///
/// Compares the configuration in force with the one that the last run left, and the plan with the
/// phases that were applied. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx drift\n  ctx drift --detailed-exitcode --json")]
pub struct Args {
    /// Exit with 11 when something differs, or else with 10 when a phase is pending
    #[arg(long)]
    detailed_exitcode: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Drift {
    schema: &'static str,
    drifted: bool,
    orchestrator: Identity,
    configuration: Configuration,
    plan: Option<Plan>,
}

/// Whether it is the orchestrator that the ledger knows.
#[derive(Debug, Serialize)]
struct Identity {
    url: String,
    state_uuid: String,
    /// The one that the last run acted on; absent where there was none.
    known_uuid: Option<String>,
}

/// The configuration in force beside the one that the last run left.
#[derive(Debug, Serialize)]
struct Configuration {
    rev: u64,
    hash: String,
    /// Absent where nothing was run yet: then nothing is expected.
    expected_hash: Option<String>,
    /// Whether it is a change of the run in flight, which may still be taken back.
    in_flight: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    path: String,
    ledger: Value,
    orchestrator: Value,
}

/// The plan's phases beside those that were applied.
#[derive(Debug, Default, Serialize)]
struct Plan {
    file: String,
    /// Applied, and edited in the plan since.
    edited: Vec<PhaseId>,
    /// Applied, and no longer in the plan.
    removed: Vec<PhaseId>,
    /// Not confirmed yet.
    pending: Vec<PhaseId>,
}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer or the ledger cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let reader = reader(context)?;
    let last = reader.as_ref().map(left_behind).transpose()?.flatten();
    let loaded = loaded(context)?;
    let plan = loaded.as_ref().map(|loaded| &loaded.plan);
    let base = last.as_ref().map(|last| &last.begun.base);
    let there = orchestrator(context, None, plan, base).ok_or_else(nowhere)?;
    let client = connect(context, &there)?;
    let state = block_on(async { client.state().await.map_err(|error| control_failure(&error)) })?;
    let plan = match (&reader, &loaded) {
        (reader, Some(loaded)) => Some(compare_plan(reader.as_ref(), loaded)?),
        (_, None) => None,
    };
    let drift = compare(client.url(), &state.body, last.as_ref(), plan);
    let code = match &drift.plan {
        _ if !args.detailed_exitcode => Code::Done,
        _ if drift.drifted => Code::Drift,
        Some(plan) if !plan.pending.is_empty() => Code::ChangesPending,
        _ => Code::Done,
    };
    if context.ui.json {
        context.ui.json(&drift);
    } else {
        show(&drift, context);
    }
    Ok(code)
}

/// The run that the ledger saw last, as it left things; `None` if nothing was run yet.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn left_behind(reader: &Reader) -> Result<Option<RunState>> {
    let Some(last) = reader.runs(1)?.into_iter().next() else { return Ok(None) };
    let facts = reader.facts(&last.run)?;
    Ok(Some(RunState::fold(&last.run, facts.iter().map(|recorded| &recorded.fact))?))
}

fn loaded(context: &Context) -> Result<Option<Loaded>> {
    context.settings.plan.as_ref().map(|plan| crate::plan::load(&plan.value)).transpose()
}

/// Compares what is in force with what the last run left.
fn compare(url: &str, there: &State, last: Option<&RunState>, plan: Option<Plan>) -> Drift {
    let in_flight = last.is_some_and(|last| last.ended.is_none() && began(last, there));
    let differences = match last {
        Some(last) if !in_flight => diff(last.expected(), &there.config)
            .into_iter()
            .map(|Change { path, from, mut to }| {
                let orchestrator = to.pop().unwrap_or_default();
                Difference { path, ledger: from, orchestrator }
            })
            .collect(),
        _ => Vec::new(),
    };
    let known_uuid = last.map(|last| last.begun.base.state_uuid.clone());
    let stranger = known_uuid.as_ref().is_some_and(|known| *known != there.state_uuid);
    let edited = plan.as_ref().is_some_and(|p| !p.edited.is_empty() || !p.removed.is_empty());
    Drift {
        schema: "ctx.drift/1",
        drifted: stranger || edited || !differences.is_empty(),
        orchestrator: Identity {
            url: url.to_owned(),
            state_uuid: there.state_uuid.clone(),
            known_uuid,
        },
        configuration: Configuration {
            rev: there.head,
            hash: there.config_hash.clone(),
            expected_hash: last.map(|last| last.expected().hash()),
            in_flight,
            differences,
        },
        plan,
    }
}

/// Whether the configuration in force is one that the run has begun to write.
fn began(run: &RunState, there: &State) -> bool {
    run.moves.iter().zip(&run.at).any(|(step, state)| match &step.act {
        Act::Change { target } => {
            !matches!(state, MoveState::Waiting { .. }) && target.hash() == there.config_hash
        }
        Act::Local(_) => false,
    })
}

fn compare_plan(reader: Option<&Reader>, loaded: &Loaded) -> Result<Plan> {
    let plan = &loaded.plan;
    let rows = reader.map(|reader| reader.phases(&plan.name)).transpose()?.unwrap_or_default();
    let mut found = Plan { file: loaded.path.display().to_string(), ..Plan::default() };
    for row in rows.iter().filter(|row| row.status == PhaseStatus::Confirmed) {
        match plan.phases.iter().find(|phase| phase.id == row.phase) {
            None => found.removed.push(row.phase.clone()),
            Some(phase) => {
                if phase_hash(phase, &plan.guards_of(phase), &plan.suites) != row.phase_hash {
                    found.edited.push(row.phase.clone());
                }
            }
        }
    }
    let confirmed = |id: &PhaseId| {
        rows.iter().any(|row| row.phase == *id && row.status == PhaseStatus::Confirmed)
    };
    let pending = plan.phases.iter().map(|phase| &phase.id).filter(|id| !confirmed(id));
    found.pending = pending.cloned().collect();
    Ok(found)
}

fn show(drift: &Drift, context: &Context) {
    let mut page = Page::new(context.ui.width.min(WIDEST));
    let Drift { orchestrator, configuration, plan, .. } = drift;
    let at = format!("revision {} of {}", configuration.rev, orchestrator.url);
    match (&configuration.expected_hash, configuration.differences.len()) {
        (None, _) => page.paragraph(format!("{at}: nothing was run yet, so nothing is expected")),
        (Some(_), 0) if configuration.in_flight => {
            page.paragraph(format!("{at} is a change of the run in flight"));
        }
        (Some(_), 0) => page.paragraph(Cell::painted(
            format!("{at} is the configuration that the last run left"),
            Paint::Good,
        )),
        (Some(_), n) => {
            let text = format!("{at} differs from what the last run left: {}", count(n, "value"));
            page.paragraph(Cell::painted(text, Paint::Bad));
            let value = |value: &Value| match value {
                Value::Null => Cell::from("-"),
                other => Cell::from(other.to_string()),
            };
            let rows: Vec<Vec<Cell>> = configuration
                .differences
                .iter()
                .map(|d| vec![d.path.clone().into(), value(&d.ledger), value(&d.orchestrator)])
                .collect();
            page.table(&["path", "ledger", "orchestrator"], &rows);
        }
    }
    if let Some(known) = &orchestrator.known_uuid
        && *known != orchestrator.state_uuid
    {
        let text = format!(
            "the orchestrator is another one: {}, the ledger knows {known}",
            orchestrator.state_uuid
        );
        page.paragraph(Cell::painted(text, Paint::Bad));
    }
    if let Some(plan) = plan {
        phases(&mut page, "edited since it was applied", &plan.edited, Paint::Bad);
        phases(&mut page, "applied, and no longer in the plan", &plan.removed, Paint::Bad);
        phases(&mut page, "not confirmed yet", &plan.pending, Paint::Warn);
        if plan.edited.is_empty() && plan.removed.is_empty() && plan.pending.is_empty() {
            let text = format!("every phase of `{}` is confirmed as it stands there", plan.file);
            page.paragraph(Cell::painted(text, Paint::Good));
        }
    }
    context.ui.out_raw(page.render(context.ui.color_out));
    if !configuration.differences.is_empty() {
        context
            .ui
            .note("hint: `ctx history` shows what ctx did; who else changed it stands in the");
        context.ui.note("      orchestrator's audit chain");
        context
            .ui
            .note("hint: `ctx rollback` writes the ledger's configuration back; `ctx migrate`");
        context.ui.note("      goes on from what is there with `--accept-drift --reason WHY`");
    }
}

fn phases(page: &mut Page, what: &str, ids: &[PhaseId], paint: Paint) {
    if ids.is_empty() {
        return;
    }
    let names: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    let noun = if ids.len() == 1 { "phase" } else { "phases" };
    page.paragraph(Cell::painted(format!("{noun} {}: {what}", names.join(", ")), paint));
}
