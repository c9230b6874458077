//! `ctx serve`: an orchestrator in the foreground, until it is told to stop.

mod initial;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log::Format;
use super::{Context, log};
use crate::clock::{SystemClock, Tempo};
use crate::error::{Code, Failure, Result};
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::orchestrator::store::StoreError;
use crate::orchestrator::{Options, Orchestrator, StartError};
use crate::secret::{Secret, SecretError, SecretRef};
use crate::settings::environment;

/// How long requests in flight may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(25);

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
/// SIGTERM lets requests in flight finish, for at most 25 seconds. SIGHUP reads the secrets of
/// webhooks and the token again, and nothing else; what was good before stays good until the next
/// SIGHUP, so that a secret can be replaced without refusing anybody.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx serve --legacy http://127.0.0.1:8000\n  ctx serve --legacy http://127.0.0.1:8000 --github-secret env:GITHUB_SECRET"
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
    /// Threads that handle events [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
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

/// Serves until SIGTERM or SIGINT, then lets requests in flight finish.
///
/// # Errors
/// When the orchestrator cannot start.
pub fn run(args: Args, context: &Context) -> Result<Code> {
    let format = log_format(&args)?;
    let color = environment("NO_COLOR").is_none();
    log::start(format, environment("CTX_LOG").as_deref(), color);
    let initial = initial::initial(&args, environment)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let source = TokenSource::of(&args);
    let token = source.read()?;
    let flags_token = args.flags_token.as_deref();
    let flags_token = flags_token.map(|text| resolve("--flags-token", text)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::Failure, "failed to start").because(&error))?;
    let mut signals = runtime.block_on(async { Signals::listen() }).map_err(|error| {
        Failure::new(Code::Failure, "failed to listen for signals").because(&error)
    })?;
    let orchestrator = Orchestrator::start(Options {
        legacy: args.legacy,
        listen: args.listen,
        control: args.control,
        state_dir: args.state,
        token,
        tempo: Tempo::default(),
        clock: Arc::new(SystemClock),
        workers: args.workers.map_or(cores, NonZeroUsize::get),
        flags_token,
        judge_cpu: true,
        initial,
    })
    .map_err(|error| explain(&error))?;
    failpoint::hit(Point::ServeStarted);
    announce(context, format, &orchestrator, &source);
    failpoint::hit(Point::ServeAnnounced);
    while runtime.block_on(signals.next()) == Asked::Reload {
        let token = source.read().inspect_err(|failure| {
            tracing::error!(%failure, why = failure.why.join(": "), "the token stays as it is");
        });
        orchestrator.reload_secrets(token.ok());
    }
    say(context, format, "stopping: requests in flight may finish; a second signal stops at once");
    failpoint::hit(Point::ServeDrains);
    let stopping = runtime.spawn_blocking(move || orchestrator.stop(DRAIN));
    runtime.block_on(async {
        tokio::select! {
            _ = stopping => {}
            () = signals.stop() => {}
        }
    });
    failpoint::hit(Point::ServeDrained);
    runtime.shutdown_background();
    Ok(Code::Done)
}

/// Tells whoever reads stderr, in the form that the log has.
fn say(context: &Context, format: Format, text: &str) {
    match format {
        Format::Text => context.ui.note(text),
        Format::Json => tracing::info!("{text}"),
    }
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
            .hint("stop the other one, or name another folder with `--state DIR`"),
        StoreError::Io { .. } => failure.hint("name a writable folder with `--state DIR`"),
        StoreError::Exposed { .. } => failure.hint(format!(
            "`chmod 700 {}`, or name another folder with `--state DIR`",
            folder.display()
        )),
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
    use super::*;

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
