//! `ctx serve`: an orchestrator in the foreground, until it is told to stop.

mod explain;
mod initial;
mod others;
mod signals;
mod supervisor;
mod token;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use self::explain::explain;
use self::others::{Heard, Others, explain_handover, predecessor};
use self::signals::{Asked, Signals};
use self::supervisor::Stage;
use self::token::{TokenSource, resolve, token_file};
use super::extension_host::programs;
use super::log::Format;
use super::{Context, alerts, log};
use crate::alerts::{Desk, Escalations, Voice};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result};
use crate::failpoint::{self, Point};
use crate::orchestrator::extensions::Programs;
use crate::orchestrator::handover::{self, Given, Predecessor};
use crate::orchestrator::{Options, Orchestrator};
use crate::settings::environment;

/// How often a process that serves without its state tries to open it.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether self-healing has given up on something.
const LOOK: Duration = Duration::from_millis(500);

/// Run an orchestrator: the event gateway and the control API
///
/// The first line on stdout says where both listen. On the first start the configuration is that
/// of a service nothing has been changed about: every request goes to the legacy app.
/// The variables of the service as it was change that first configuration, and the log says which
/// were used: `CONTEXTEN_ENHANCED_MODE`, `CONTEXTEN_LEGACY_FALLBACK` (true or false) and the signing
/// secrets, such as `SLACK_SIGNING_SECRET`. `ctx config show --live --origin` shows them later.
///
/// `CTX_LOG` sets what is logged, such as `debug` or `info,ctx::access=debug` for a line per
/// request.
///
/// SIGTERM makes `/readyz` say 503, and after a second lets requests in flight finish, for at most
/// 25 seconds (`limits.drain_delay` and `limits.drain` of the configuration). SIGHUP reads the secrets of
/// webhooks and the token again, and nothing else; what was good before stays good until the next
/// SIGHUP, so that a secret can be replaced without refusing anybody. `--take-over` restarts without
/// refusing anybody.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx serve --legacy http://127.0.0.1:8000\n  ctx serve --legacy http://127.0.0.1:8000 --github-secret env:GITHUB_SECRET\n  ctx serve --legacy http://127.0.0.1:8000 --take-over"
)]
pub struct Args {
    /// The legacy app
    #[arg(long, value_name = "URL")]
    legacy: String,
    /// Where events are received
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:7780")]
    listen: SocketAddr,
    /// Where the control API listens; loopback only
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:7700")]
    control: SocketAddr,
    /// Where the state is kept
    #[arg(long, value_name = "DIR", default_value = ".ctx/serve")]
    state: PathBuf,
    /// The operators' token, as `env:NAME` or `file:PATH` [default: `CTX_TOKEN`, else a new one
    /// in DIR/token]
    #[arg(long, value_name = "REF")]
    token: Option<String>,
    /// A token that may evaluate flags (OFREP) and nothing else, as `env:NAME` or `file:PATH`
    #[arg(long, value_name = "REF")]
    flags_token: Option<String>,
    /// Take the place of the `ctx serve` that has the state folder, without a request lost; start as
    /// ever if none has
    #[arg(long)]
    take_over: bool,
    /// Take over even while a phase is in flight: what is provisional is reverted
    #[arg(long, requires = "take_over")]
    force: bool,
    /// Threads that handle events [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Where programs of extensions are; without it, none are run. Whoever holds the operators'
    /// token can have programs run as this user then
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// The sinks of alerts that are told where self-healing does not help [default: `alerts` of
    /// `ctx.toml`, else none]
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    /// How the log on stderr looks [default: `CTX_LOG_FORMAT`, else text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// Where GitHub's webhook secret is; used on the first start
    #[arg(long, value_name = "REF")]
    github_secret: Option<String>,
    /// Where Slack's signing secret is; used on the first start
    #[arg(long, value_name = "REF")]
    slack_secret: Option<String>,
    /// Where Linear's webhook secret is; used on the first start
    #[arg(long, value_name = "REF")]
    linear_secret: Option<String>,
}

