//! `ctx rollback`: undoes the phase in flight, or the last one, or all down to a phase.
//!
//! It needs the ledger and the orchestrator, nothing else: no plan file, no metrics, no working
//! gateway.

use std::sync::Arc;

use super::Context;
use super::hands::Workshop;
use super::migrate::{base, by};
use super::session::{block_on, confirm, connect, listen_for_signals};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::engine::executor::{Executor, Stop, World};
use crate::engine::state::RunState;
use crate::error::{Code, Failure, Result};
use crate::ids::RunId;
use crate::ledger::fact::{RunBegun, RunKind, Undo};
use crate::ledger::view::{PhaseRow, PhaseStatus};
use crate::ledger::{Ledger, LedgerError};
use crate::plan::model::Orchestrator;
use crate::progress;

/// Arguments of `ctx rollback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx rollback\n  ctx rollback --to start --yes --reason \"customers complain\"")]
pub struct Args {
    /// Keep this phase and everything before it; `start` keeps none
    #[arg(long, value_name = "PHASE|start")]
    to: Option<String>,
}

/// What there is to undo.
enum Work {
    Nothing(String),
    /// A run that has not ended.
    InFlight(RunId, Box<RunBegun>),
    /// Confirmed phases, last first, each with what its run recorded.
    Phases(Vec<RunState>),
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    if !path.exists() {
        context.ui.note(format!("nothing to roll back: there is no ledger at `{}`", path.display()));
        return Ok(Code::Done);
    }
    let mut ledger = Ledger::open(path)?;
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
            let names: Vec<_> = states.iter().map(|s| format!("`{}`", s.begun.phase.id)).collect();
            warn_irreversible(context, states);
            (format!("Roll back {}?", names.join(", ")), states[0].begun.clone())
        }
    };
    confirm(context, &question)?;
    let there = Orchestrator { url: begun.base.orchestrator, token: begun.base.token };
    let client = connect(context, &there)?;
    let mut observer = progress::observer(&context.ui);
    let result = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stopper = listen_for_signals(context, "ctx rollback")?;
        let mut hands = Workshop::without_plan(context);
        let world = World {
            ledger: &mut ledger,
            client: &client,
            observer: &mut *observer,
            hands: &mut hands,
            clock: Arc::clone(&clock),
            stopper,
            rehearsal: false,
        };
        let stop = undo(context, world, work).await;
        stop.into_result("ctx rollback", clock.wall())
    });
    // The rollback was asked for, so having rolled back is success.
    let result = match result {
        Err(failure) if failure.code == Code::RolledBack => Ok(Code::Done),
        other => other,
    };
    observer.end(result.as_ref().copied());
    result
}

async fn undo(context: &Context, world: World<'_, Workshop<'_>>, work: Work) -> Stop {
    let client = world.client.clone();
    let executor = match work {
        Work::InFlight(run, _) => match Executor::resume(world, run).await {
            Ok(mut executor) => {
                executor.ask_for_rollback(&by(context)).map(|()| executor)
            }
            Err(stop) => Err(stop),
        },
        Work::Phases(states) => begin(context, world, &client, &states).await,
        Work::Nothing(_) => return Stop::Ended(crate::ledger::fact::Outcome::Done, String::new()),
    };
    match executor {
        Ok(mut executor) => executor.work().await,
        Err(stop) => stop,
    }
}

/// Begins a run that undoes whole phases.
pub(crate) async fn begin<'a, H: crate::engine::executor::Hands>(
    context: &Context,
    world: World<'a, H>,
    client: &Client,
    states: &[RunState],
) -> std::result::Result<Executor<'a, H>, Stop> {
    let (last, first) = (&states[0], &states[states.len() - 1]);
    let undo: Vec<Undo> =
        states.iter().flat_map(|state| state.undo_list()).map(|(undo, _)| undo).collect();
    let phases = states.iter().map(|state| state.begun.phase.id.clone()).collect();
    let kind = RunKind::Rollback { phases, to: Box::new(first.begun.base.config.clone()), undo };
    let url = client.url().to_owned();
    Executor::begin(world, |there| {
        Ok(RunBegun {
            kind,
            base: base(there, &url, last.begun.base.token.clone()),
            by: by(context),
            ..last.begun.clone()
        })
    })
    .await
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
    let mut rows = ledger.phases(&last.plan)?;
    rows.retain(|row| {
        matches!(row.status, PhaseStatus::Confirmed | PhaseStatus::Failed | PhaseStatus::RollbackIncomplete)
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.number));
    let keep = keep(&rows, to)?;
    rows.retain(|row| row.number > keep);
    if rows.is_empty() {
        return Ok(Work::Nothing("no phase is in force".to_owned()));
    }
    if to.is_none() {
        rows.truncate(1);
    }
    let fold = |row: &PhaseRow| -> Result<RunState> {
        let run = migrated_by(ledger, row)?;
        let facts = ledger.facts(&run)?;
        RunState::fold(&run, facts.iter().map(|recorded| &recorded.fact)).map_err(|error| {
            Failure::new(Code::LedgerDamaged, "the ledger's facts do not fit together")
                .because(&error)
                .hint("check it with `ctx ledger verify`")
        })
    };
    Ok(Work::Phases(rows.iter().map(fold).collect::<Result<_>>()?))
}

/// The run that brought a phase into force: the row may name a later, failed rollback.
fn migrated_by(ledger: &Ledger, row: &PhaseRow) -> Result<RunId, LedgerError> {
    let runs = ledger.runs(usize::MAX)?;
    let migrated = runs.into_iter().find(|run| run.phase == row.phase && run.kind == "migrate");
    Ok(migrated.map_or_else(|| row.run.clone(), |run| run.run))
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
