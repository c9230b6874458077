//! `ctx rollback`: undoes the phase in flight, or the last one, or all down to a phase.
//!
//! It needs the ledger and the orchestrator, nothing else: no plan file, no metrics, no working
//! gateway. It does not need a disk, either: on one that takes no writes it goes on in memory, and
//! says at the end what it could not record. For whoever can write to the ledger again, the run is
//! then as it was before; another `ctx rollback` finds the configuration reverted and records that.

use std::path::Path;
use std::sync::Arc;

use clap_complete::engine::ArgValueCandidates;

use super::hands::Workshop;
use super::opening::{base, by};
use super::session::{block_on, confirm, connect, listen_for_signals, watched};
use super::{Context, candidates, lock};
use crate::alerts::{Desk, Watching};
use crate::clock::{Clock, SystemClock};
use crate::engine::executor::{Attendance, Executor, Hands, Stop, World};
use crate::engine::state::RunState;
use crate::error::{Code, Failure, Result};
use crate::ids::{PhaseId, PlanName, RunId};
use crate::ledger::Ledger;
use crate::ledger::fact::{Outcome, RunBegun, RunKind};
use crate::ledger::view::{PhaseRow, PhaseStatus};
use crate::plan::model::Orchestrator;
use crate::progress::Observer;
use crate::report::sentence::sentence;

/// Undo the phase in flight, or the last one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx rollback\n  ctx rollback --to start --yes --reason \"customers complain\""
)]
pub struct Args {
    /// Keep this phase and everything before it; `start` keeps none
    #[arg(long, value_name = "PHASE|start", add = ArgValueCandidates::new(candidates::phases_and_start))]
    to: Option<String>,
}

/// What there is to undo.
enum Work {
    Nothing(String),
    /// A run that has not ended.
    InFlight(RunId, Box<RunBegun>),
    /// Phases in force, last first, each with what its runs recorded, last first.
    Phases(Vec<RunState>),
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    watched(context, |observer| work(args, context, observer))
}

fn work(args: &Args, context: &Context, observer: &mut dyn Observer) -> Result<Code> {
    let path = &context.settings.ledger.value;
    if !path.exists() {
        context
            .ui
            .note(format!("nothing to roll back: there is no ledger at `{}`", path.display()));
        return Ok(Code::Done);
    }
    let mut ledger = lock::open_for_rollback(path)?;
    let work = find(&ledger, args.to.as_deref())?;
    let (question, begun) = match &work {
        Work::Nothing(why) => {
            context.ui.note(format!("nothing to roll back: {why}"));
            return Ok(Code::Done);
        }
        Work::InFlight(run, begun) => {
            let (number, id) = (begun.phase.number, &begun.phase.id);
            (format!("Roll back phase {number} `{id}` (run {run}, in flight)?"), (**begun).clone())
        }
        Work::Phases(states) => {
            let base = states[0].begun.base.clone();
            let there = Orchestrator { url: base.orchestrator, token: base.token };
            lock::before_asking(context, &there)?;
            let names = phases(states).iter().map(|id| format!("`{id}`")).collect::<Vec<_>>();
            warn_irreversible(context, states);
            (format!("Roll back {}?", names.join(", ")), states[0].begun.clone())
        }
    };
    confirm(context, &question)?;
    telling(context, &mut ledger, work, begun, observer)
}

/// Rolls the last phase of a plan back that is in force, without a question; `None` where there is
/// none. A run in flight is left to itself. Alerts about it go to `desk`.
pub(crate) fn last_phase(
    context: &Context,
    plan: &PlanName,
    observer: &mut dyn Observer,
    desk: &Desk,
) -> Result<Option<PhaseId>> {
    let path = &context.settings.ledger.value;
    if !path.exists() {
        return Ok(None);
    }
    let mut ledger = lock::open_for_rollback(path)?;
    let work = find(&ledger, None)?;
    let Work::Phases(states) = &work else { return Ok(None) };
    let Some(last) = states.first().filter(|last| last.begun.plan == *plan) else {
        return Ok(None);
    };
    warn_irreversible(context, states);
    let begun = last.begun.clone();
    let phase = begun.phase.id.clone();
    let result = carry_out(context, &mut ledger, work, begun, observer, desk);
    tell_unrecorded(context, &ledger);
    result.map(|_| Some(phase))
}

