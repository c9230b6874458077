//! `ctx alerts`: the sinks of alerts, and whether they take one.

use std::path::Path;

use serde_json::json;

use super::Context;
use super::session::block_on;
use crate::alerts::alert::{About, Alert, Event, Status, Subject};
use crate::alerts::{Desk, Incidents, Unsent, Voice, send};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::RunId;
use crate::ledger::Reader;
use crate::ledger::fact::Outcome;
use crate::ledger::view::RunRow;
use crate::plan::alerts::{AlertSink, Destination, Severity};
use crate::report::page::{Cell, Page};

/// The widest that a table gets.
const WIDEST: usize = 110;

/// List the sinks of alerts, or send a test to them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx alerts list\n  ctx alerts test chat")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the sinks, where they are from, and what goes there
    #[command(after_help = "Examples:\n  ctx alerts list\n  ctx alerts list --json")]
    List,
    /// Send one test alert to each sink, or to one
    ///
    /// PagerDuty gets an incident and its end at once.
    #[command(after_help = "Examples:\n  ctx alerts test\n  ctx alerts test chat")]
    Test {
        /// The sink [default: all of them]
        sink: Option<String>,
    },
}

/// Runs the command.
///
/// # Errors
/// When the plan or the file of sinks has a fault, or a sink does not take the test.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let sinks = named(context)?;
    match &args.command {
        Command::List => {
            list(&sinks, context);
            Ok(Code::Done)
        }
        Command::Test { sink } => test(sink.as_deref(), sinks, context),
    }
}

/// The sinks that the settings and, where there is one, the plan name.
fn named(context: &Context) -> Result<Vec<AlertSink>> {
    let plan = match &context.settings.plan {
        Some(plan) => crate::plan::load(&plan.value)?.plan.alerts,
        None => Vec::new(),
    };
    sinks(context, &plan)
}

/// The sinks of a plan, and those of the settings' file, which take the place of the plan's sinks
/// of the same name.
///
/// # Errors
/// When the settings' file cannot be read or has a fault.
pub(crate) fn sinks(context: &Context, plan: &[AlertSink]) -> Result<Vec<AlertSink>> {
    // A drill breaks things on purpose; nobody is called out of bed for that.
    if context.staging.is_some() {
        return Ok(Vec::new());
    }
    let own = match &context.settings.alerts {
        Some(file) => crate::plan::load_alerts(&file.value)?,
        None => Vec::new(),
    };
    let others = plan.iter().filter(|sink| own.iter().all(|other| other.id != sink.id)).cloned();
    Ok(others.chain(own.iter().cloned()).collect())
}

/// The sinks of a process that serves: those of the file that is named, or that the settings name.
///
/// # Errors
/// When the file cannot be read or has a fault.
pub(crate) fn of_service(context: &Context, file: Option<&Path>) -> Result<Vec<AlertSink>> {
    match file.filter(|_| context.staging.is_none()) {
        Some(file) => crate::plan::load_alerts(file),
        None => sinks(context, &[]),
    }
}

/// Opens the desk for a run of a plan that was read.
///
/// # Errors
/// As [`sinks`].
pub(crate) fn desk(context: &Context, plan: &[AlertSink]) -> Result<Desk> {
    let voice = Voice::Terminal(context.ui.clone());
    Ok(Desk::open(sinks(context, plan)?, context.settings.home(), &voice))
}

/// Opens the desk for a run that has begun, or that leads back: it goes on without alerts sooner
/// than not at all. The plan is read from `file` for its sinks alone.
pub(crate) fn desk_of(context: &Context, file: &Path) -> Desk {
    let plan =
        if file.exists() { crate::plan::load(file).map(|l| l.plan.alerts) } else { Ok(vec![]) };
    let found = plan.and_then(|plan| sinks(context, &plan));
    let sinks = found.unwrap_or_else(|failure| {
        context.ui.note(format!("warning: nobody will be alerted: {failure}"));
        Vec::new()
    });
    Desk::open(sinks, context.settings.home(), &Voice::Terminal(context.ui.clone()))
}

/// How many runs are looked back on for what they left open.
const LOOKED_BACK: u32 = 20;

/// What runs since the last one that ended well left open, such as a rollback that is not complete.
pub(crate) fn left_open(ledger: &Reader) -> Vec<Incidents> {
    // Alerts are not worth failing for.
    let runs = ledger.runs(LOOKED_BACK).unwrap_or_default();
    let since = runs.into_iter().take_while(|run| run.outcome != Some(Outcome::Done));
    let open =
        |run: &RunRow| matches!(run.outcome, Some(Outcome::Held | Outcome::RollbackIncomplete));
    let facts = since.filter(open).filter_map(|run| ledger.facts(&run.run).ok());
    facts.map(|facts| Incidents::of(&facts)).collect()
}

