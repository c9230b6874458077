//! `ctx migrate`: runs a phase, or takes it up where it was left.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;

use super::admission::{Admission, admit, check_drift};
use super::hands::Workshop;
use super::opening::{by, prepare};
use super::phases::{find, pending};
use super::session::{block_on, confirm, connect, listen_for_signals, watched};
use super::soaks::{self, Soaks};
use super::{Context, candidates, lock, preview};
use crate::alerts::{Desk, Watching};
use crate::clock::{Clock, SystemClock};
use crate::control::wire::State;
use crate::engine::executor::{Attendance, Executor, Stop, World};
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::fact::{Outcome, RunBegun, RunKind};
use crate::plan::Loaded;
use crate::plan::model::{OnFailure, Phase};
use crate::progress::Observer;

/// Run a phase, or take it up where it was left
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx migrate phase 2 --dry-run\n  ctx migrate phase 2\n  ctx migrate phase performance --yes --reason \"change 4711\""
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    soaks: Soaks,
}

#[derive(Clone, Copy, Debug, Default, clap::Args)]
struct Options {
    /// Show what would be done and every request that would be sent, and do nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// With `--dry-run`: exit with 10 when there is something to do
    #[arg(long, global = true, requires = "dry_run")]
    detailed_exitcode: bool,
    /// Begin even though the configuration is not the one that the last phase left
    #[arg(long, global = true)]
    accept_drift: bool,
}

/// How a phase is run.
#[derive(Clone, Copy, Debug)]
struct How {
    options: Options,
    attendance: Attendance,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run one phase, named by its number or id
    #[command(
        after_help = "Examples:\n  ctx migrate phase 2 --dry-run\n  ctx migrate phase performance --yes --reason \"change 4711\""
    )]
    Phase {
        #[arg(value_name = "N|ID", add = ArgValueCandidates::new(candidates::phases))]
        phase: String,
    },
    /// Run the first phase that is not confirmed
    #[command(
        after_help = "Examples:\n  ctx migrate next\n  ctx migrate next --yes --detach --confirm-within 8h --json-into run.jsonl"
    )]
    Next,
    /// Run every phase that is not confirmed, one after the other
    #[command(
        after_help = "Examples:\n  ctx migrate all --dry-run --detailed-exitcode\n  ctx migrate all --yes --reason \"change 4711\""
    )]
    All,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    if args.options.dry_run {
        return dry(args, context);
    }
    watched(context, |observer| work(args, context, observer))
}

/// Shows what would be done.
fn dry(args: &Args, context: &Context) -> Result<Code> {
    let loaded = crate::plan::load(context.settings.plan_file()?)?;
    let all = loaded.plan.phases.as_slice();
    let phases = match &args.what {
        What::Phase { phase } => std::slice::from_ref(find(&loaded.plan, phase)?),
        What::All => all,
        What::Next => {
            let pending = pending(super::known::reader(context)?.as_ref(), &loaded)?;
            pending.first().map_or(&[][..], |phase| std::slice::from_ref(*phase))
        }
    };
    for phase in phases {
        soaks::check(phase, args.soaks.attendance()?)?;
    }
    let code = super::dry_run::run(context, &loaded, phases, args.options.accept_drift)?;
    Ok(if args.options.detailed_exitcode { code } else { Code::Done })
}

fn work(args: &Args, context: &Context, observer: &mut dyn Observer) -> Result<Code> {
    let loaded = load(context, context.settings.plan_file()?)?;
    let how = How { options: args.options, attendance: args.soaks.attendance()? };
    match &args.what {
        What::Phase { phase } => {
            migrate(how, context, &loaded, find(&loaded.plan, phase)?, observer)
        }
        What::Next => {
            if let Some(phase) = next(context, &loaded)? {
                return migrate(how, context, &loaded, phase, observer);
            }
            context.ui.note("nothing to do: every phase is confirmed");
            Ok(Code::Done)
        }
        What::All => {
            for phase in unfinished(context, &loaded)? {
                migrate(how, context, &loaded, phase, observer)?;
            }
            Ok(Code::Done)
        }
    }
}

/// Takes up the run in flight whose first fact is `begun`, by the plan that it was begun with
/// unless another file is named.
pub(crate) fn take_up(context: &Context, begun: &RunBegun, attendance: Attendance) -> Result<Code> {
    let named = context.settings.plan.as_ref().map(|plan| plan.value.as_path());
    let loaded = load(context, named.unwrap_or(Path::new(&begun.plan_file)))?;
    let (plan, number, id) = (&begun.plan, begun.phase.number, &begun.phase.id);
    if loaded.plan.name != *plan {
        let (file, other) = (loaded.path.display(), &loaded.plan.name);
        return Err(Failure::new(
            Code::Refused,
            format!("phase {number} `{id}` of plan `{plan}` is in flight"),
        )
        .why(format!("`{file}` is plan `{other}`"))
        .hint(format!("name the file of its plan: `--plan {}`", begun.plan_file)));
    }
    let phase = loaded.plan.phases.iter().find(|phase| phase.id == *id).ok_or_else(|| {
        Failure::new(
            Code::PlanEdited,
            format!("phase `{id}` is in flight and is no longer in the plan"),
        )
        .hint("put it back, or undo it with `ctx rollback`")
    })?;
    let how = How { options: Options::default(), attendance };
    watched(context, |observer| migrate(how, context, &loaded, phase, observer))
}