/// Takes up the rollback in flight; it was confirmed when it was begun.
pub(crate) fn take_up(context: &Context) -> Result<Code> {
    let mut ledger = lock::open_for_rollback(&context.settings.ledger.value)?;
    match find(&ledger, None)? {
        Work::InFlight(run, begun) => {
            let recorded = (*begun).clone();
            let work = Work::InFlight(run, begun);
            watched(context, |observer| telling(context, &mut ledger, work, recorded, observer))
        }
        Work::Nothing(_) | Work::Phases(_) => Ok(Code::Done),
    }
}

/// Carries it out, and tells those whom the plan's sinks reach.
fn telling(
    context: &Context,
    ledger: &mut Ledger,
    work: Work,
    begun: RunBegun,
    observer: &mut dyn Observer,
) -> Result<Code> {
    let named = context.settings.plan.as_ref().map(|plan| plan.value.as_path());
    let desk = super::alerts::desk_of(context, named.unwrap_or(Path::new(&begun.plan_file)));
    let result = carry_out(context, ledger, work, begun, observer, &desk);
    desk.close();
    tell_unrecorded(context, ledger);
    result
}

fn carry_out(
    context: &Context,
    ledger: &mut Ledger,
    work: Work,
    begun: RunBegun,
    observer: &mut dyn Observer,
    desk: &Desk,
) -> Result<Code> {
    let there = Orchestrator { url: begun.base.orchestrator, token: begun.base.token };
    let client = connect(context, &there)?;
    let earlier = super::alerts::left_open(ledger);
    let mut watching = Watching::beside(observer, desk, earlier);
    let result = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stopper = listen_for_signals(context, "ctx rollback")?;
        let mut hands = Workshop::without_plan(context);
        let world = World {
            ledger: &mut *ledger,
            client: &client,
            observer: &mut watching,
            hands: &mut hands,
            clock: Arc::clone(&clock),
            stopper,
            rehearsal: context.names_only(),
            attendance: Attendance::AsBefore,
        };
        let stop = Box::pin(undo(context, world, work)).await;
        stop.into_result("ctx rollback", clock.wall())
    });
    // The rollback was asked for, so having rolled back is success.
    match result {
        Err(failure) if failure.code == Code::RolledBack => Ok(Code::Done),
        other => other,
    }
}

/// Says what the disk did not take.
fn tell_unrecorded(context: &Context, ledger: &Ledger) {
    let Some(why) = ledger.why_unrecorded() else { return };
    let (ui, facts) = (&context.ui, ledger.unrecorded());
    ui.note(format!("note: {} facts could not be recorded: {why}", facts.len()));
    for recorded in facts {
        ui.note(format!("not recorded: {}", sentence(&recorded.fact)));
    }
    ui.note("hint: when the disk takes writes again, `ctx rollback` records that it is undone");
}

async fn undo(context: &Context, world: World<'_, Workshop<'_>>, work: Work) -> Stop {
    match work {
        Work::Nothing(why) => Stop::Ended(Outcome::Done, why),
        Work::Phases(states) => Box::pin(all(context, world, &states)).await,
        Work::InFlight(run, _) => {
            let executor = match Executor::resume(world, run).await {
                Ok(mut executor) => executor.ask_for_rollback(&by(context)).map(|()| executor),
                Err(stop) => Err(stop),
            };
            match executor {
                Ok(mut executor) => executor.work().await,
                Err(stop) => stop,
            }
        }
    }
}

/// Undoes whole phases, last first, as one run: the configuration from before the first of them,
/// then everything that they did outside the configuration.
pub(crate) async fn all<H: Hands>(
    context: &Context,
    world: World<'_, H>,
    states: &[RunState],
) -> Stop {
    let [last, ..] = states else { return Stop::Ended(Outcome::Done, String::new()) };
    let first = states.last().unwrap_or(last);
    let undo = states.iter().flat_map(RunState::undo_list).map(|(undo, _)| undo).collect();
    let phases = phases(states);
    let kind = RunKind::Rollback { phases, to: Box::new(first.begun.base.config.clone()), undo };
    let url = world.client.url().to_owned();
    let executor = Executor::begin(world, |there| {
        Ok(RunBegun {
            kind,
            base: base(there, &url, last.begun.base.token.clone()),
            by: by(context),
            ..last.begun.clone()
        })
    });
    match executor.await {
        Ok(mut executor) => executor.work().await,
        Err(stop) => stop,
    }
}