fn list(sinks: &[AlertSink], context: &Context) {
    let ui = &context.ui;
    if ui.json {
        let row = |sink: &AlertSink| {
            json!({
                "sink": sink.id,
                "kind": sink.to.kind(),
                "to": shown(&sink.to),
                "from": sink.from.name(),
                "timeout_ms": u64::try_from(sink.timeout.as_millis()).unwrap_or(u64::MAX),
            })
        };
        ui.json(&json!({"sinks": sinks.iter().map(row).collect::<Vec<_>>()}));
        return;
    }
    if sinks.is_empty() {
        ui.note("there is no sink of alerts; name one in the plan's `[alerts]`");
    }
    let row = |sink: &AlertSink| {
        let cells = [sink.id.to_string(), sink.to.kind().to_owned(), sink.from.name().to_owned()];
        cells.into_iter().chain([shown(&sink.to)]).map(Cell::from).collect()
    };
    let rows: Vec<Vec<Cell>> = sinks.iter().map(row).collect();
    if !rows.is_empty() {
        let mut page = Page::new(ui.width.min(WIDEST));
        page.table(&["sink", "kind", "from", "to"], &rows);
        ui.out_raw(page.render(ui.color_out));
    }
}

/// Where a sink is; references to secrets, never secrets.
fn shown(to: &Destination) -> String {
    match to {
        Destination::Webhook { address } => address.clone(),
        Destination::Alertmanager { url, .. } => url.clone(),
        Destination::Pagerduty { key, url } => format!("{url} with {key}"),
        Destination::Command { argv } => argv.join(" "),
    }
}

fn test(only: Option<&str>, mut sinks: Vec<AlertSink>, context: &Context) -> Result<Code> {
    if let Some(only) = only {
        let known: Vec<String> = sinks.iter().map(|sink| sink.id.to_string()).collect();
        sinks.retain(|sink| sink.id.as_str() == only);
        if sinks.is_empty() {
            return Err(unknown(only, &known));
        }
    }
    if sinks.is_empty() {
        return Err(Failure::new(Code::Usage, "there is no sink of alerts").hint(
            "name one in the plan's `[alerts]`, or in the file that `alerts` of `ctx.toml` names",
        ));
    }
    let results = block_on(async {
        let mut results = Vec::new();
        for sink in &sinks {
            results.push((sink, try_out(sink).await));
        }
        Ok(results)
    })?;
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    if context.ui.json {
        let row = |(sink, result): &(&AlertSink, Result<(), Unsent>)| {
            let why = result.as_ref().err().map(|unsent| &unsent.why);
            json!({"sink": sink.id, "kind": sink.to.kind(), "taken": result.is_ok(), "why": why})
        };
        context.ui.json(&json!({"sinks": results.iter().map(row).collect::<Vec<_>>()}));
    } else {
        for (sink, result) in &results {
            let (id, kind) = (&sink.id, sink.to.kind());
            match result {
                Ok(()) => context.ui.say(format!("ok    {id} ({kind})")),
                Err(unsent) => context.ui.say(format!("FAIL  {id} ({kind}): {}", unsent.why)),
            }
        }
    }
    Ok(if failed == 0 { Code::Done } else { Code::Failure })
}

fn unknown(given: &str, known: &[String]) -> Failure {
    let failure = Failure::new(Code::Usage, format!("there is no sink of alerts `{given}`"));
    match did_you_mean(given, known.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure.hint("name one in the plan's `[alerts]`"),
        None => failure.hint(format!("the sinks are: `{}`", known.join("`, `"))),
    }
}

/// Sends the test; where notes are not understood, an incident and its end.
async fn try_out(sink: &AlertSink) -> Result<(), Unsent> {
    let statuses: &[Status] = match sink.to {
        Destination::Pagerduty { .. } => &[Status::Firing, Status::Resolved],
        _ => &[Status::Note],
    };
    let run = RunId::random();
    for status in statuses {
        send(sink, &sample(&run, *status)).await?;
    }
    Ok(())
}

fn sample(run: &RunId, status: Status) -> Alert {
    let now = SystemClock.wall().timestamp_millis();
    let (user, host) = (crate::settings::user(), crate::settings::host());
    Alert {
        id: format!("{}/0/test", run.as_str()),
        key: format!("ctx/{}/test", run.as_str()),
        event: Event::Test,
        status,
        severity: Severity::Info,
        title: "a test, nothing is the matter".to_owned(),
        detail: format!("`ctx alerts test`, by {user}@{host}"),
        next: None,
        about: About {
            subject: Subject::Run {
                run: run.clone(),
                plan: "test".parse().expect("it is a name"),
                phase: "test".parse().expect("it is a name"),
                number: 0,
            },
            orchestrator: "http://127.0.0.1".to_owned(),
        },
        began_ms: now,
        at_ms: now,
    }
}
