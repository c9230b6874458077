//! `ctx migrate`: runs a phase, or takes it up where it was left.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;

use super::hands::Workshop;
use super::session::{block_on, confirm, connect, listen_for_signals, watched};
use super::soaks::{self, Soaks};
use super::{Context, candidates, lock, preview};
use crate::alerts::{Desk, Watching};
use crate::clock::{Clock, SystemClock};
use crate::control::wire::State;
use crate::engine::executor::{Attendance, Executor, Stop, World};
use crate::engine::moves::unroll;
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::RunId;
use crate::ledger::fact::{Base, By, Outcome, RunBegun, RunKind};
use crate::ledger::view::PhaseStatus;
use crate::ledger::{Ledger, Reader};
use crate::plan::model::{OnFailure, Phase, Plan};
use crate::plan::{Loaded, phase_hash};
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

/// The phases that are not confirmed.
pub(super) fn pending<'a>(reader: Option<&Reader>, loaded: &'a Loaded) -> Result<Vec<&'a Phase>> {
    let rows = reader.map(|reader| reader.phases(&loaded.plan.name)).transpose()?;
    let rows = rows.unwrap_or_default();
    let confirmed = |phase: &&Phase| {
        rows.iter().any(|row| row.phase == phase.id && row.status == PhaseStatus::Confirmed)
    };
    Ok(loaded.plan.phases.iter().filter(|phase| !confirmed(phase)).collect())
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

