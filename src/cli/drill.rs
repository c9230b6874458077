//! `ctx rehearse --drill`: a fault at every step, and whether everything came back.
//!
//! The exit code is 0 when every drill was clean; [`Code::RollbackIncomplete`] when a phase did
//! not come back to the state before it; [`Code::Failure`] when an event was lost, or a drill
//! could not be carried out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::{Value, json};

use super::Context;
use super::report::replace;
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result, count, did_you_mean};
use crate::ids::random_hex;
use crate::load::Rate;
use crate::orchestrator::extensions::Programs;
use crate::plan::Loaded;
use crate::plan::model::{Action, Phase, Plan};
use crate::rehearsal::drill::{Case, Drill, Drilled, Ending, Fault, Progress, cases, culprits};
use crate::rehearsal::staging::Staging;
use crate::rehearsal::tempo_for;
use crate::report::junit::document::{self as junit, Bad, Outcome, Suite};
use crate::report::page::{Cell, Page};
use crate::secret::redacted;

/// Requests a second in each drill, unless told otherwise.
pub(super) const RATE: f64 = 100.0;
/// How long all soaks of a plan would take together, unless told otherwise.
pub(super) const BUDGET: Duration = Duration::from_secs(5);
/// Wider than this helps nobody.
const WIDEST: usize = 100;

/// Flags of a drill.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Flags {
    /// Inject every fault at every step in turn, and show that each phase rolls back whole
    #[arg(long)]
    pub(super) drill: bool,
    /// Drill this phase only
    #[arg(long, value_name = "N|ID", requires = "drill")]
    phase: Option<String>,
    /// Drill this step only
    #[arg(long, value_name = "ID", requires = "drill")]
    step: Option<String>,
    /// Inject this fault only: errors, latency, hang, app-down, metrics-down, crash-orchestrator,
    /// crash-ctx, ctx-gone
    #[arg(long, value_name = "NAME", requires = "drill")]
    fault: Vec<Fault>,
    /// Drills at the same time [default: three per core]
    #[arg(long, value_name = "N", requires = "drill")]
    jobs: Option<usize>,
    /// Run the plan's programs and send its requests in earnest, in a copy of this folder for each
    /// drill; otherwise they are named only
    #[arg(long, value_name = "DIR", requires = "drill")]
    run_programs: Option<PathBuf>,
    /// A program whose output must be the same before a phase and after its rollback
    #[arg(long, value_name = "PROGRAM", requires = "drill")]
    compare: Vec<PathBuf>,
    /// Write the result as JUnit to this file, too
    #[arg(long, value_name = "FILE", requires = "drill")]
    junit: Option<PathBuf>,
}

/// What a drill has in common with every rehearsal.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) soaks: Duration,
    pub(super) rate: Rate,
    pub(super) keep: Option<PathBuf>,
}

/// What this process is told, as a part of a drill; it ends with the drill.
///
/// # Errors
/// When the instructions cannot be read.
pub(super) fn staged(path: &Path) -> Result<Staging> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Code::Usage, format!("failed to read the staging `{}`", path.display()))
            .because(error)
    };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed(&error))?;
    Staging::read(path).map_err(|error| failed(&error))
}

/// Programs of extensions that are watched, where this process is a part of a drill.
///
/// # Errors
/// When what they take cannot be noted.
pub(super) fn witnessed(context: &Context, programs: Option<Programs>) -> Result<Option<Programs>> {
    let Some(staging) = &context.staging else { return Ok(programs) };
    let witness = staging.witness().map_err(|error| {
        Failure::new(Code::Failure, "failed to note what programs take").because(&error)
    })?;
    Ok(programs.map(|programs| Programs { witness: Some(witness), ..programs }))
}

