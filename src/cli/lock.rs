//! `ctx lock`: who may change things now, on this side and at the orchestrator; and the way out
//! when a holder is dead or out of reach.
//!
//! There are two locks. The ledger's is the kernel's and dies with its process, so there is nothing
//! to release. The orchestrator's lease lapses by itself 30 s after its holder was last heard of;
//! who cannot wait for that breaks it, by its number, with a reason that stands in the audit chain.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use super::known::{plan, reader};
use super::session::{block_on, confirm, connect};
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::control::failure::control_failure;
use crate::control::wire::{LeaseBreak, LeaseBroken, LeaseView, ProblemCode, Provisional};
use crate::engine::executor::Stop;
use crate::error::{Code, Failure, Result};
use crate::ids::RunId;
use crate::ledger::lock::{self, Held};
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::plan::model::Orchestrator;
use crate::report::page::{Field, Page, clean};
use crate::report::words;
use crate::settings;

/// How long `show` waits for the orchestrator.
const PATIENCE: Duration = Duration::from_secs(1);

/// A holder renews its lease every 10 s; one that was heard of within this time is most likely
/// alive.
const ALIVE: Duration = Duration::from_secs(12);

/// Show who holds the locks, or break the lease of a holder who is gone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx lock show\n  ctx lock release --lease 41 --reason \"her laptop burned\""
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show who writes to the ledger and who holds the orchestrator's lease
    ///
    /// Takes nothing, waits for nobody, and changes nothing. Says as much as can be known when the
    /// orchestrator does not answer, and when there is no ledger.
    #[command(after_help = "Examples:\n  ctx lock show\n  ctx lock show --json")]
    Show,
    /// Take the orchestrator's lease from a holder who is dead or out of reach
    ///
    /// What lives with the lease is reverted, as if it had lapsed. Who, and why, stands in the
    /// orchestrator's audit chain. The ledger's own lock needs no release: it ends with its process.
    #[command(
        after_help = "Examples:\n  ctx lock release --lease 41 --reason \"her laptop burned\"\n  ctx lock release --lease 41 --yes --reason \"ops-2 is down\" \\\n      --orchestrator http://127.0.0.1:7700"
    )]
    Release {
        /// The number of the lease, from `ctx lock show`; another one is never hit
        #[arg(long, value_name = "COUNTER", value_parser = super::number)]
        lease: Option<u64>,
    },
}

/// Runs the command.
///
/// # Errors
/// `release`: when it is refused, not confirmed, or the orchestrator does not answer.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match args.command {
        Command::Show => {
            show(context);
            Ok(Code::Done)
        }
        Command::Release { lease } => release(lease, context),
    }
}

/// Opens the ledger for writing, or says who has it and what they are at.
///
/// # Errors
/// As [`Ledger::open`].
pub(crate) fn open(path: &Path) -> Result<Ledger> {
    Ledger::open(path).map_err(|error| with_holder(path, error))
}

/// The same for a rollback, which goes on without a disk that can be written.
///
/// # Errors
/// As [`Ledger::open_for_rollback`].
pub(crate) fn open_for_rollback(path: &Path) -> Result<Ledger> {
    Ledger::open_for_rollback(path).map_err(|error| with_holder(path, error))
}

fn with_holder(path: &Path, error: LedgerError) -> Failure {
    let locked = matches!(error, LedgerError::Locked { .. });
    let failure = Failure::from(error);
    match Ledger::read(path).ok().filter(|_| locked).and_then(|reader| at_work(&reader)) {
        Some(work) => failure.why(work.sentence()),
        None => failure,
    }
}