/// The phase that a person named.
pub(crate) fn find<'a>(plan: &'a Plan, named: &str) -> Result<&'a Phase> {
    plan.phase(named).ok_or_else(|| {
        let known: Vec<_> = plan.phases.iter().map(|p| format!("{} {}", p.number, p.id)).collect();
        let failure =
            Failure::new(Code::Usage, format!("plan `{}` has no phase `{named}`", plan.name))
                .why(format!("its phases are: {}", known.join(", ")));
        match did_you_mean(named, plan.phases.iter().map(|p| p.id.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        }
    })
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

/// Who does this, for the record.
pub(crate) fn by(context: &Context) -> By {
    By {
        user: crate::settings::user(),
        host: crate::settings::host(),
        ctx_version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: context.reason.clone(),
    }
}

/// Whether a phase may run now.
pub(crate) enum Admission {
    /// It is confirmed, and the plan still says the same.
    Complete,
    /// It was begun and not ended.
    Resume(RunId),
    /// It may begin; and the hash of the configuration that the last run left, if there was one.
    Begin { expected: Option<String> },
}

/// Decides whether a phase may run, from the ledger alone.
pub(crate) fn admit(ledger: &Reader, loaded: &Loaded, phase: &Phase) -> Result<Admission> {
    let plan = &loaded.plan;
    let rows = ledger.phases(&plan.name)?;
    let open = ledger.open_run()?;
    if let Some(open) = &open {
        let begun = ledger.begun(&open.run)?;
        let same = begun.plan == plan.name && begun.phase.id == phase.id;
        if !same || begun.kind != RunKind::Migrate {
            let (run, number, id) = (&open.run, begun.phase.number, &begun.phase.id);
            let (what, hint) = match begun.kind {
                RunKind::Migrate => (
                    "run",
                    format!(
                        "finish it with `ctx migrate phase {number}`, or undo it with `ctx rollback`"
                    ),
                ),
                RunKind::Rollback { .. } => {
                    ("rollback", "finish it with `ctx rollback`".to_owned())
                }
            };
            return Err(Failure::new(
                Code::Refused,
                format!("{what} {run} of phase {number} `{id}` has not ended"),
            )
            .why("one phase is in flight at a time")
            .hint(hint));
        }
        if begun.phase_hash != phase_hash(phase, &plan.guards_of(phase), &plan.suites) {
            return Err(edited(phase, "while its run is in flight"));
        }
        return Ok(Admission::Resume(open.run.clone()));
    }
    for row in rows.iter().filter(|row| row.status == PhaseStatus::Confirmed) {
        let now = plan.phases.iter().find(|p| p.id == row.phase);
        let same =
            now.is_some_and(|p| phase_hash(p, &plan.guards_of(p), &plan.suites) == row.phase_hash);
        if !same {
            let Some(now) = now else {
                return Err(Failure::new(
                    Code::PlanEdited,
                    format!("phase `{}` was applied and is no longer in the plan", row.phase),
                )
                .why("what the ledger records was done under another plan")
                .hint("put it back, or undo it with `ctx rollback`"));
            };
            return Err(edited(now, "after it was applied"));
        }
    }
    let confirmed =
        |id| rows.iter().any(|row| row.phase == id && row.status == PhaseStatus::Confirmed);
    if confirmed(phase.id.clone()) {
        return Ok(Admission::Complete);
    }
    if let Some(before) =
        plan.phases.iter().find(|p| p.number < phase.number && !confirmed(p.id.clone()))
    {
        let (number, id) = (before.number, &before.id);
        return Err(Failure::new(
            Code::Refused,
            format!("phase {number} `{id}` comes first and is not confirmed"),
        )
        .hint(format!("run it: `ctx migrate phase {number}`")));
    }
    Ok(Admission::Begin { expected: left_behind(ledger)? })
}

fn edited(phase: &Phase, when: &str) -> Failure {
    Failure::new(
        Code::PlanEdited,
        format!("phase {} `{}` was edited {when}", phase.number, phase.id),
    )
    .why("what the ledger records was done under another plan; comments and white space do not count")
    .hint("put the plan back as it was, or undo the phase with `ctx rollback`")
}

/// The hash of the configuration that the last ended run left.
fn left_behind(ledger: &Reader) -> Result<Option<String>> {
    Ok(super::drift::left_behind(ledger)?.map(|state| state.expected().hash()))
}

pub(super) fn check_drift(expected: Option<&str>, there: &State) -> Result<()> {
    match expected {
        Some(expected) if expected != there.config_hash => Err(Failure::new(
            Code::Refused,
            "the configuration is not the one that the last run left",
        )
        .why(format!(
            "revision {} has configuration {:.12}, the ledger expects {expected:.12}",
            there.head, there.config_hash
        ))
        .hint("find out who changed it; `ctx history` shows what ctx did")
        .hint("to begin from what is there: `--accept-drift --reason WHY`")),
        _ => Ok(()),
    }
}

/// The first fact of a run of `phase`.
///
/// # Errors
/// When a step does not fit the configuration that it would meet.
pub(crate) fn prepare(
    loaded: &Loaded,
    phase: &Phase,
    there: &State,
    url: &str,
    by: By,
    tempo: f64,
) -> Result<RunBegun> {
    let plan = &loaded.plan;
    unroll(phase, &there.config).map_err(|(at, error)| {
        Failure::new(Code::Refused, format!("step `{at}` does not fit the orchestrator"))
            .because(&error)
            .hint("compare the plan with `ctx status`")
    })?;
    let guards = plan.guards_of(phase);
    let milestones = plan.milestones.iter().filter(|m| m.phase == phase.id).cloned().collect();
    Ok(RunBegun {
        kind: RunKind::Migrate,
        plan: plan.name.clone(),
        plan_title: plan.title.clone(),
        plan_file: loaded.path.display().to_string(),
        file_hash: loaded.file_hash.clone(),
        phase_hash: phase_hash(phase, &guards, &plan.suites),
        phases: u32::try_from(plan.phases.len()).expect("a plan has few phases"),
        phase: phase.clone(),
        guards,
        suites: plan.suites.clone(),
        milestones,
        base: base(there, url, plan.orchestrator.token.clone()),
        by,
        tempo,
    })
}

/// The orchestrator as a run finds it.
pub(crate) fn base(there: &State, url: &str, token: Option<String>) -> Base {
    Base {
        orchestrator: url.to_owned(),
        token,
        state_uuid: there.state_uuid.clone(),
        rev: there.head,
        config_hash: there.config_hash.clone(),
        config: there.config.clone(),
        anchor: there.anchor.clone(),
    }
}