/// Drills a plan.
///
/// # Errors
/// When a drill was not clean, or none could be carried out.
pub(super) fn run(args: &Flags, context: &Context, loaded: Loaded, stage: Stage) -> Result<Code> {
    let began = SystemClock.boot();
    let mut plan = loaded.plan;
    let tempo = tempo_for(&plan, stage.soaks);
    let staging = Staging {
        tempo: tempo.factor(),
        secrets: PathBuf::new(),
        in_earnest: args.run_programs.is_some(),
        watching: None,
        provider: None,
        taken: PathBuf::new(),
    };
    staging.adapt(&mut plan);
    let cases = chosen(args, &plan)?;
    let path = |path: &Path| {
        std::fs::canonicalize(path).map_err(|error| {
            let what = format!("failed to find `{}`", path.display());
            Failure::new(Code::Usage, what).because(&error)
        })
    };
    let compare = args.compare.iter().map(|program| path(program)).collect::<Result<Vec<_>>>()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let alone = args.run_programs.is_some() && calls_elsewhere(&plan);
    let jobs = args.jobs.unwrap_or(if alone { 1 } else { 3 * cores });
    let folder = Folder::new(stage.keep)?;
    let drill = Drill {
        file: path(&loaded.path)?,
        folder: folder.path.clone(),
        staging,
        rate: stage.rate,
        jobs,
        files: args.run_programs.as_deref().map(path).transpose()?,
        compare,
        plan,
    };
    introduce(context, &drill, &cases);
    let tell = |progress: Progress<'_>| context.ui.note(line(&progress));
    drill.prepare(&cases, &tell).map_err(|why| {
        Failure::new(Code::Failure, "failed to prepare the drill")
            .why(why)
            .hint("rehearse the plan without faults first: `ctx rehearse`")
    })?;
    let drilled = drill.perform(&cases, &tell);
    let took = SystemClock.boot().saturating_sub(began);
    if let Some(file) = &args.junit {
        replace(file, redacted(&suites(&drill.plan, &drilled)).as_bytes()).map_err(|error| {
            Failure::new(Code::Failure, format!("failed to write `{}`", file.display()))
                .because(&error)
        })?;
    }
    if context.ui.json {
        context.ui.json(&document(&drill.plan, &drilled, took));
    } else {
        show(context, &drilled);
    }
    verdict(context, &drilled, took)
}

/// The drills that were asked for.
fn chosen(args: &Flags, plan: &Plan) -> Result<Vec<Case>> {
    let phase = args.phase.as_deref().map(|named| super::phases::find(plan, named)).transpose()?;
    let within = |candidate: &Phase| phase.is_none_or(|phase| phase.id == candidate.id);
    if let Some(named) = &args.step {
        let phases = plan.phases.iter().filter(|phase| within(phase));
        let steps: Vec<&str> =
            phases.flat_map(|phase| &phase.steps).map(|step| step.id.as_str()).collect();
        if !steps.contains(&named.as_str()) {
            let failure = Failure::new(Code::Usage, format!("there is no step `{named}` to drill"))
                .why(format!("its steps are: {}", steps.join(", ")));
            return Err(match did_you_mean(named, steps.iter().copied()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    Ok(cases(plan, |candidate, step, fault| {
        within(candidate)
            && args.step.as_ref().is_none_or(|named| step.id.as_str() == named)
            && (args.fault.is_empty() || args.fault.contains(&fault))
    }))
}

/// Whether a plan sends requests to services that all drills share.
fn calls_elsewhere(plan: &Plan) -> bool {
    let elsewhere = |url: &str| !url.starts_with('/') && !url.starts_with("control:");
    let mut steps = plan.phases.iter().flat_map(|phase| &phase.steps);
    steps.any(|step| match &step.action {
        Action::Call { request, undo, .. } => {
            elsewhere(&request.url) || undo.as_ref().is_some_and(|undo| elsewhere(&undo.url))
        }
        _ => false,
    })
}

/// The drill's folder; cleared away in the end unless it is to be kept.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: Option<PathBuf>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            Failure::new(Code::Failure, "failed to create the drill's folder").because(&error)
        };
        let kept = keep.is_some();
        let path = keep.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("ctx-drill-{}", random_hex::<8>()))
        });
        if path.join("secrets").exists() {
            let what = format!("`{}` holds an earlier drill", path.display());
            return Err(Failure::new(Code::Usage, what).hint("name a new folder"));
        }
        std::fs::create_dir_all(&path).map_err(failed)?;
        Ok(Self { path: std::fs::canonicalize(&path).map_err(failed)?, keep: kept })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "the drill's folder stays");
        }
    }
}