/// Serves until SIGTERM or SIGINT, or until another process takes over; then lets requests in
/// flight finish.
///
/// # Errors
/// When the orchestrator cannot start.
pub fn run(args: Args, context: &Context) -> Result<Code> {
    let format = log_format(&args)?;
    let color = environment("NO_COLOR").is_none();
    log::start(format, environment("CTX_LOG").as_deref(), color);
    // What SQLite and others make is private, too.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let initial = initial::initial(&args, environment)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let source = TokenSource::of(&args);
    let token = source.read()?;
    let programs = args.programs.as_deref().map(allowed).transpose()?;
    let programs = super::drill::witnessed(context, programs)?;
    let flags_token = args.flags_token.as_deref();
    let flags_token = flags_token.map(|text| resolve("--flags-token", text)).transpose()?;
    let sinks = alerts::of_service(context, args.alerts.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, "failed to start").because(&error))?;
    let mut signals = runtime.block_on(async { Signals::listen() }).map_err(|error| {
        Failure::new(Code::Failure, "failed to listen for signals").because(&error)
    })?;
    let mut predecessor = predecessor(&args)?;
    if args.take_over && predecessor.is_none() {
        context.ui.note("nobody serves this state folder: there is nobody to take over from");
    }
    let release = predecessor.as_mut().map(Predecessor::release).transpose();
    let inherited = release.map_err(|error| explain_handover(&error))?;
    let state = args.state.clone();
    let mut orchestrator = Orchestrator::start(Options {
        legacy: args.legacy,
        listen: args.listen,
        control: args.control,
        inherited,
        state_dir: args.state,
        token,
        tempo: context.tempo(),
        clock: Arc::new(SystemClock),
        workers: args.workers.map_or(cores, NonZeroUsize::get),
        flags_token,
        judge_cpu: context.staging.is_none(),
        initial,
        programs,
    })
    .map_err(|error| explain(&error))?;
    let mut teller = Teller {
        escalations: Escalations::at(format!("http://{}", orchestrator.control_addr())),
        desk: Desk::open(sinks, state.clone(), &Voice::Log),
    };
    let mut others = Others::new(state);
    if let Some(predecessor) = predecessor {
        say(context, format, &format!("taken over from process {}", predecessor.pid));
        others.follow(&runtime, predecessor);
    }
    others.open_door(&runtime);
    failpoint::hit(Point::ServeStarted);
    announce(context, format, &orchestrator, &source);
    let socket = environment("NOTIFY_SOCKET");
    supervisor::tell(socket.as_deref(), Stage::Ready);
    failpoint::hit(Point::ServeAnnounced);
    let gone = attend(&runtime, &mut signals, &mut others, &mut orchestrator, &source, &mut teller);
    let farewell = match &gone {
        Some(Given::Gone { pid, .. }) => {
            format!("process {pid} has taken over; requests in flight may finish here")
        }
        _ => "stopping: requests in flight may finish; a second signal stops at once".to_owned(),
    };
    say(context, format, &farewell);
    supervisor::tell(socket.as_deref(), Stage::Stopping);
    drop(others);
    drain(&runtime, orchestrator, &mut signals, gone.is_some());
    teller.desk.close();
    failpoint::hit(Point::ServeDrained);
    runtime.shutdown_background();
    Ok(Code::Done)
}

/// Lets requests in flight finish, unless a second signal asks to stop at once.
fn drain(runtime: &Runtime, orchestrator: Orchestrator, signals: &mut Signals, taken_over: bool) {
    failpoint::hit(Point::ServeDrains);
    let limits = orchestrator.plane().active().config.limits.clone();
    orchestrator.plane().leaving.store(true, Ordering::Relaxed);
    // A load balancer needs a while to hear of it; a process that has taken over has been heard.
    let delay = if taken_over { Duration::ZERO } else { limits.drain_delay };
    runtime.block_on(async {
        let stopping = async {
            sleep(delay).await;
            let stop = move || orchestrator.stop(limits.drain);
            let _ = tokio::task::spawn_blocking(stop).await;
        };
        tokio::select! {
            () = stopping => {}
            () = signals.stop() => {}
        }
    });
}

/// An address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address to listen on; write it like `127.0.0.1:7780` or `[::1]:0`")
    })
}

/// The folder whose programs extensions may run.
fn allowed(folder: &Path) -> Result<Programs> {
    programs(folder).map_err(|error| {
        let folder = folder.display();
        Failure::new(Code::Usage, format!("`{folder}` is no folder of programs"))
            .because(&error)
            .hint("name the folder with the manifests of your extensions")
    })
}