/// The phases that were run, each once.
fn phases(states: &[RunState]) -> Vec<PhaseId> {
    let mut phases: Vec<_> = states.iter().map(|state| state.begun.phase.id.clone()).collect();
    phases.dedup();
    phases
}

fn warn_irreversible(context: &Context, states: &[RunState]) {
    for state in states {
        for (undo, _) in state.undo_list() {
            if undo.step.is_irreversible() {
                context.ui.note(format!(
                    "step `{}` of phase `{}` cannot be undone: the plan declares it irreversible",
                    undo.step.id, undo.phase
                ));
            }
        }
    }
}

fn find(ledger: &Ledger, to: Option<&str>) -> Result<Work> {
    if let Some(open) = ledger.open_run()? {
        let begun = ledger.begun(&open.run)?;
        return Ok(Work::InFlight(open.run, Box::new(begun)));
    }
    let Some(last) = ledger.runs(1)?.into_iter().next() else {
        return Ok(Work::Nothing("nothing was migrated yet".to_owned()));
    };
    let keep = keep(&rows_in_force(ledger, &last.plan)?, to)?;
    let mut states = in_force(ledger, &last.plan, keep)?;
    if states.is_empty() {
        return Ok(Work::Nothing("no phase is in force".to_owned()));
    }
    if to.is_none() {
        let last = states[0].begun.phase.id.clone();
        states.retain(|state| state.begun.phase.id == last);
    }
    Ok(Work::Phases(states))
}

/// What the runs of the phases after number `keep` recorded, last phase first.
pub(crate) fn in_force(ledger: &Ledger, plan: &PlanName, keep: u32) -> Result<Vec<RunState>> {
    let rows = rows_in_force(ledger, plan)?;
    let mut states = Vec::new();
    for row in rows.iter().filter(|row| row.number > keep) {
        for run in attempts(ledger, row)? {
            let facts = ledger.facts(&run)?;
            states.push(RunState::fold(&run, facts.iter().map(|recorded| &recorded.fact))?);
        }
    }
    Ok(states)
}

/// The run that brought a phase to where it is, after those that were held half way and that it
/// went on from; the last one first.
fn attempts(ledger: &Ledger, row: &PhaseRow) -> Result<Vec<RunId>> {
    let runs = ledger.runs(u32::MAX)?.into_iter();
    let runs = runs.filter(|run| run.plan == row.plan && run.phase == row.phase);
    let before = runs.skip_while(|run| run.run != row.migrated).skip(1);
    let held = before.take_while(|run| run.outcome == Some(Outcome::Held)).map(|run| run.run);
    Ok(std::iter::once(row.migrated.clone()).chain(held).collect())
}

/// The phases that are in force, or that a failure has left half way, last first.
fn rows_in_force(ledger: &Ledger, plan: &PlanName) -> Result<Vec<PhaseRow>> {
    let mut rows = ledger.phases(plan)?;
    rows.retain(|row| {
        matches!(
            row.status,
            PhaseStatus::Confirmed | PhaseStatus::Failed | PhaseStatus::RollbackIncomplete
        )
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.number));
    Ok(rows)
}

/// The number of the last phase to keep; 0 for none.
fn keep(rows: &[PhaseRow], to: Option<&str>) -> Result<u32> {
    match to {
        None | Some("start") => Ok(0),
        Some(named) => rows
            .iter()
            .find(|row| row.phase.as_str() == named || row.number.to_string() == named)
            .map(|row| row.number)
            .ok_or_else(|| {
                let known: Vec<_> = rows.iter().map(|row| row.phase.to_string()).collect();
                Failure::new(Code::Usage, format!("no phase `{named}` is in force"))
                    .why(format!("in force are: {}", known.join(", ")))
                    .hint("`--to start` undoes all of them")
            }),
    }
}