/// Tells a person before the question, not after it, that somebody else holds the lease. Whatever
/// else is wrong there is found out by the run itself.
///
/// # Errors
/// [`Code::Locked`] when somebody does.
pub(crate) fn before_asking(context: &Context, there: &Orchestrator) -> Result<()> {
    if context.yes {
        return Ok(());
    }
    let client = connect(context, there)?;
    let asked = block_on(async { Ok(tokio::time::timeout(PATIENCE, client.state()).await) })?;
    match asked.ok().and_then(|state| state.ok()?.body.lease) {
        Some(lease) => {
            Stop::Held(Box::new(lease)).into_result("ctx status", SystemClock.wall()).map(drop)
        }
        None => Ok(()),
    }
}

/// The run in flight.
#[derive(Debug, Serialize)]
struct Work {
    run: RunId,
    phase: u32,
    user: String,
    host: String,
    /// Time since the last entry of the ledger.
    last_entry_age_ms: u64,
}

impl Work {
    fn sentence(&self) -> String {
        let Self { run, phase, user, host, last_entry_age_ms } = self;
        let age = seconds(*last_entry_age_ms);
        format!("run {run} of phase {phase} by {user}@{host} is in flight, last entry {age} ago")
    }
}

fn at_work(reader: &Reader) -> Option<Work> {
    let open = reader.open_run().ok()??;
    let last = reader.info().ok()?.last_ms?;
    let now = SystemClock.wall().timestamp_millis();
    Some(Work {
        run: open.run,
        phase: open.phase_number,
        user: open.user,
        host: open.host,
        last_entry_age_ms: u64::try_from(now.saturating_sub(last)).unwrap_or(0),
    })
}

/// The ledger's lock.
#[derive(Debug, Serialize)]
struct Here {
    path: String,
    /// Whether there is a ledger.
    exists: bool,
    held: Option<Held>,
    /// The run in flight, held or not.
    work: Option<Work>,
    /// Why it cannot be told, where it cannot.
    error: Option<String>,
}

/// The orchestrator's lease.
#[derive(Debug, Serialize)]
#[serde(tag = "known", rename_all = "snake_case")]
enum There {
    No { url: Option<String>, why: String },
    Yes { url: String, head: u64, lease: Option<LeaseView>, provisional: Option<Provisional> },
}

#[derive(Debug, Serialize)]
struct Shown {
    schema: &'static str,
    ledger: Here,
    orchestrator: There,
}

fn show(context: &Context) {
    let shown = Shown { schema: "ctx.lock/1", ledger: here(context), orchestrator: there(context) };
    if context.ui.json {
        context.ui.json(&shown);
        return;
    }
    let mut page = Page::new(context.ui.width.min(100));
    section(&mut page, &ledger_rows(&shown.ledger));
    page.blank();
    section(&mut page, &lease_rows(&shown.orchestrator));
    context.ui.out_raw(page.render(context.ui.color_out));
}

#[derive(Debug, Serialize)]
struct Released {
    schema: &'static str,
    /// Absent when nobody held the lease.
    released: Option<LeaseBroken>,
}

