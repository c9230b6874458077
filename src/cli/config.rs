//! `ctx config`: which settings count here, which configuration there, and where both come from.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Context;
use super::asks::there;
use super::known::{known, plan};
use super::session::{block_on, connect};
use crate::control::failure::control_failure;
use crate::control::origin::Origin;
use crate::error::{Code, Result};
use crate::report::page::{Cell, Page};
use crate::secret::{TOKEN_VARIABLE, shown_url};
use crate::settings::environment;

/// The widest that a table gets.
const WIDEST: usize = 110;

/// Show the settings in effect, or the orchestrator's configuration
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx config show --origin\n  ctx config show --live\n  ctx config show --live --origin"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show settings and their values
    ///
    /// Without `--live` these are the settings of this command line: flags, then `CTX_*`, then
    /// `ctx.toml`, then the user's file, then what is built in. A secret is never shown, only
    /// where it is.
    #[command(
        after_help = "Examples:\n  ctx config show --origin\n  ctx config show --live --json"
    )]
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
        /// The document that the orchestrator has in force instead; with `--origin` also the
        /// variables and flags that it was started with, and what became of them
        #[arg(long)]
        live: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// When the plan cannot be read, or the orchestrator does not answer.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match args.command {
        Command::Show { origin, live: true } => live(context, origin),
        Command::Show { origin, live: false } => here(context, origin),
    }
}

/// A setting of this command line.
struct Setting {
    name: &'static str,
    value: Option<String>,
    origin: String,
}

fn here(context: &Context, origin: bool) -> Result<Code> {
    let settings = settings(context)?;
    if context.ui.json {
        let one = |setting: &Setting| {
            let mut shown = Map::from_iter([("value".to_owned(), json!(setting.value))]);
            if origin {
                shown.insert("origin".to_owned(), json!(setting.origin));
            }
            (setting.name.to_owned(), Value::Object(shown))
        };
        let settings: Map<String, Value> = settings.iter().map(one).collect();
        context.ui.json(&json!({ "schema": "ctx.settings/1", "settings": settings }));
        return Ok(Code::Done);
    }
    let row = |setting: &Setting| -> Vec<Cell> {
        let mut row: Vec<Cell> =
            vec![setting.name.into(), setting.value.as_deref().unwrap_or("-").into()];
        if origin {
            row.push(setting.origin.as_str().into());
        }
        row
    };
    let rows: Vec<Vec<Cell>> = settings.iter().map(row).collect();
    let heads = ["setting", "value", "origin"];
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.table(&heads[..if origin { 3 } else { 2 }], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}

fn settings(context: &Context) -> Result<Vec<Setting>> {
    let settings = &context.settings;
    let absent = || "nothing names one".to_owned();
    let there = plan(context)?.map(|plan| plan.orchestrator);
    let plan = Setting {
        name: "plan",
        value: settings.plan.as_ref().map(|plan| plan.value.display().to_string()),
        origin: settings.plan.as_ref().map_or_else(absent, |plan| plan.origin.to_string()),
    };
    let ledger = Setting {
        name: "ledger",
        value: Some(settings.ledger.value.display().to_string()),
        origin: settings.ledger.origin.to_string(),
    };
    let (url, origin) = match (&settings.orchestrator, &there) {
        (Some(set), _) => (Some(shown_url(&set.value)), set.origin.to_string()),
        (None, Some(there)) => (Some(shown_url(&there.url)), "the plan".to_owned()),
        (None, None) => (None, absent()),
    };
    let orchestrator = Setting { name: "orchestrator", value: url, origin };
    let (token, origin) = match there.and_then(|there| there.token) {
        Some(reference) => (Some(reference), "the plan".to_owned()),
        None if environment(TOKEN_VARIABLE).is_some() => {
            (Some(format!("env:{TOKEN_VARIABLE}")), TOKEN_VARIABLE.to_owned())
        }
        None => (None, absent()),
    };
    let token = Setting { name: "token", value: token, origin };
    let alerts = Setting {
        name: "alerts",
        value: settings.alerts.as_ref().map(|file| file.value.display().to_string()),
        origin: settings.alerts.as_ref().map_or_else(absent, |file| file.origin.to_string()),
    };
    Ok(vec![plan, ledger, orchestrator, token, alerts])
}

fn live(context: &Context, origin: bool) -> Result<Code> {
    let client = connect(context, &there(context, &known(context)?)?)?;
    let state = block_on(async { client.state().await.map_err(|error| control_failure(&error)) })?;
    let state = state.body;
    if context.ui.json {
        let mut shown = json!({
            "schema": "ctx.configuration/1",
            "rev": state.head,
            "provisional": state.provisional.is_some(),
            "config": state.config,
        });
        if origin {
            shown["origins"] = json!(state.origins);
        }
        context.ui.json(&shown);
        return Ok(Code::Done);
    }
    let document = serde_json::to_value(&state.config).expect("a configuration is plain data");
    let mut lines = Vec::new();
    flatten(String::new(), &document, &mut lines);
    for (path, value) in lines {
        context.ui.out(format!("{path} = {value}"));
    }
    let fate = if state.provisional.is_some() { ", provisional" } else { "" };
    context.ui.note(format!("note: this is revision {}{fate}", state.head));
    if origin {
        origins(context, &state.origins);
    }
    Ok(Code::Done)
}

fn origins(context: &Context, origins: &[Origin]) {
    if origins.is_empty() {
        context.ui.note("note: it was started without any variable or flag for a configuration");
        return;
    }
    context.ui.out("");
    context.ui.out("started with:");
    for Origin { name, path, value, used, note } in origins {
        let what = match (path, value) {
            (Some(path), Some(value)) => format!("{path} = {value}"),
            _ => String::new(),
        };
        let used = if *used { "" } else { "not used" };
        let said = [what.as_str(), used, note];
        let said: Vec<&str> = said.into_iter().filter(|said| !said.is_empty()).collect();
        context.ui.say(format!("  {name}: {}", said.join("; ")));
    }
}

/// The leaves of a document, as the paths that a plan sets.
fn flatten(path: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(path, value, lines);
            }
        }
        value => lines.push((path, value.to_string())),
    }
}
