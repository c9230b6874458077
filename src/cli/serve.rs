//! `ctx serve`: an orchestrator in the foreground, until it is told to stop.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

use super::Context;
use super::extension_host::programs;
use crate::clock::SystemClock;
use crate::control::config::{Mode, Platform};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::orchestrator::extensions::Programs;
use crate::orchestrator::handover::{self, Door, Given, Predecessor, TakeError, Visitor};
use crate::orchestrator::store::StoreError;
use crate::orchestrator::{Initial, Options, Orchestrator, StartError};
use crate::secret::{Secret, SecretError, SecretRef};
use crate::settings::environment;

/// How often a process that serves without its state tries to open it.
const RETRY: Duration = Duration::from_secs(1);

/// Run an orchestrator: the event gateway and the control API
///
/// The first line on stdout says where both listen. On the first start the configuration is that
/// of a service nothing has been changed about: every request goes to the legacy app.
/// `CONTEXTEN_ENHANCED_MODE` and `CONTEXTEN_LEGACY_FALLBACK` (true or false) change that first
/// configuration; `CTX_LOG` sets what is logged, such as `debug` or `ctx=trace`.
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
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7780")]
    listen: SocketAddr,
    /// Where the control API listens; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
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
    log();
    // What SQLite and others make is private, too.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let initial = initial(&args, environment)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let source = TokenSource::of(&args);
    let token = source.read()?;
    let programs = args.programs.as_deref().map(allowed).transpose()?;
    let programs = super::drill::witnessed(context, programs)?;
    let flags_token = args.flags_token.as_deref();
    let flags_token = flags_token.map(|text| resolve("--flags-token", text)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, "failed to start").because(&error))?;
    let mut signals = runtime.block_on(async { Signals::listen() }).map_err(|error| {
        Failure::new(Code::Failure, "failed to listen for signals").because(&error)
    })?;
    let mut predecessor = predecessor(&args)?;
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
    let mut others = Others { state, door: None, farewell: None };
    if let Some(predecessor) = predecessor {
        context.ui.note(format!("taken over from process {}", predecessor.pid));
        others.follow(&runtime, predecessor);
    }
    others.open_door(&runtime);
    failpoint::hit(Point::ServeStarted);
    announce(context, &orchestrator, &source);
    failpoint::hit(Point::ServeAnnounced);
    let gone = attend(&runtime, &mut signals, &mut others, &mut orchestrator, &source);
    match &gone {
        Some(Given::Gone { pid, .. }) => context
            .ui
            .note(format!("process {pid} has taken over; requests in flight may finish here")),
        _ => {
            context
                .ui
                .note("stopping: requests in flight may finish; a second signal stops at once");
        }
    }
    drop(others);
    failpoint::hit(Point::ServeDrains);
    let limits = orchestrator.plane().active().config.limits.clone();
    orchestrator.plane().leaving.store(true, Ordering::Relaxed);
    // A load balancer needs a while to hear of it; a process that has taken over has been heard.
    let delay = if gone.is_some() { Duration::ZERO } else { limits.drain_delay };
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
    failpoint::hit(Point::ServeDrained);
    runtime.shutdown_background();
    Ok(Code::Done)
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

