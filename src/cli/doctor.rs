//! `ctx doctor`: is everything that ctx needs where it should be, before the night it is needed.
//!
//! Each check says what it looked at and where that came from; a check that fails says what to do.
//! Changes nothing, takes no lock, and waits for the orchestrator for a second at most.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Context;
use super::known::orchestrator;
use super::session::{block_on, connect};
use crate::alerts;
use crate::clock::{Clock, SystemClock};
use crate::control::client::Client;
use crate::error::{Code, Failure, Result, count};
use crate::ledger::fact::Base;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::plan::Loaded;
use crate::plan::alerts::AlertSink;
use crate::plan::model::Orchestrator;
use crate::report::page::{Cell, Page, Row};
use crate::report::words;
use crate::secret::SecretRef;
use crate::settings::{Origin, Sourced, user_file};
use crate::ui::Paint;

/// The most columns on a terminal.
const WIDEST: usize = 100;
/// How long the orchestrator is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Less than this, and a run of some hours may fill the disk.
const LITTLE_SPACE: u64 = 100 * 1024 * 1024;
/// Clocks further apart than this make times of a report and of the service hard to compare;
/// nothing that ctx decides depends on it.
const APART: Duration = Duration::from_secs(2);

/// Check that everything ctx needs is where it should be
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx doctor\n  ctx doctor --plan plans/contexten.toml --json")]
pub struct Args {}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), hint: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Warning, found: found.into(), hint: Some(hint.into()) }
    }

    fn failed(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Failed, found: found.into(), hint: Some(hint.into()) }
    }

    fn of(name: &'static str, failure: &Failure) -> Self {
        let why = failure.why.first().map(|why| format!(": {why}")).unwrap_or_default();
        let hint = failure.hints.first().cloned();
        Self { name, state: State::Failed, found: format!("{}{why}", failure.what), hint }
    }
}

/// Runs the command.
///
/// # Errors
/// When a check fails.
pub fn run(_: &Args, context: &Context) -> Result<Code> {
    let mut checks = settings(context);
    let loaded = plan(context, &mut checks);
    let reader = ledger(context, &mut checks);
    space(context, &mut checks);
    let plan = loaded.as_ref().map(|loaded| &loaded.plan);
    sinks(context, plan.map_or(&[], |plan| &plan.alerts), &mut checks);
    let last = reader.as_ref().and_then(last_base);
    match orchestrator(context, None, plan, last.as_ref()) {
        Some(there) => remote(context, &there, last.as_ref(), &mut checks),
        None => checks.push(Check::warning(
            "orchestrator",
            "not asked: it is not known where it is",
            "name it in a plan's `[orchestrator] url`, or with `--orchestrator URL`",
        )),
    }
    let failed = checks.iter().filter(|check| check.state == State::Failed).count();
    let code = if failed == 0 { Code::Done } else { Code::Failure };
    if context.ui.json {
        context.ui.json(&serde_json::json!({
            "schema": "ctx.doctor/1", "passed": failed == 0, "checks": checks,
        }));
        return Ok(code);
    }
    show(&checks, context);
    if failed == 0 {
        return Ok(code);
    }
    Err(Failure::new(code, format!("{} failed", count(failed, "check"))))
}