fn introduce(context: &Context, drill: &Drill, cases: &[Case]) {
    let ui = &context.ui;
    ui.note(format!(
        "drilling `{}`: {}, {} at a time",
        drill.plan.name,
        count(cases.len(), "drill"),
        drill.jobs
    ));
    ui.note(
        "guards on cpu and by query are left out: they measure this machine, or another service",
    );
    let outside =
        |case: &Case| matches!(case.step.action, Action::Run { .. } | Action::Call { .. });
    if drill.files.is_none() && cases.iter().any(outside) {
        ui.note("programs, and requests to other services, are named only: see `--run-programs`");
    }
}

/// One line about how far it has come.
fn line(progress: &Progress<'_>) -> String {
    match progress {
        Progress::Prepared { phase, took } => {
            format!("phase {} `{}` migrated, {}", phase.number, phase.id, seconds(*took))
        }
        Progress::Done { drilled, n, of } => {
            let said = if drilled.is_clean() { "clean" } else { "NOT CLEAN" };
            let (step, fault, took) = (&drilled.step, drilled.fault, seconds(drilled.took));
            format!("{n}/{of} {}/{step}, {fault}: {said}, {took}", drilled.phase)
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The table, and below it what went otherwise than a reader would think.
fn show(context: &Context, drilled: &[Drilled]) {
    let mut page = Page::new(context.ui.width.min(WIDEST));
    let time = |at: Option<Duration>| at.map_or_else(|| "-".to_owned(), seconds);
    let mut phase = None;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let head = ["step", "fault", "detected", "rolled back", "lost", "state equal"];
    for one in drilled {
        if phase != Some(&one.phase) {
            if !rows.is_empty() {
                page.table(&head, &std::mem::take(&mut rows));
            }
            page.heading(&format!("Phase {} {}", one.phase_number, one.phase));
            phase = Some(&one.phase);
        }
        let equal = match (one.has_rolled_back(), one.is_equal()) {
            (true, true) => "yes",
            (_, false) => "NO",
            (false, true) => "-",
        };
        rows.push(vec![
            one.step.as_str().into(),
            one.fault.name().into(),
            time(one.detected).into(),
            time(one.rolled_back).into(),
            one.lost.len().to_string().into(),
            equal.into(),
        ]);
    }
    page.table(&head, &rows);
    let noted = drilled.iter().filter_map(|one| Some((one, one.note.as_ref()?)));
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    for (one, note) in noted {
        let who = format!("{}, {}", one.step, one.fault);
        match notes.iter_mut().find(|(known, _)| known == note) {
            Some((_, all)) => all.push(who),
            None => notes.push((note.clone(), vec![who])),
        }
    }
    if !notes.is_empty() {
        page.heading("Notes");
    }
    for (note, who) in notes {
        page.paragraph(format!("{note}: {}", who.join("; ")).as_str());
    }
    context.ui.out_raw(page.render(context.ui.color_out));
}

/// The end: what to blame, and the exit code.
fn verdict(context: &Context, drilled: &[Drilled], took: Duration) -> Result<Code> {
    let events: u64 = drilled.iter().map(|one| one.acknowledged).sum();
    let failed = drilled.iter().filter(|one| !one.is_clean()).count();
    if failed == 0 {
        context.ui.note(format!(
            "drilled in {}: {}, each rolled back to the state before its phase; {events} events, \
             none lost",
            seconds(took),
            count(drilled.len(), "fault"),
        ));
        return Ok(Code::Done);
    }
    let spoiled = |one: &Drilled| !one.is_equal() || matches!(one.ending, Ending::Incomplete(_));
    let code = if drilled.iter().any(spoiled) { Code::RollbackIncomplete } else { Code::Failure };
    let what = format!("{failed} of {} did not end clean", count(drilled.len(), "drill"));
    let mut failure = Failure::new(code, what);
    for (phase, step, faults) in culprits(drilled) {
        failure = failure.why(format!("step `{step}` of phase `{phase}`: {}", faults.join("; ")));
    }
    let failure =
        failure.hint("drill one step again and look at its ledger: `--step ID --keep DIR`");
    if context.ui.json {
        // Stdout holds the one document already.
        context.ui.fail(&failure);
        return Ok(code);
    }
    Err(failure)
}

/// The result as one document.
fn document(plan: &Plan, drilled: &[Drilled], took: Duration) -> Value {
    let ms = |at: Option<Duration>| at.map(|at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
    let drills = drilled.iter().map(|one| {
        json!({
            "phase": one.phase,
            "phase_number": one.phase_number,
            "step": one.step,
            "fault": one.fault.name(),
            "ending": one.ending.name(),
            "detected_ms": ms(one.detected),
            "detected_by": one.by,
            "rolled_back_ms": ms(one.rolled_back),
            "events": one.acknowledged,
            "events_lost": one.lost.len(),
            "state_equal": one.has_rolled_back() && one.is_equal(),
            "faults": one.faults(),
            "note": one.note,
            "took_ms": ms(Some(one.took)),
        })
    });
    let blamed = culprits(drilled)
        .into_iter()
        .map(|(phase, step, faults)| json!({"phase": phase, "step": step, "faults": faults}));
    json!({
        "schema": "ctx.drill/1",
        "plan": plan.name,
        "clean": drilled.iter().all(Drilled::is_clean),
        "took_ms": ms(Some(took)),
        "drills": drills.collect::<Vec<_>>(),
        "blamed": blamed.collect::<Vec<_>>(),
    })
}

/// What the table says of a drill, line by line.
fn told(one: &Drilled) -> Vec<String> {
    let time = |at: Option<Duration>| {
        at.map_or_else(|| "not".to_owned(), |at| format!("after {}", seconds(at)))
    };
    let by = if one.by.is_empty() { String::new() } else { format!(": {}", one.by) };
    let mut lines = vec![
        format!("detected {}{by}", time(one.detected)),
        format!("rolled back {}, {}", time(one.rolled_back), one.ending.name()),
        format!("{} of {} lost, state equal", one.lost.len(), count_of(one.acknowledged)),
    ];
    lines.extend(one.note.clone());
    lines
}

fn count_of(events: u64) -> String {
    count(usize::try_from(events).unwrap_or(usize::MAX), "acknowledged event")
}

/// The result as JUnit: a suite for each phase, a case for each drill.
fn suites(plan: &Plan, drilled: &[Drilled]) -> String {
    let suite = |phase: &Phase| {
        let case = |one: &Drilled| {
            let outcome = if one.is_clean() {
                Outcome::Passed(told(one))
            } else {
                let (message, text) = (one.faults().join("; "), one.faults());
                Outcome::Failed(Bad { kind: "drill", message, text })
            };
            let (name, class) = (format!("{}: {}", one.step, one.fault), phase.id.to_string());
            junit::Case { name, class, took: one.took, outcome }
        };
        let cases = drilled.iter().filter(|one| one.phase == phase.id).map(case).collect();
        Suite { name: phase.id.to_string(), begun: None, took: None, cases }
    };
    let suites: Vec<Suite> =
        plan.phases.iter().map(suite).filter(|suite| !suite.cases.is_empty()).collect();
    junit::render(&format!("drill of {}", plan.name), &suites)
}