/// Serves until it is asked to stop, or another process has taken over.
fn attend(
    runtime: &Runtime,
    signals: &mut Signals,
    others: &mut Others,
    orchestrator: &mut Orchestrator,
    source: &TokenSource,
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
                happened = others.next() => happened,
                () = sleep(RETRY), if !has_state => Happened::Orphaned,
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
            Happened::Alone => orchestrator.recount(),
            Happened::Knocked(visitor) => {
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

/// The process that serves the state folder, if this one is to take over from it.
fn predecessor(args: &Args) -> Result<Option<Predecessor>> {
    if !args.take_over {
        return Ok(None);
    }
    let taken =
        handover::take(&args.state, args.force).map_err(|error| explain_handover(&error))?;
    let Some(sockets) = taken.as_ref().and_then(Predecessor::sockets) else { return Ok(taken) };
    let differs = |wanted: SocketAddr, listener: &std::net::TcpListener| {
        let there = listener.local_addr().ok()?;
        let same = wanted == there || (wanted.port() == 0 && wanted.ip() == there.ip());
        (!same).then_some(there)
    };
    let pairs = [
        ("--listen", args.listen, sockets.events.first()),
        ("--control", args.control, Some(&sockets.control)),
    ];
    for (flag, wanted, listener) in pairs {
        if let Some(there) = listener.and_then(|listener| differs(wanted, listener)) {
            let what =
                format!("`{flag}` is {wanted}, and the process that serves listens on {there}");
            return Err(Failure::new(Code::Refused, what).hint(format!(
                "a hand-over keeps the addresses: `{flag} {there}`, or stop the other one first"
            )));
        }
    }
    Ok(taken)
}

fn explain_handover(error: &TakeError) -> Failure {
    let failure = Failure::new(Code::Failure, "failed to take over").because(error);
    match error {
        TakeError::Refused { forcible: true, .. } => Failure { code: Code::Refused, ..failure }
            .hint("wait until the phase has ended: `ctx status` says when")
            .hint("or add `--force`: a restart reverts what is provisional, and voids leases"),
        TakeError::Refused { .. } | TakeError::Stranger => {
            Failure { code: Code::Refused, ..failure }
        }
        TakeError::Io(_) => {
            failure.hint("the process that serves goes on; see its log, or stop it and start anew")
        }
    }
}

/// Other processes of the same state folder: one that comes, and one that goes.
struct Others {
    state: PathBuf,
    door: Option<Door>,
    /// Closes when the process that this one has taken over from has ended.
    farewell: Option<UnixStream>,
}

/// What a process that serves is told.
enum Happened {
    Asked(Asked),
    Knocked(Visitor),
    /// The process before this one has ended.
    Alone,
    /// It is time to try for the state again.
    Orphaned,
}

impl Others {
    /// Tells the process before this one that it may go, and listens for its end.
    fn follow(&mut self, runtime: &Runtime, predecessor: Predecessor) {
        let _inside = runtime.enter();
        match predecessor.serving().and_then(|stream| stream.map(UnixStream::from_std).transpose())
        {
            Ok(farewell) => self.farewell = farewell,
            Err(error) => tracing::warn!(%error, "the end of the other process is not heard"),
        }
    }

    /// Lets a later process ask for the sockets. Without a door there is no hand-over, and
    /// everything else works.
    fn open_door(&mut self, runtime: &Runtime) {
        if self.door.is_some() {
            return;
        }
        let _inside = runtime.enter();
        self.door = Door::open(&self.state)
            .inspect_err(|error| tracing::warn!(%error, "no other process can take over"))
            .ok();
    }

    /// Cancel safe.
    async fn next(&mut self) -> Happened {
        let Self { door, farewell, .. } = self;
        let knock = async {
            match door {
                Some(door) => door.knock().await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match farewell {
                // It says nothing any more: whatever comes is the end.
                Some(stream) => drop(stream.readable().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            visitor = knock => Happened::Knocked(visitor),
            () = ended => {
                *farewell = None;
                Happened::Alone
            }
        }
    }
}

fn announce(context: &Context, orchestrator: &Orchestrator, token: &TokenSource) {
    let data = format!("http://{}", orchestrator.data_addr());
    let control = format!("http://{}", orchestrator.control_addr());
    if context.ui.json {
        context.ui.json(&json!({ "type": "listening", "data": data, "control": control }));
    } else {
        context.ui.out(format!("listening data={data} control={control}"));
    }
    if let TokenSource::Kept(folder) = token {
        let path = token_file(folder);
        context.ui.note(format!("the operators' token is in `{}`", path.display()));
    }
}

/// Where the operators' token comes from; what is in a file may be another one later.
enum TokenSource {
    Named(String),
    Environment(Secret),
    /// In the state folder, where the first start puts a new one.
    Kept(PathBuf),
}

impl TokenSource {
    fn of(args: &Args) -> Self {
        match (&args.token, environment("CTX_TOKEN")) {
            (Some(reference), _) => Self::Named(reference.clone()),
            (None, Some(token)) => Self::Environment(Secret::new(token)),
            (None, None) => Self::Kept(args.state.clone()),
        }
    }

    fn read(&self) -> Result<Secret> {
        match self {
            Self::Named(reference) => resolve("--token", reference),
            Self::Environment(token) => Ok(token.clone()),
            Self::Kept(folder) => kept_token(folder),
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// SIGTERM and SIGINT.
    Stop,
    /// SIGHUP: secrets are read again. It never ends the process, and never touches a route.
    Reload,
}

/// The signals that are listened for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for a signal that asks to stop.
    async fn stop(&mut self) {
        while self.next().await == Asked::Reload {}
    }
}

/// Logs to stderr what `CTX_LOG` asks for.
fn log() {
    let filter = EnvFilter::try_new(environment("CTX_LOG").unwrap_or_else(|| "info".to_owned()))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    // In a process that logs already, that stays as it is.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Who read the log may be gone. To say so on the same stderr would be a panic.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal() && environment("NO_COLOR").is_none())
        .try_init();
}

/// What the environment and the flags say about revision 1.
fn initial(args: &Args, environment: impl Fn(&str) -> Option<String>) -> Result<Initial> {
    const MODE: &str = "CONTEXTEN_ENHANCED_MODE";
    const FALLBACK: &str = "CONTEXTEN_LEGACY_FALLBACK";
    let mut initial = Initial::default();
    if let Some(enhanced) = boolean(MODE, environment(MODE))? {
        initial.mode = Some(if enhanced { Mode::Enhanced } else { Mode::Legacy });
        initial.origins.push(format!("{MODE} is {enhanced}"));
    }
    if let Some(fallback) = boolean(FALLBACK, environment(FALLBACK))? {
        initial.legacy_fallback = Some(fallback);
        initial.origins.push(format!("{FALLBACK} is {fallback}"));
    }
    let secrets = [
        ("--github-secret", Platform::Github, &args.github_secret),
        ("--slack-secret", Platform::Slack, &args.slack_secret),
        ("--linear-secret", Platform::Linear, &args.linear_secret),
    ];
    for (flag, platform, text) in secrets {
        let Some(text) = text else { continue };
        let reference: SecretRef = text.parse().map_err(|error| bad_secret(flag, &error))?;
        initial.origins.push(format!("the secret of {} is in {reference}", platform.name()));
        initial.secrets.insert(platform, reference);
    }
    Ok(initial)
}

fn boolean(name: &str, value: Option<String>) -> Result<Option<bool>> {
    let Some(value) = value else { return Ok(None) };
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Some(true)),
        "false" | "0" | "no" | "off" => Ok(Some(false)),
        other => {
            let near = did_you_mean(other, ["true", "false"]).unwrap_or("true` or `false");
            Err(Failure::new(
                Code::Usage,
                format!("`{name}` is `{value}`, which is neither yes nor no"),
            )
            .hint(format!("set it to `{near}`")))
        }
    }
}

fn resolve(flag: &str, reference: &str) -> Result<Secret> {
    let reference: SecretRef = reference.parse().map_err(|error| bad_secret(flag, &error))?;
    reference.resolve().map_err(|error| bad_secret(flag, &error))
}

fn bad_secret(flag: &str, error: &SecretError) -> Failure {
    Failure::new(Code::Usage, format!("`{flag}` names no secret"))
        .because(error)
        .hint("write `env:NAME` or `file:PATH`; the secret itself never goes on a command line")
}

/// The token that an earlier start left in the state folder, or a new one put there.
fn kept_token(folder: &Path) -> Result<Secret> {
    let path = token_file(folder);
    let fault = |error: &dyn std::error::Error| {
        Failure::new(Code::Failure, format!("failed to keep the token in `{}`", path.display()))
            .because(error)
            .hint("name a writable folder with `--state DIR`, or a token with `--token REF`")
    };
    crate::orchestrator::store::prepare(folder).map_err(|error| fault(&error))?;
    // A name more is what an interrupted start has left.
    if path.is_symlink() {
        return Err(Failure::new(Code::Failure, format!("`{}` is a link", path.display()))
            .hint("name where the token really is with `--token file:PATH`"));
    }
    if !path.exists() {
        make_token(folder, &path).map_err(|error| fault(&error))?;
    }
    let reference = SecretRef::File(path.display().to_string());
    reference.resolve().map_err(|error| fault(&error))
}

/// Puts a new token at `path`, whole or not at all; one that is there already stays.
fn make_token(folder: &Path, path: &Path) -> io::Result<()> {
    let new = folder.join("token.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(random_hex::<32>().as_bytes())?;
    file.sync_all()?;
    failpoint::hit(Point::TokenWritten);
    match fs::hard_link(&new, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    failpoint::hit(Point::TokenKept);
    fs::remove_file(&new)?;
    File::open(folder)?.sync_all()
}

fn token_file(folder: &Path) -> PathBuf {
    folder.join("token")
}

/// A failed start with what to do about it.
fn explain(error: &StartError) -> Failure {
    let failure = Failure::new(Code::Failure, "failed to start the orchestrator").because(error);
    match error {
        StartError::NotLoopback(addr) => failure.hint(format!(
            "use `--control 127.0.0.1:{}`, and a tunnel such as ssh to reach it from elsewhere",
            addr.port()
        )),
        StartError::Listen { addr, source, what } => match source.kind() {
            ErrorKind::AddrInUse => {
                let flag = if *what == "events" { "--listen" } else { "--control" };
                failure.hint(format!(
                    "something else uses port {}; choose another with `{flag}`, where port 0 \
                     picks a free one",
                    addr.port()
                ))
            }
            ErrorKind::PermissionDenied => failure.hint("ports below 1024 need privileges"),
            _ => failure,
        },
        StartError::Legacy(_) => failure.hint("write it like `--legacy http://127.0.0.1:8000`"),
        StartError::Store { folder, source } => explain_store(failure, folder, source),
        StartError::Thread(_) => failure,
    }
}

fn explain_store(failure: Failure, folder: &Path, error: &StoreError) -> Failure {
    match error {
        error if error.is_of_the_disk() => {
            failure.hint("see to the disk, then start it again; what was answered is kept")
        }
        StoreError::Locked(_) => Failure { code: Code::Locked, ..failure }
            .hint("take its place with `--take-over`, or name another folder with `--state DIR`"),
        StoreError::Io { .. } => failure.hint("name a writable folder with `--state DIR`"),
        StoreError::Exposed { .. } => failure.hint(format!(
            "`chmod 700 {}`, or name another folder with `--state DIR`",
            folder.display()
        )),
        StoreError::Strange { .. } => failure.hint(
            "remove it if it is not yours to keep, or name another folder with `--state DIR`",
        ),
        StoreError::Newer { .. } => failure.hint("run the ctx that wrote it, or a newer one"),
        StoreError::Altered { .. }
        | StoreError::Damaged(_)
        | StoreError::Sqlite(_)
        | StoreError::Stopped => {
            failure.hint("keep the folder for inspection and restore a backup into a new one")
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(extra: &[&str]) -> Args {
        let line = ["ctx", "serve", "--legacy", "http://127.0.0.1:8000"];
        let Command::Serve(args) = Cli::parse_from(line.iter().chain(extra)).command else {
            panic!("`serve` is a command")
        };
        args
    }

    #[test]
    fn the_environment_sets_the_first_configuration() {
        let environment = |name: &str| {
            let value = match name {
                "CONTEXTEN_ENHANCED_MODE" => "TRUE",
                "CONTEXTEN_LEGACY_FALLBACK" => "false",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let initial = initial(&args(&["--github-secret", "env:HOOK"]), environment).unwrap();
        assert_eq!(initial.mode, Some(Mode::Enhanced));
        assert_eq!(initial.legacy_fallback, Some(false));
        assert_eq!(initial.secrets[&Platform::Github], SecretRef::Env("HOOK".to_owned()));
        assert_eq!(initial.origins.len(), 3);
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let failure =
            initial(&args(&["--slack-secret", "xoxb-very-secret"]), |_| None).unwrap_err();
        assert_eq!(failure.code, Code::Usage);
        assert!(!format!("{failure:?}").contains("very-secret"));
    }

    #[test]
    fn a_boolean_that_is_none_is_refused() {
        let odd = |_: &str| Some("tru".to_owned());
        let failure = initial(&args(&[]), odd).unwrap_err();
        assert_eq!(failure.hints, ["set it to `true`"]);
    }

    #[test]
    fn the_token_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let (first, second) = (kept_token(&state).unwrap(), kept_token(&state).unwrap());
        assert_eq!(first, second);
        assert_eq!(first.expose().len(), 64);
        assert_eq!(
            std::fs::metadata(token_file(&state)).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}