fn show(checks: &[Check], context: &Context) {
    let rows: Vec<Row> = checks
        .iter()
        .map(|check| {
            let state = match check.state {
                State::Ok => Cell::painted("ok", Paint::Good),
                State::Warning => Cell::painted("warning", Paint::Warn),
                State::Failed => Cell::painted("FAILED", Paint::Bad),
            };
            let cells = vec![state, check.name.into(), check.found.clone().into()];
            Row { cells, note: check.hint.as_ref().map(|hint| format!("hint: {hint}").into()) }
        })
        .collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.noted_table(&["", "check", "found"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
}

/// Where the settings come from.
fn settings(context: &Context) -> Vec<Check> {
    let settings = &context.settings;
    let from = |origin: &Origin| match origin {
        Origin::BuiltIn => "built-in".to_owned(),
        other => format!("from {other}"),
    };
    let mut said = vec![format!(
        "ledger `{}` ({})",
        settings.ledger.value.display(),
        from(&settings.ledger.origin)
    )];
    if let Some(Sourced { value, origin }) = &settings.plan {
        let from = match origin {
            Origin::BuiltIn => "the only one in `plans/`".to_owned(),
            other => from(other),
        };
        said.push(format!("plan `{}` ({from})", value.display()));
    }
    if let Some(Sourced { value, origin }) = &settings.orchestrator {
        said.push(format!("orchestrator {} ({})", crate::secret::shown_url(value), from(origin)));
    }
    if let Some(Sourced { value, origin }) = &settings.alerts {
        said.push(format!("alerts `{}` ({})", value.display(), from(origin)));
    }
    let files: Vec<String> = [Some(Path::new("ctx.toml").to_path_buf()), user_file()]
        .into_iter()
        .flatten()
        .filter(|path| path.exists())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    let files = if files.is_empty() { "no settings file".to_owned() } else { files.join(", ") };
    vec![
        Check::ok("version", format!("ctx {}", env!("CARGO_PKG_VERSION"))),
        Check::ok("settings", format!("{}; {files}", said.join(", "))),
    ]
}

fn plan(context: &Context, checks: &mut Vec<Check>) -> Option<Loaded> {
    let Some(Sourced { value, .. }) = &context.settings.plan else {
        checks.push(Check::warning(
            "plan",
            "none is named, and there is not exactly one in `plans/`",
            "make one with `ctx init`, or name it with `--plan FILE`",
        ));
        return None;
    };
    match crate::plan::load(value) {
        Ok(loaded) => {
            let phases = count(loaded.plan.phases.len(), "phase");
            let found = format!("`{}` has no faults: {phases}", value.display());
            checks.push(Check::ok("plan", found));
            secrets(&loaded, checks);
            Some(loaded)
        }
        Err(failure) => {
            checks.push(Check {
                hint: Some("`ctx plan check` shows each fault with its line".to_owned()),
                ..Check::of("plan", &failure)
            });
            None
        }
    }
}

/// The token by its reference: whether it is there, and whether others can read it.
fn secrets(loaded: &Loaded, checks: &mut Vec<Check>) {
    let Some(reference) = &loaded.plan.orchestrator.token else { return };
    let Ok(parsed) = reference.parse::<SecretRef>() else { return };
    if let Err(error) = parsed.resolve() {
        checks.push(Check::failed(
            "token",
            format!("`{reference}` has none: {error}"),
            "`ctx serve` says where its token is",
        ));
        return;
    }
    let SecretRef::File(path) = &parsed else {
        return checks.push(Check::ok("token", format!("`{reference}` names one")));
    };
    match fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => checks.push(Check::warning(
            "token",
            format!("others may read `{path}`"),
            format!("chmod 600 {path}"),
        )),
        _ => checks
            .push(Check::ok("token", format!("`{reference}` names one, readable by you only"))),
    }
}

/// The sinks of alerts: whether each has what it needs and can be reached. None is sent anything.
fn sinks(context: &Context, plan: &[AlertSink], checks: &mut Vec<Check>) {
    let sinks = match super::alerts::sinks(context, plan) {
        Ok(sinks) => sinks,
        Err(failure) => return checks.push(Check::of("alerts", &failure)),
    };
    if sinks.is_empty() {
        return checks.push(Check::ok("alerts", "there is no sink: nobody is alerted"));
    }
    let reached = block_on(async {
        let mut trials = Vec::new();
        for sink in &sinks {
            let reached = tokio::time::timeout(PATIENCE, alerts::reach(&sink.to)).await;
            trials.push(reached.unwrap_or_else(|_| Err("no answer within a second".to_owned())));
        }
        Ok(trials)
    });
    let reached = reached.unwrap_or_default();
    let out: Vec<String> = sinks
        .iter()
        .zip(reached)
        .filter_map(|(sink, reached)| Some(format!("`{}`: {}", sink.id, reached.err()?)))
        .collect();
    checks.push(if out.is_empty() {
        let names: Vec<String> = sinks.iter().map(|sink| format!("`{}`", sink.id)).collect();
        Check::ok("alerts", format!("can be reached: {}", names.join(", ")))
    } else {
        // A run goes on without them.
        Check::warning("alerts", out.join("; "), "`ctx alerts test` sends one, and says more")
    });
}

fn ledger(context: &Context, checks: &mut Vec<Check>) -> Option<Reader> {
    let path = &context.settings.ledger.value;
    match Ledger::read(path) {
        Ok(reader) => {
            checks.push(described(&reader, path));
            Some(reader)
        }
        Err(LedgerError::Missing(_)) => {
            let found = format!("none at `{}` yet; the first run makes it", path.display());
            checks.push(Check::ok("ledger", found));
            None
        }
        Err(error) => {
            checks.push(Check::of("ledger", &Failure::from(error)));
            None
        }
    }
}

fn described(reader: &Reader, path: &Path) -> Check {
    if let Some(fault) = reader.damage() {
        return Check::failed(
            "ledger",
            format!("`{}` is damaged: {fault}", path.display()),
            "`ctx ledger verify` says more, and how to go on",
        );
    }
    if let Ok(meta) = fs::metadata(path)
        && meta.permissions().mode() & 0o022 != 0
    {
        return Check::warning(
            "ledger",
            format!("others may write to `{}`", path.display()),
            format!("chmod 600 {}", path.display()),
        );
    }
    if fs::OpenOptions::new().append(true).open(path).is_err() {
        return Check::warning(
            "ledger",
            format!("`{}` can be read and not written by you", path.display()),
            "`ctx status` and `ctx report` work; a run needs to write",
        );
    }
    match reader.info() {
        Ok(info) => {
            let (entries, size) = (info.entries, words::bytes(info.bytes));
            Check::ok("ledger", format!("`{}`: {entries} entries, {size}", path.display()))
        }
        Err(error) => Check::of("ledger", &Failure::from(error)),
    }
}

/// The disk that the ledger and the backups are on.
fn space(context: &Context, checks: &mut Vec<Check>) {
    let home = context.settings.home();
    let there = home.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    match rustix::fs::statvfs(there) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let said = format!("{} free where the ledger is", words::bytes(free));
            checks.push(if free < LITTLE_SPACE {
                Check::warning("disk", said, "backups and the ledger need room: free some")
            } else {
                Check::ok("disk", said)
            });
        }
        Err(error) => checks.push(Check::warning(
            "disk",
            format!("`{}` cannot be asked for its free space: {error}", there.display()),
            "see to the folder and its permissions",
        )),
    }
}

