//! `ctx flags`: what is rolled out to whom, and why.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use super::asks::there;
use super::known::known;
use super::session::{block_on, confirm, connect};
use crate::clock::{Clock, SystemClock};
use crate::control::client::{Client, ControlError, Write};
use crate::control::config::{Config, Flag};
use crate::control::document::{Assignment, assign};
use crate::control::failure::control_failure;
use crate::control::wire::{Fence, LeaseRequest, RevisionRequest, State};
use crate::engine::executor::Stop;
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::{RunId, random_hex};
use crate::orchestrator::flags::explain::{Explained, Reason, explain};
use crate::report::page::{Cell, Page};
use crate::settings;
use crate::units::Percent;

/// The widest that a table gets.
const WIDEST: usize = 90;
/// How long a change may take before it lapses by itself.
const TTL_MS: u64 = 30_000;

/// List feature flags, evaluate them for a user, or change one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx flags list\n  ctx flags explain connection_pooling --user ada\n  ctx flags set connection_pooling --on --percentage 25%"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the flags of the configuration in force
    List,
    /// Tell whether a flag is on for a user: `on` or `off`
    Eval(Asked),
    /// Show what decides it: hash, bucket and limit
    Explain(Asked),
    /// Make a flag another one, at once and for good
    ///
    /// For a change that is watched and taken back when a check fails, write a plan with a `ramp`.
    /// Refused while a run holds the lease or its guards are armed.
    Set(Change),
}

#[derive(Debug, clap::Args)]
struct Asked {
    /// The flag
    key: String,
    /// The targeting key; without one each question is a throw of the dice
    #[arg(long, value_name = "KEY")]
    user: Option<String>,
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
        Command::Eval(asked) => eval(context, asked, &state(&client)?.config),
        Command::Explain(asked) => tell(context, asked, &state(&client)?.config),
        Command::Set(change) => set(context, change, &client),
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
        vec![key.as_str().into(), on.into(), flag.percentage.to_string().into()]
    };
    let rows: Vec<Vec<Cell>> = config.flags.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.table(&["flag", "state", "percentage"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
}

fn eval(context: &Context, asked: &Asked, config: &Config) -> Result<Code> {
    let found = explain(&asked.key, find(config, &asked.key)?, asked.user.as_deref());
    if context.ui.json {
        let Asked { key, user } = asked;
        let Explained { on, reason, .. } = found;
        context.ui.json(&json!({ "schema": "ctx.flag-evaluation/1", "flag": key, "user": user,
            "on": on, "reason": reason }));
    } else {
        context.ui.out(if found.on { "on" } else { "off" });
    }
    Ok(Code::Done)
}

fn tell(context: &Context, asked: &Asked, config: &Config) -> Result<Code> {
    let flag = find(config, &asked.key)?;
    let Asked { key, user } = asked;
    let Explained { on, reason, hash, bucket, limit } = explain(key, flag, user.as_deref());
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.flag-explanation/1", "flag": key, "user": user,
            "on": on, "reason": reason, "hash": hash, "bucket": bucket, "limit": limit,
            "percentage": flag.percentage, "bucketing": flag.bucketing }));
        return Ok(Code::Done);
    }
    let (word, whom) = (if on { "on" } else { "off" }, user.as_deref().unwrap_or("anybody"));
    context.ui.out(format!("{key} is {word} for {whom}"));
    if let (Some(hash), Some(bucket)) = (hash, bucket) {
        context.ui.out(format!("hash     {hash} = murmur3-32 of `{key}{whom}`"));
        context.ui.out(format!("bucket   {bucket} = hash x 100,000 / 2^32"));
    }
    let rule = match reason {
        Reason::Disabled => "the flag is disabled, so it is off for everybody".to_owned(),
        Reason::Static => format!("at {} no key matters", flag.percentage),
        Reason::Split if bucket.is_none() => {
            format!("without a key, the dice decide: on in {} of the questions", flag.percentage)
        }
        Reason::Split => {
            let sign = if on { "below" } else { "not below" };
            format!("{sign} {limit}, which is {}", flag.percentage)
        }
    };
    context.ui.out(format!("rule     {rule}"));
    Ok(Code::Done)
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
    let mut changes = Vec::new();
    let mut to = |field: &str, value| {
        changes.push(Assignment { path: format!("flags.{key}.{field}"), value });
    };
    if change.on || change.off {
        to("enabled", change.on.into());
    }
    if let Some(percentage) = change.percentage {
        to("percentage", json!(percentage));
    }
    let config = assign(&now.config, &changes).map_err(|error| {
        Failure::new(Code::Refused, "the flag cannot be changed like that").because(&error)
    })?;
    let after = config.flags[key].clone();
    if after == before {
        context.ui.note(format!("nothing to do: {key} is {}", shown(&after)));
        return Ok(Code::Done);
    }
    free(&now)?;
    let question = format!("{key}: {} -> {}, at once. Change it?", shown(&before), shown(&after));
    confirm(context, &question)?;
    let reason = context.reason.clone().unwrap_or_else(|| format!("ctx flags set {key}"));
    let request = RevisionRequest { config, confirm_within_ms: None, reason };
    let rev = block_on(apply(client, now.head, &request))?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.flag-set/1", "flag": key, "rev": rev }));
    } else {
        context.ui.out(format!("{key} is {} as of revision {rev}", shown(&after)));
    }
    Ok(Code::Done)
}

fn shown(flag: &Flag) -> String {
    format!("{} at {}", if flag.enabled { "on" } else { "off" }, flag.percentage)
}

/// Makes sure that nobody else is at work.
pub(super) fn free(state: &State) -> Result<()> {
    if let Some(lease) = &state.lease {
        return Stop::Held(Box::new(lease.clone()))
            .into_result("ctx status", SystemClock.wall())
            .map(drop);
    }
    if state.provisional.is_some() || state.armed.is_some() {
        return Err(Failure::new(Code::Refused, "a phase is in flight")
            .why("a change of yours would be taken back with it")
            .hint("`ctx status --live` says where it is; `ctx abort` takes it back"));
    }
    Ok(())
}

/// Puts a document in force and keeps it; returns its revision.
async fn apply(client: &Client, head: u64, request: &RevisionRequest) -> Result<u64> {
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
    let kept = keep(client, &fence, head, request).await;
    // What was not kept lives and dies with the lease.
    let released = client.release(&fence).await;
    let rev = kept.map_err(|error| control_failure(&error))?;
    released.map_err(|error| control_failure(&error))?;
    Ok(rev)
}

async fn keep(
    client: &Client,
    fence: &Fence,
    head: u64,
    request: &RevisionRequest,
) -> std::result::Result<u64, ControlError> {
    let keys = [random_hex::<16>(), random_hex::<16>()];
    let rev = client.apply(Write { fence, key: &keys[0] }, head, request).await?.body.rev;
    client.confirm(Write { fence, key: &keys[1] }, rev).await?;
    Ok(rev)
}
