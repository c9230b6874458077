//! `ctx rehearse`: a whole plan on an embedded orchestrator, before the real one sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::extension_host::programs;
use super::hands::Workshop;
use super::opening::{by, prepare};
use super::session::{block_on, listen_for_signals};
use super::{Context, drill};
use crate::clock::{Clock, SystemClock, Tempo};
use crate::engine::executor::{Attendance, Executor, Stop, Stopper, World};
use crate::error::{Code, Failure, Result, count};
use crate::judge::Metric;
use crate::ledger::Ledger;
use crate::ledger::fact::Outcome;
use crate::load::Rate;
use crate::plan::Loaded;
use crate::plan::model::{Phase, Plan};
use crate::progress;
use crate::rehearsal::stage::Stage;
use crate::rehearsal::traffic::TrafficReport;
use crate::rehearsal::{BUDGET, staging, tempo_for};
use crate::report::Live;
use crate::units::duration;

/// Run a plan on an embedded orchestrator first, with real traffic and compressed time
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx rehearse\n  ctx rehearse plans/contexten.toml --soaks 20s\n  ctx rehearse --drill --phase 2 --fault errors --junit drill.xml"
)]
pub struct Args {
    /// The plan file [default: as `--plan`]
    #[arg(value_name = "PLAN")]
    file: Option<PathBuf>,
    /// How long all soaks together may take [default: 45s, and 5s in drills]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    soaks: Option<Duration>,
    /// Requests a second [default: 250, and 100 in each drill]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Keep the ledger, the backups and the orchestrator's state in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    drill: drill::Flags,
}

/// Requests a second.
const RATE: f64 = 250.0;

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let path = match &args.file {
        Some(path) => path.as_path(),
        None => context.settings.plan_file()?,
    };
    let mut loaded = crate::plan::load(path)?;
    let per_second = args.rate.unwrap_or(if args.drill.drill { drill::RATE } else { RATE });
    let usage = |what: &str| Failure::new(Code::Usage, what.to_owned());
    let rate = Rate::per_second(per_second).ok_or_else(|| usage("`--rate` is not a rate"))?;
    if let Some(folder) = &args.keep
        && folder.join("ledger.sqlite3").exists()
    {
        return Err(usage(&format!("`{}` holds an earlier rehearsal", folder.display()))
            .hint("name a new folder"));
    }
    if args.drill.drill {
        let soaks = args.soaks.unwrap_or(drill::BUDGET);
        return drill::run(
            &args.drill,
            context,
            loaded,
            drill::Stage { soaks, rate, keep: args.keep.clone() },
        );
    }
    let tempo = tempo_for(&loaded.plan, args.soaks.unwrap_or(BUDGET));
    context.ui.detach();
    introduce(context, &loaded, tempo, per_second);
    leave_out(context, &mut loaded.plan);
    // As `ctx serve --programs` beside the plan would.
    let beside = loaded.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let programs = programs(beside.unwrap_or(Path::new("."))).ok();
    let mut stage = Stage::set(tempo, rate, args.keep.as_deref(), programs)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut observer = progress::observer(&context.ui, &clock, &context.beside)?;
    let result = block_on(perform(context, &loaded, &stage, tempo, &mut *observer));
    let live = block_on(ask(&stage)).ok();
    let traffic = stage.end_traffic();
    // Records only, where a program reads them: `--keep` keeps the ledger for `ctx report`.
    if !context.ui.json && stage.ledger().exists() {
        super::report::of_rehearsal(context, loaded.plan, &stage.ledger(), live.as_ref())?;
    }
    progress::finish(&mut *observer, &context.ui, settle(context, result, &traffic))
}

/// Runs every phase, one after the other.
async fn perform(
    context: &Context,
    loaded: &Loaded,
    stage: &Stage,
    tempo: Tempo,
    observer: &mut dyn progress::Observer,
) -> Result<Code> {
    let again = "ctx rehearse";
    let stopper = listen_for_signals(context, again)?;
    let mut ledger = Ledger::open(&stage.ledger())?;
    for phase in &loaded.plan.phases {
        let production = Production {
            ledger: &mut ledger,
            observer: &mut *observer,
            stopper: stopper.clone(),
            tempo,
        };
        match Box::pin(run_phase(context, loaded, phase, stage, production)).await {
            Stop::Ended(Outcome::Done, _) => {}
            stop => return stop.into_result(again, SystemClock.wall()),
        }
    }
    Ok(Code::Done)
}