/// What a process that serves is told.
enum Happened {
    Asked(Asked),
    Heard(Heard),
    /// It is time to try for the state again.
    Orphaned,
    /// It is time to look at what self-healing has given up on.
    Look,
}

/// Tells people elsewhere where self-healing does not help.
struct Teller {
    escalations: Escalations,
    desk: Desk,
}

impl Teller {
    fn look(&mut self, orchestrator: &Orchestrator) {
        let Some(sick) = orchestrator.escalated() else { return };
        for alert in self.escalations.seen(&sick, SystemClock.wall().timestamp_millis()) {
            self.desk.put(&alert);
        }
    }
}

/// Serves until it is asked to stop, or another process has taken over.
fn attend(
    runtime: &Runtime,
    signals: &mut Signals,
    others: &mut Others,
    orchestrator: &mut Orchestrator,
    source: &TokenSource,
    teller: &mut Teller,
) -> Option<Given> {
    loop {
        let has_state = orchestrator.has_state();
        if has_state {
            others.open_door(runtime);
        }
        let happened = runtime.block_on(async {
            tokio::select! {
                biased;
                asked = signals.next() => Happened::Asked(asked),
                heard = others.next() => Happened::Heard(heard),
                () = sleep(RETRY), if !has_state => Happened::Orphaned,
                () = sleep(LOOK), if has_state => Happened::Look,
            }
        });
        match happened {
            Happened::Asked(Asked::Stop) => return None,
            Happened::Asked(Asked::Reload) => {
                let token = source.read().inspect_err(|failure| {
                    tracing::error!(%failure, why = failure.why.join(": "), "the token stays as it is");
                });
                orchestrator.reload_secrets(token.ok());
            }
            Happened::Heard(Heard::Alone) => orchestrator.recount(),
            Happened::Heard(Heard::Knock(visitor)) => {
                let given = runtime.block_on(async {
                    tokio::select! {
                        given = handover::give(visitor, orchestrator) => Some(given),
                        () = signals.stop() => None,
                    }
                });
                match given {
                    None => return None,
                    Some(gone @ Given::Gone { .. }) => return Some(gone),
                    Some(Given::Kept) => {}
                    Some(Given::Orphaned) => reclaim(others, orchestrator),
                }
            }
            Happened::Orphaned => reclaim(others, orchestrator),
            Happened::Look => teller.look(orchestrator),
        }
    }
}

/// Opens the state again after a hand-over that has failed.
fn reclaim(others: &mut Others, orchestrator: &mut Orchestrator) {
    match orchestrator.resume() {
        Ok(()) => tracing::warn!("the hand-over has failed: this process serves on"),
        Err(error) => {
            let failure = explain(&error);
            let (why, hint) = (failure.why.join(": "), failure.hints.join("; "));
            tracing::error!(why, hint, "events are served, and nothing can be changed");
        }
    }
    // The other one may have put a door of its own there.
    others.door = None;
}

fn announce(context: &Context, format: Format, orchestrator: &Orchestrator, token: &TokenSource) {
    let data = format!("http://{}", orchestrator.data_addr());
    let control = format!("http://{}", orchestrator.control_addr());
    if context.ui.json {
        context.ui.json(&json!({ "type": "listening", "data": data, "control": control }));
    } else {
        context.ui.out(format!("listening data={data} control={control}"));
    }
    if let TokenSource::Kept(folder) = token {
        let path = token_file(folder);
        say(context, format, &format!("the operators' token is in `{}`", path.display()));
    }
}

/// How the log looks: as the flag says, or else `CTX_LOG_FORMAT`.
fn log_format(args: &Args) -> Result<Format> {
    match (args.log_format, environment("CTX_LOG_FORMAT")) {
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Text),
        (None, Some(text)) => Format::from_str(&text, false).map_err(|_| {
            Failure::new(Code::Usage, format!("`CTX_LOG_FORMAT` is `{text}`"))
                .hint("set it to `text` or `json`")
        }),
    }
}

/// Tells whoever reads stderr, in the form that the log has.
fn say(context: &Context, format: Format, text: &str) {
    match format {
        Format::Text => context.ui.note(text),
        Format::Json => tracing::info!("{text}"),
    }
}