/// The plan in `file`, as this process is to run it.
fn load(context: &Context, file: &Path) -> Result<Loaded> {
    let mut loaded = crate::plan::load(file)?;
    if let Some(staging) = &context.staging {
        staging.adapt(&mut loaded.plan);
    }
    Ok(loaded)
}

fn next<'a>(context: &Context, loaded: &'a Loaded) -> Result<Option<&'a Phase>> {
    let ledger = lock::open(&context.settings.ledger.value)?;
    Ok(pending(Some(&ledger), loaded)?.first().copied())
}

/// The phases from the one in flight on; what comes before it is confirmed.
fn unfinished<'a>(context: &Context, loaded: &'a Loaded) -> Result<&'a [Phase]> {
    let (plan, phases) = (&loaded.plan.name, &loaded.plan.phases);
    let ledger = Ledger::open(&context.settings.ledger.value)?;
    let Some(open) = ledger.open_run()? else { return Ok(phases) };
    let begun = ledger.begun(&open.run)?;
    let ours = begun.plan == *plan && begun.kind == RunKind::Migrate;
    let at = phases.iter().position(|phase| ours && phase.id == begun.phase.id);
    Ok(&phases[at.unwrap_or(0)..])
}

fn migrate(
    How { options, attendance }: How,
    context: &Context,
    loaded: &Loaded,
    phase: &Phase,
    observer: &mut dyn Observer,
) -> Result<Code> {
    soaks::check(phase, attendance)?;
    let again = format!("ctx migrate phase {}", phase.number);
    let mut ledger = lock::open(&context.settings.ledger.value)?;
    // The ledger is locked from here on, so what it admits now it admits until the end.
    let admission = admit(&ledger, loaded, phase)?;
    if matches!(admission, Admission::Complete) {
        let (number, id) = (phase.number, &phase.id);
        context.ui.note(format!("phase {number} `{id}` is already complete"));
        return Ok(Code::Done);
    }
    let client = connect(context, &loaded.plan.orchestrator)?;
    if matches!(admission, Admission::Begin { .. }) {
        super::queries::check_phase(&loaded.plan, phase)?;
        lock::before_asking(context, &loaded.plan.orchestrator)?;
        preview::summary(context, loaded, phase);
        confirm(
            context,
            &format!("Run phase {} `{}` on {}?", phase.number, phase.id, client.url()),
        )?;
    }
    let desk = desk(context, &admission, loaded)?;
    let mut watching = Watching::beside(observer, &desk, super::alerts::left_open(&ledger));
    let result = block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stopper = listen_for_signals(context, &again)?;
        let mut hands = Workshop::new(context, &loaded.plan, &loaded.path).staged();
        let world = World {
            ledger: &mut ledger,
            client: &client,
            observer: &mut watching,
            hands: &mut hands,
            clock: Arc::clone(&clock),
            stopper: stopper.clone(),
            rehearsal: context.names_only(),
            attendance,
        };
        let executor = match admission {
            Admission::Complete => return Ok(Code::Done),
            Admission::Resume(run) => Executor::resume(world, run).await,
            Admission::Begin { expected } => {
                let expected = expected.filter(|_| !options.accept_drift);
                let prepare = |there: &State| {
                    check_drift(expected.as_deref(), there)?;
                    let by = by(context);
                    prepare(loaded, phase, there, client.url(), by, context.tempo().factor())
                };
                Executor::begin(world, prepare).await
            }
        };
        let stop = match executor {
            Ok(mut executor) => executor.work().await,
            Err(stop) => stop,
        };
        if matches!(stop, Stop::Ended(Outcome::RolledBack, _))
            && phase.on_failure == OnFailure::RollbackAll
        {
            let earlier = super::rollback::in_force(&ledger, &loaded.plan.name, 0)?;
            if !earlier.is_empty() {
                let world = World {
                    ledger: &mut ledger,
                    client: &client,
                    observer: &mut watching,
                    hands: &mut hands,
                    clock: Arc::clone(&clock),
                    stopper,
                    rehearsal: context.names_only(),
                    attendance: Attendance::AsBefore,
                };
                Box::pin(super::rollback::all(context, world, &earlier))
                    .await
                    .into_result("ctx rollback", clock.wall())?;
            }
        }
        stop.into_result(&again, clock.wall())
    });
    desk.close();
    result
}

/// Tells those who are elsewhere of the run.
fn desk(context: &Context, admission: &Admission, loaded: &Loaded) -> Result<Desk> {
    // A run that has begun is not held up by a fault in where it is told.
    match admission {
        Admission::Begin { .. } => super::alerts::desk(context, &loaded.plan.alerts),
        _ => Ok(super::alerts::desk_of(context, &loaded.path)),
    }
}
