//! `ctx flags`: what is rolled out to whom, and why; and the way in and out of other tools.

mod asked;
mod change;
mod definition;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use self::asked::Asked;
pub(super) use self::change::free;
use self::change::put;
use super::Context;
use super::asks::there;
use super::known::known;
use super::session::{block_on, connect};
use crate::control::client::Client;
use crate::control::config::{Config, Flag};
use crate::control::failure::control_failure;
use crate::control::wire::State;
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::report::page::{Cell, Page};
use crate::units::Percent;

/// The widest that a table gets.
const WIDEST: usize = 90;

/// List feature flags, evaluate them for a user, or change one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx flags list\n  ctx flags explain connection_pooling --user ada\n  ctx flags set connection_pooling --on --percentage 25%\n  ctx flags import flags.json"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the flags of the configuration in force
    #[command(after_help = "Examples:\n  ctx flags list\n  ctx flags list --json")]
    List,
    /// Tell what a flag is for a user: `on`, `off`, or the value of a variant
    #[command(
        after_help = "Examples:\n  ctx flags eval connection_pooling --user ada\n  ctx flags eval header --user ada --context plan=gold --json"
    )]
    Eval(Asked),
    /// Show what decides it: hash, bucket and rule
    #[command(
        after_help = "Examples:\n  ctx flags explain connection_pooling --user ada\n  ctx flags explain header --user ada --context plan=gold"
    )]
    Explain(Asked),
    /// Make a flag another one, at once and for good
    ///
    /// For a change that is watched and taken back when a check fails, write a plan with a `ramp`.
    /// Refused while a run holds the lease or its guards are armed.
    #[command(
        after_help = "Examples:\n  ctx flags set connection_pooling --on --percentage 25%\n  ctx flags set caching_layer --off --yes --reason \"stale prices\""
    )]
    Set(Change),
    /// Take flags from a definition of flagd, at once and for good
    ///
    /// It adds and replaces; flags that it does not name stay as they are. With a fault in it, nothing changes and all
    /// faults are named.
    #[command(
        after_help = "Examples:\n  ctx flags import flags.json\n  ctx flags import flags.json --yes --reason \"change 4711\""
    )]
    Import {
        /// The definition, such as `flags.json`
        file: PathBuf,
    },
    /// Print all flags as a definition of flagd
    #[command(
        after_help = "Examples:\n  ctx flags export > flags.json\n  ctx flags export --orchestrator http://127.0.0.1:7700"
    )]
    Export,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The flag
    key: String,
    /// Enable it
    #[arg(long, conflicts_with = "off", required_unless_present_any = ["off", "percentage"])]
    on: bool,
    /// Disable it, whatever its percentage
    #[arg(long)]
    off: bool,
    /// The share of keys that are in, such as `25%`
    #[arg(long, value_name = "PERCENT")]
    percentage: Option<Percent>,
}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer or refuses, or there is no such flag.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let client = connect(context, &there(context, &known(context)?)?)?;
    match &args.command {
        Command::List => {
            list(context, &state(&client)?.config);
            Ok(Code::Done)
        }
        Command::Eval(asked) => asked::eval(context, asked, &state(&client)?.config),
        Command::Explain(asked) => asked::tell(context, asked, &state(&client)?.config),
        Command::Set(change) => set(context, change, &client),
        Command::Import { file } => definition::import(context, file, &client),
        Command::Export => {
            definition::export(context, &state(&client)?.config);
            Ok(Code::Done)
        }
    }
}

/// Where the orchestrator stands.
pub(super) fn state(client: &Client) -> Result<State> {
    block_on(async { client.state().await.map_err(|error| control_failure(&error)) })
        .map(|reply| reply.body)
}

fn list(context: &Context, config: &Config) {
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.flags/1", "flags": config.flags }));
        return;
    }
    let row = |(key, flag): (&String, &Flag)| -> Vec<Cell> {
        let on = if flag.enabled { "on" } else { "off" };
        let variants: Vec<&str> = flag.variants.keys().map(String::as_str).collect();
        vec![
            key.as_str().into(),
            on.into(),
            flag.percentage.to_string().into(),
            variants.join(", ").into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = config.flags.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.table(&["flag", "state", "percentage", "variants"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
}

fn find<'a>(config: &'a Config, key: &str) -> Result<&'a Flag> {
    config.flags.get(key).ok_or_else(|| {
        let failure = Failure::new(Code::Usage, format!("there is no flag `{key}`"));
        match did_you_mean(key, config.flags.keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`ctx flags list` names them"),
        }
    })
}

fn set(context: &Context, change: &Change, client: &Client) -> Result<Code> {
    let key = &change.key;
    let now = state(client)?;
    let before = find(&now.config, key)?.clone();
    let mut config = now.config.clone();
    let flag = config.flags.get_mut(key).expect("found above");
    flag.enabled = change.on || (flag.enabled && !change.off);
    flag.percentage = change.percentage.unwrap_or(flag.percentage);
    let after = flag.clone();
    if after == before {
        context.ui.note(format!("nothing to do: {key} is {}", shown(&after)));
        return Ok(Code::Done);
    }
    let question = format!("{key}: {} -> {}, at once. Change it?", shown(&before), shown(&after));
    let rev = put(context, client, &now, config, (&question, format!("ctx flags set {key}")))?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.flag-set/1", "flag": key, "rev": rev }));
    } else {
        context.ui.say(format!("{key} is {} as of revision {rev}", shown(&after)));
    }
    Ok(Code::Done)
}

fn shown(flag: &Flag) -> String {
    format!("{} at {}", if flag.enabled { "on" } else { "off" }, flag.percentage)
}
