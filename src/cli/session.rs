//! What commands that talk to an orchestrator share: the connection, the runtime, the signals.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Context;
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
pub(crate) use crate::control::failure::control_failure;
use crate::control::wire::{Fence, LeaseRequest};
use crate::engine::executor::{Signal, Stopper};
use crate::error::{Code, Failure, Result};
use crate::ids::RunId;
use crate::plan::model::Orchestrator;
use crate::progress::{self, Observer};
use crate::secret::{SecretRef, TOKEN_VARIABLE, shown_url};
use crate::settings::{self, Sourced};

/// Prepares a client for the orchestrator that the settings, or else the plan, name.
///
/// # Errors
/// When the address is none, or the token cannot be had.
pub(crate) fn connect(context: &Context, there: &Orchestrator) -> Result<Client> {
    let url = match &context.settings.orchestrator {
        Some(set) => address(set)?,
        // The plan's was checked with the plan.
        None => &there.url,
    };
    let reference = match (&context.staging, &there.token) {
        (Some(staging), _) => Ok(staging.token()),
        (None, Some(reference)) => reference.parse::<SecretRef>(),
        (None, None) => Ok(SecretRef::Env(TOKEN_VARIABLE.to_owned())),
    };
    let token = reference.and_then(|reference| reference.resolve()).map_err(|error| {
        let failure =
            Failure::new(Code::Refused, format!("no token for the orchestrator at {url}"))
                .because(&error);
        match &there.token {
            Some(_) => failure.hint(
                "`ctx serve` says where its token is; the plan's `[orchestrator] token` names it",
            ),
            None => failure.hint(format!(
                "set `{TOKEN_VARIABLE}`, or name the file with the token in the plan: \
                 `[orchestrator] token = \"file:PATH\"`; `ctx serve` says where it is"
            )),
        }
    })?;
    Ok(Client::new(url, Some(token)))
}

/// An address that a setting names.
fn address(set: &Sourced<String>) -> Result<&str> {
    let Sourced { value, origin } = set;
    let rest = value.strip_prefix("http://").unwrap_or_default();
    // Credentials and queries would go into the ledger and every message.
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@?#".contains(c);
    if !rest.is_empty() && rest.chars().all(plain) {
        return Ok(value);
    }
    let shown = shown_url(value);
    Err(Failure::new(Code::Usage, format!("`{shown}` is not the address of a control API"))
        .why(format!("it comes from `{origin}`"))
        .hint("write it like `http://127.0.0.1:7700`"))
}

/// Runs a command's asynchronous part to its end.
///
/// # Errors
/// Whatever it fails with.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Code::Failure, "failed to start the asynchronous runtime").because(&error)
    })?;
    runtime.block_on(work)
}

/// Signals this close together are one: some senders signal a process and its group.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// Listens for SIGINT, SIGTERM and SIGHUP. The first asks the run to stop at a safe point; the
/// second ends the process at once, which is safe too: the next one finds out.
///
/// # Errors
/// When the operating system refuses to deliver signals.
pub(crate) fn listen_for_signals(context: &Context, again: &str) -> Result<Stopper> {
    let refused = |error: std::io::Error| {
        Failure::new(Code::Failure, "failed to listen for signals").because(&error)
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(refused)?;
    let (tell, stopper) = watch::channel(None);
    let (ui, again) = (context.ui.clone(), again.to_owned());
    tokio::spawn(async move {
        let mut first = None;
        loop {
            let caught = tokio::select! {
                biased;
                _ = interrupt.recv() => Signal::Interrupt,
                _ = terminate.recv() => Signal::Terminate,
                _ = hangup.recv() => Signal::Terminate,
            };
            let now = SystemClock.boot();
            let at = *first.get_or_insert(now);
            if tell.borrow().is_none() {
                let name = caught.name();
                ui.note(format!("{name} received, stopping at the next safe point ..."));
                if tell.send(Some(caught)).is_err() {
                    return;
                }
            } else if now.saturating_sub(at) > ONE_PRESS {
                ui.note(format!("stopped at once; go on with `{again}`"));
                let code =
                    if caught == Signal::Interrupt { Code::Interrupted } else { Code::Terminated };
                ui.finish_soon();
                #[expect(clippy::exit, reason = "a person asked twice")]
                std::process::exit(i32::from(code.number()));
            }
        }
    });
    Ok(Stopper::new(stopper))
}

/// Asks a question whose default answer is no.
///
/// # Errors
/// [`Code::NeedsConfirmation`] where there is nobody to ask, [`Code::Refused`] on a no.
pub(crate) fn confirm(context: &Context, question: &str) -> Result<()> {
    use std::io::{BufRead, IsTerminal};
    if context.yes {
        return Ok(());
    }
    if context.no_input || !std::io::stdin().is_terminal() {
        return Err(Failure::new(Code::NeedsConfirmation, "a confirmation is needed")
            .why(question.to_owned())
            .hint("say `--yes`"));
    }
    context.ui.ask(&format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::new(Code::Refused, "not confirmed; nothing was changed")),
    }
}

/// How long the lease of a command outlives it without a sign of it.
const TTL_MS: u64 = 30_000;

/// Does work under a lease of its own, which ends with the work: what was not kept by then lives
/// and dies with the lease.
///
/// # Errors
/// When somebody else holds the lease, or with whatever the work fails with.
pub(crate) async fn under_lease<T>(
    client: &Client,
    work: impl AsyncFnOnce(&LeaseRequest, &Fence) -> Result<T>,
) -> Result<T> {
    let lease = LeaseRequest {
        run: RunId::random(),
        holder: settings::user(),
        host: settings::host(),
        pid: std::process::id(),
        ttl_ms: TTL_MS,
        min_token: 0,
        last_anchor: None,
    };
    let granted = client.acquire(&lease).await.map_err(|error| control_failure(&error))?;
    let fence = granted.body.fence;
    let done = work(&lease, &fence).await;
    let released = client.release(&fence).await;
    let value = done?;
    released.map_err(|error| control_failure(&error))?;
    Ok(value)
}

/// Does work that a run's observer watches, and tells the observer how it ended.
///
/// # Errors
/// Whatever the work fails with.
pub(crate) fn watched(
    context: &Context,
    work: impl FnOnce(&mut dyn Observer) -> Result<Code>,
) -> Result<Code> {
    context.ui.detach();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut observer = progress::observer(&context.ui, &clock, &context.beside)?;
    let result = work(&mut *observer);
    progress::finish(&mut *observer, &context.ui, result)
}