type Rows = Vec<(&'static str, String)>;

fn section(page: &mut Page, rows: &[(&'static str, String)]) {
    page.fields(rows.iter().map(|(label, text)| Field::new(label, text.as_str())).collect());
}

fn ledger_rows(here: &Here) -> Rows {
    let none = if here.exists { "" } else { " (there is none yet)" };
    let mut rows = vec![("ledger", format!("{}{none}", here.path))];
    match (&here.error, &here.held) {
        (Some(why), _) => rows.push(("held by", format!("not known: {why}"))),
        (None, None) => rows.push(("held by", "nobody".to_owned())),
        (None, Some(held)) => {
            rows.push(("held by", held.to_string()));
            rows.push(("until", "that process ends; there is nothing to release".to_owned()));
        }
    }
    if let Some(work) = &here.work {
        rows.push(("work", work.sentence()));
    }
    rows
}

fn lease_rows(there: &There) -> Rows {
    match there {
        There::No { url, why } => {
            let url = url.clone().unwrap_or_else(|| "none is named".to_owned());
            vec![("orchestrator", url), ("held by", format!("not known: {why}"))]
        }
        There::Yes { url, lease: None, provisional, .. } => {
            let mut rows = vec![("orchestrator", url.clone()), ("held by", "nobody".to_owned())];
            rows.extend(provisional.as_ref().map(|it| ("reverts", reverts(Some(it)))));
            rows
        }
        There::Yes { url, lease: Some(lease), provisional, .. } => vec![
            ("orchestrator", url.clone()),
            ("held by", format!("{}, run {}", holder(lease), lease.run)),
            (
                "lease",
                format!(
                    "{}, last heard of {} ago, lapses in {} unless renewed",
                    lease.counter,
                    seconds(lease.heartbeat_age_ms),
                    seconds(lease.expires_in_ms)
                ),
            ),
            ("reverts", reverts(provisional.as_ref())),
        ],
    }
}

/// What becomes of the provisional revision when the lease goes.
fn reverts(provisional: Option<&Provisional>) -> String {
    match provisional {
        None => "nothing when the lease goes: no revision is provisional".to_owned(),
        Some(Provisional { rev, reverts_to, deadline_in_ms: None, .. }) => format!(
            "revision {rev}, to the content of revision {reverts_to}, as soon as the lease goes"
        ),
        Some(Provisional { rev, reverts_to, deadline_in_ms: Some(left), .. }) => format!(
            "revision {rev}, to the content of revision {reverts_to}, at its deadline in {}; not \
             when the lease goes",
            words::span(Duration::from_millis(*left))
        ),
    }
}

fn holder(lease: &LeaseView) -> String {
    format!("{}@{} (process {})", clean(&lease.holder), clean(&lease.host), lease.pid)
}

/// `3.2 s`
fn seconds(ms: u64) -> String {
    format!("{:.1} s", Duration::from_millis(ms).as_secs_f64())
}

fn here(context: &Context) -> Here {
    let path = &context.settings.ledger.value;
    let reader = reader(context);
    let work = reader.as_ref().ok().and_then(|reader| at_work(reader.as_ref()?));
    let (held, error) = match lock::held(path) {
        Ok(held) => (held, None),
        Err(error) => (None, Some(in_one_line(&error.into()))),
    };
    let error = error.or_else(|| reader.err().as_ref().map(in_one_line));
    Here { path: path.display().to_string(), exists: path.exists(), held, work, error }
}

fn there(context: &Context) -> There {
    let named = named(context);
    let client = match named.and_then(|there| connect(context, &there)) {
        Ok(client) => client,
        Err(failure) => {
            let url = context.settings.orchestrator.as_ref().map(|set| set.value.clone());
            return There::No { url, why: in_one_line(&failure) };
        }
    };
    let url = client.url().to_owned();
    let asked = block_on(async { Ok(tokio::time::timeout(PATIENCE, client.state()).await) });
    match asked {
        Ok(Ok(Ok(state))) => {
            let state = state.body;
            let (lease, provisional) = (state.lease, state.provisional);
            There::Yes { url, head: state.head, lease, provisional }
        }
        Ok(Ok(Err(error))) => {
            There::No { url: Some(url), why: in_one_line(&control_failure(&error)) }
        }
        Ok(Err(_)) => {
            There::No { url: Some(url), why: format!("no answer within {}", words::span(PATIENCE)) }
        }
        Err(failure) => There::No { url: Some(url), why: in_one_line(&failure) },
    }
}

/// The orchestrator that is meant: that of the run in flight, else the plan's, else that of the
/// last run. `--orchestrator` overrides its address.
fn named(context: &Context) -> Result<Orchestrator> {
    let reader = reader(context).ok().flatten();
    let of = |run: Option<RunId>| {
        let base = reader.as_ref()?.begun(&run?).ok()?.base;
        Some(Orchestrator { url: base.orchestrator, token: base.token })
    };
    let open = reader.as_ref().and_then(|reader| reader.open_run().ok()?);
    if let Some(there) = of(open.map(|open| open.run)) {
        return Ok(there);
    }
    if let Some(plan) = plan(context)? {
        return Ok(plan.orchestrator);
    }
    let last = reader.as_ref().and_then(|reader| reader.runs(1).ok()?.into_iter().next());
    if let Some(there) = of(last.map(|last| last.run)) {
        return Ok(there);
    }
    match &context.settings.orchestrator {
        Some(set) => Ok(Orchestrator { url: set.value.clone(), token: None }),
        None => Err(Failure::new(Code::Usage, "no orchestrator is named")
            .why("there is no run in the ledger, and no plan")
            .hint("name it: `--orchestrator URL`")),
    }
}

fn in_one_line(failure: &Failure) -> String {
    let all = std::iter::once(&failure.what).chain(&failure.why);
    all.map(String::as_str).collect::<Vec<_>>().join(": ")
}

fn release(lease: Option<u64>, context: &Context) -> Result<Code> {
    let Some(counter) = lease else {
        return Err(Failure::new(Code::Usage, "no lease is named")
            .why("the ledger's lock ends with its process, so there is nothing to release")
            .why("the orchestrator's lease is released by its number")
            .hint("`ctx lock show` says who holds it; then `ctx lock release --lease COUNTER`"));
    };
    let reason = context.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    let Some(reason) = reason else {
        return Err(Failure::new(Code::Usage, "no reason is given")
            .why("it stands in the orchestrator's audit chain beside your name")
            .hint("say why: `--reason TEXT`"));
    };
    let client = connect(context, &named(context)?)?;
    let request = LeaseBreak {
        counter,
        by: settings::user(),
        host: settings::host(),
        reason: reason.to_owned(),
    };
    let broken = block_on(take(context, &client, &request))?;
    if context.ui.json {
        context.ui.json(&Released { schema: "ctx.lock-release/1", released: broken });
        return Ok(Code::Done);
    }
    match broken {
        None => context.ui.note(format!(
            "nothing to release: nobody holds the lease of the orchestrator at {}",
            client.url()
        )),
        Some(LeaseBroken { lease, reverted, rev }) => {
            context.ui.say(format!("released lease {} of {}", lease.counter, holder(&lease)));
            if let Some(reverted) = reverted {
                context.ui.say(format!("reverted revision {reverted}; {rev} is in force"));
            }
        }
    }
    Ok(Code::Done)
}

/// Breaks the lease that is meant; `None` when nobody holds any.
async fn take(
    context: &Context,
    client: &Client,
    request: &LeaseBreak,
) -> Result<Option<LeaseBroken>> {
    let state = client.state().await.map_err(|error| control_failure(&error))?.body;
    let Some(lease) = state.lease else { return Ok(None) };
    if lease.counter != request.counter {
        return Err(Failure::new(
            Code::Refused,
            format!("lease {} is not the current one", request.counter),
        )
        .why(format!("lease {} is, held by {}, run {}", lease.counter, holder(&lease), lease.run))
        .hint("look again: `ctx lock show`"));
    }
    let age = Duration::from_millis(lease.heartbeat_age_ms);
    if age < ALIVE {
        context.ui.note(format!(
            "note: its holder was heard of {} ago and is most likely alive: ask them first",
            seconds(lease.heartbeat_age_ms)
        ));
    }
    let provisional = state.provisional.filter(|it| it.deadline_in_ms.is_none());
    let too = provisional.map(|it| format!(" and revert revision {}", it.rev)).unwrap_or_default();
    confirm(
        context,
        &format!("Break lease {} of {}, run {}{too}?", lease.counter, holder(&lease), lease.run),
    )?;
    match client.break_lease(request).await {
        Ok(reply) => Ok(Some(reply.body)),
        // It was given back, or lapsed, while the question stood.
        Err(error) if error.code() == Some(ProblemCode::NotFound) => Ok(None),
        Err(error) => Err(control_failure(&error).hint("look again: `ctx lock show`")),
    }
}