/// What only the orchestrator can say: that it answers, who it is, and how it is.
fn remote(context: &Context, there: &Orchestrator, last: Option<&Base>, checks: &mut Vec<Check>) {
    let client = match connect(context, there) {
        Ok(client) => client,
        Err(failure) => return checks.push(Check::of("orchestrator", &failure)),
    };
    let asked = block_on(async {
        let all = async { tokio::join!(client.state(), client.health(), date(&client)) };
        Ok(tokio::time::timeout(PATIENCE, all).await)
    });
    let (state, health, date) = match asked {
        Ok(Ok((Ok(state), health, date))) => (state.body, health.ok(), date),
        Ok(Ok((Err(error), ..))) => {
            let failure = super::session::control_failure(&error);
            return checks.push(Check::of("orchestrator", &failure));
        }
        Ok(Err(_)) | Err(_) => {
            return checks.push(Check::failed(
                "orchestrator",
                format!("{} is silent: no answer within a second", client.url()),
                "is it stopped (SIGSTOP), or a firewall between? `ctx status` works without it",
            ));
        }
    };
    let ours = env!("CARGO_PKG_VERSION");
    let who = format!("{} answers: ctx {}, revision {}", client.url(), state.version, state.head);
    checks.push(if state.version == ours {
        Check::ok("orchestrator", who)
    } else {
        Check::warning(
            "orchestrator",
            who,
            format!("this is ctx {ours}: use the same on both sides"),
        )
    });
    known(last, &state.state_uuid, checks);
    if let Some(health) = health {
        let failing: Vec<String> = health
            .checks
            .iter()
            .filter(|check| check.status == crate::control::observe::Status::Unhealthy)
            .map(|check| check.name.clone())
            .collect();
        checks.push(if failing.is_empty() {
            Check::ok("service", "every health check of the orchestrator passes")
        } else {
            let names = failing.join(", ");
            Check::failed("service", format!("unhealthy: {names}"), "`ctx status --live` says more")
        });
    }
    if let Some(date) = date {
        checks.push(clock(date, SystemClock.wall()));
    }
}

/// The orchestrator as the last run found it.
fn last_base(reader: &Reader) -> Option<Base> {
    let last = reader.runs(1).ok()?.into_iter().next()?;
    reader.begun(&last.run).ok().map(|begun| begun.base)
}

fn known(last: Option<&Base>, uuid: &str, checks: &mut Vec<Check>) {
    if last.is_some_and(|last| last.state_uuid != uuid) {
        checks.push(Check::failed(
            "identity",
            "the orchestrator is not the one that the last run acted on",
            "`ctx drift` says more; name the right one with `--orchestrator URL`",
        ));
    }
}

/// The orchestrator's clock, to the second.
async fn date(client: &Client) -> Option<DateTime<Utc>> {
    let http = reqwest::Client::builder().no_proxy().build().ok()?;
    let answer = http.get(format!("{}/livez", client.url())).send().await.ok()?;
    let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok().map(DateTime::from)
}

/// Two clocks beside each other; one of them is only exact to the second.
fn clock(theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Check {
    let apart = (ours - theirs).abs().to_std().unwrap_or_default();
    let said = format!("{} apart from the orchestrator's at most", words::span(apart));
    if apart > APART {
        let hint = "times in reports are those of this machine: see to NTP on both";
        return Check::warning("clock", said, hint);
    }
    Check::ok("clock", "agrees with the orchestrator's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_what_a_date_header_cannot_say() {
        let at = |ms: i64| DateTime::from_timestamp_millis(1_900_000_000_000 + ms).unwrap();
        assert_eq!(clock(at(0), at(999)).state, State::Ok);
        assert_eq!(clock(at(0), at(2_000)).state, State::Ok);
        assert_eq!(clock(at(0), at(3_000)).state, State::Warning);
        assert_eq!(clock(at(60_000), at(0)).state, State::Warning);
    }
}