/// What one phase is performed with.
struct Production<'a> {
    ledger: &'a mut Ledger,
    observer: &'a mut dyn progress::Observer,
    stopper: Stopper,
    tempo: Tempo,
}

async fn run_phase(
    context: &Context,
    loaded: &Loaded,
    phase: &Phase,
    stage: &Stage,
    with: Production<'_>,
) -> Stop {
    let mut hands = Workshop::new(context, &loaded.plan, &loaded.path)
        .at(stage.folder().to_path_buf())
        .signing(stage.secrets().clone())
        .approving();
    let world = World {
        ledger: with.ledger,
        client: stage.client(),
        observer: with.observer,
        hands: &mut hands,
        clock: Arc::new(SystemClock),
        stopper: with.stopper,
        rehearsal: true,
        attendance: Attendance::AsBefore,
    };
    let (url, tempo) = (stage.client().url().to_owned(), with.tempo.factor());
    let executor =
        Executor::begin(world, |there| prepare(loaded, phase, there, &url, by(context), tempo));
    match executor.await {
        Ok(mut executor) => executor.work().await,
        Err(stop) => stop,
    }
}

/// What the orchestrator says while the traffic still runs.
async fn ask(stage: &Stage) -> Result<Live> {
    let client = stage.client();
    let (answer, metrics, health, guards) =
        tokio::join!(client.state(), client.metrics(None), client.health(), client.guards());
    Ok(Live {
        at_ms: SystemClock.wall().timestamp_millis(),
        state: answer.ok().map(|reply| reply.body),
        metrics: metrics.ok(),
        health: health.ok(),
        guards: guards.ok(),
    })
}

fn introduce(context: &Context, loaded: &Loaded, tempo: Tempo, rate: f64) {
    let plan = &loaded.plan;
    let soaks = plan.soak_total();
    let second = tempo.to_plan(Duration::from_secs(1));
    let time = if second == Duration::from_secs(1) {
        "as long as they are".to_owned()
    } else {
        let real = duration::format(tempo.to_real(soaks));
        format!("in {real} (1 s stands for {})", duration::format(second))
    };
    context.ui.note(format!(
        "rehearsing `{}`: {}, {} of soaks {time}, {rate} requests/s",
        plan.name,
        count(plan.phases.len(), "phase"),
        duration::format(soaks),
    ));
}

/// Leaves out what means nothing in a rehearsal, and says so.
fn leave_out(context: &Context, plan: &mut Plan) {
    let busy = |metric: Option<Metric>| metric == Some(Metric::Cpu);
    let loads = plan.suites.iter().filter_map(|suite| suite.load.as_ref());
    let judged = plan.guards.iter().any(|guard| busy(guard.measure.own()))
        || loads.flat_map(|load| &load.thresholds).any(|(metric, _)| busy(Some(*metric)));
    let asks = plan.guards.iter().any(|guard| guard.measure.query().is_some())
        || plan.named_criteria().any(|criterion| criterion.check.query().is_some());
    let longer = plan.suites.iter().filter_map(|suite| suite.load.as_ref());
    let longer = longer.filter(|load| load.lasts > staging::LOAD).count();
    staging::adapt(plan);
    if longer > 0 {
        let (loads, most) = (count(longer, "load"), duration::format(staging::LOAD));
        context.ui.note(format!("{loads} of suites cut to {most}"));
    }
    if judged {
        context.ui.note("guards on cpu are left out: senders and app share this machine's cores");
    }
    if asks {
        context
            .ui
            .note("guards and criteria by query are left out: no Prometheus scrapes a rehearsal");
    }
}

/// The rehearsal has passed when every phase was confirmed and no request was lost.
fn settle(context: &Context, result: Result<Code>, traffic: &TrafficReport) -> Result<Code> {
    let code = result?;
    let wrong = traffic.lost() + traffic.wrong_status;
    if wrong == 0 {
        context.ui.note(format!("rehearsed: {} requests, none lost or failed", traffic.sent));
        return Ok(code);
    }
    Err(Failure::new(Code::Failure, "the rehearsal lost traffic")
        .why(format!(
            "of {} requests {} got no answer, {} got another status than the app's own, {} \
             acknowledged events were never handled",
            traffic.sent,
            traffic.failed,
            traffic.wrong_status,
            traffic.unhandled.len()
        ))
        .hint("look at each step with `ctx report --ledger`, after `ctx rehearse --keep DIR`"))
}
