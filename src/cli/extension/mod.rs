//! `ctx extension`: what handles events, in which version, and how it is doing.

mod rollout;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use self::rollout::Rollout;
use super::Context;
use super::asks::there;
use super::flags::{free, state};
use super::known::known;
use super::session::{block_on, confirm, connect};
use crate::control::client::Client;
use crate::control::config::{Config, Extension, Kind};
use crate::control::failure::control_failure;
use crate::control::observe::{ExtensionState, ExtensionView};
use crate::control::{document, extensions};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::ExtensionId;
use crate::plan;
use crate::report::page::{Cell, Page, Row};

/// The widest that a table gets.
const WIDEST: usize = 110;

/// List extensions, install them, swap their versions, or take them out
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx extension list\n  ctx extension install examples/extensions/greeter.toml"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the installed extensions and how they are doing
    #[command(after_help = "Examples:\n  ctx extension list\n  ctx extension list --json")]
    List,
    /// Check manifests, and what they say of each other, without an orchestrator
    #[command(
        after_help = "Examples:\n  ctx extension validate examples/extensions/greeter.toml\n  ctx extension validate plans/extensions/linear.toml \\\n      plans/extensions/github.toml"
    )]
    Validate(Manifests),
    /// Put extensions in place, wait until they run, and take them out again if they do not
    ///
    /// What another one depends on comes first, in whatever order they are named. For a change
    /// that is watched for longer, write a plan with an `install` step.
    #[command(
        after_help = "Examples:\n  ctx extension install examples/extensions/greeter.toml\n  ctx extension install plans/extensions/linear.toml \\\n      plans/extensions/github.toml --yes"
    )]
    Install(Manifests),
    /// Put another version in place of the one that runs, without a failed request
    ///
    /// Both run until the new one has shown that it is alive. If it does not, the old one stays.
    #[command(
        after_help = "Examples:\n  ctx extension swap examples/extensions/linear.toml\n  ctx extension swap examples/extensions/linear.toml --yes \\\n      --reason \"change 4711\""
    )]
    Swap(Manifests),
    /// Take extensions out, once they have answered what they were given
    #[command(
        after_help = "Examples:\n  ctx extension remove greeter\n  ctx extension remove greeter github-integration --yes"
    )]
    Remove {
        /// Ids of extensions
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ExtensionId>,
    },
}

#[derive(Debug, clap::Args)]
struct Manifests {
    /// Manifests of extensions
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

type Named = BTreeMap<ExtensionId, Extension>;

/// Runs the command.
///
/// # Errors
/// When a manifest has faults, the orchestrator does not answer or refuses, or an extension does
/// not come up.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Validate(manifests) => validate(context, manifests),
        Command::List => list(context, &client(context)?),
        Command::Install(manifests) => {
            let named = read(&manifests.files)?;
            let client = client(context)?;
            let now = state(&client)?;
            if let Some(id) = named.keys().find(|id| now.config.extensions.contains_key(*id)) {
                return Err(Failure::new(Code::Refused, format!("`{id}` is installed already"))
                    .hint("`ctx extension swap` puts another version in its place"));
            }
            let mut config = now.config.clone();
            config.extensions.extend(named.clone());
            let order = order(&config, &named)?;
            let question = format!("install {}, at once. Do it?", listed(&order, &named));
            let rollout = Rollout { what: "install", order, now, config };
            change(context, &client, &rollout, &question)
        }
        Command::Swap(manifests) => {
            let named = read(&manifests.files)?;
            let client = client(context)?;
            let now = state(&client)?;
            for id in named.keys() {
                installed(&now.config, id)?;
            }
            let mut config = now.config.clone();
            config.extensions.extend(named.clone());
            if config == now.config {
                context.ui.note("nothing to do: exactly that is installed");
                return Ok(Code::Done);
            }
            let order = order(&config, &named)?;
            let from = listed(&order, &now.config.extensions);
            let question = format!("{from} -> {}, at once. Do it?", listed(&order, &named));
            let rollout = Rollout { what: "swap", order, now, config };
            change(context, &client, &rollout, &question)
        }
        Command::Remove { ids } => {
            let client = client(context)?;
            let now = state(&client)?;
            let mut config = now.config.clone();
            for id in ids {
                installed(&now.config, id)?;
                config.extensions.remove(id);
            }
            let question =
                format!("take {} out, at once. Do it?", listed(ids, &now.config.extensions));
            let rollout = Rollout { what: "remove", order: ids.clone(), now, config };
            change(context, &client, &rollout, &question)
        }
    }
}

fn client(context: &Context) -> Result<Client> {
    connect(context, &there(context, &known(context)?)?)
}

fn read(files: &[PathBuf]) -> Result<Named> {
    let mut named = Named::new();
    for file in files {
        let (id, extension) =
            plan::manifest(file).map_err(|error| plan::manifest_failure(file, error))?;
        if named.insert(id.clone(), extension).is_some() {
            return Err(Failure::new(Code::Usage, format!("two manifests are of `{id}`")));
        }
    }
    Ok(named)
}

fn validate(context: &Context, manifests: &Manifests) -> Result<Code> {
    let named = read(&manifests.files)?;
    // On their own: what else is installed, and which upstreams there are, is not known here.
    let mut config = Config::legacy("http://127.0.0.1:8000");
    for (id, extension) in &named {
        let mut alone = extension.clone();
        alone.depends_on.retain(|needed| named.contains_key(&needed.id));
        if let Kind::Http { upstream, .. } = &alone.kind {
            let there = config.upstreams[crate::control::config::LEGACY].clone();
            config.upstreams.entry(upstream.clone()).or_insert(there);
        }
        config.extensions.insert(id.clone(), alone);
    }
    let order = order(&config, &named)?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.extension-manifests/1", "order": order,
            "extensions": named }));
        return Ok(Code::Done);
    }
    for id in &order {
        let extension = &named[id];
        let answers = match &extension.kind {
            Kind::Http { upstream, path } => format!("{path} of upstream {upstream}"),
            Kind::Process(process) => format!("process {}", process.command.join(" ")),
        };
        context.ui.say(format!("{id} {}: no faults; {answers}", extension.version));
    }
    Ok(Code::Done)
}

/// Those that were named, each after what it depends on; the whole must keep every rule.
fn order(config: &Config, named: &Named) -> Result<Vec<ExtensionId>> {
    let refused =
        |why: String| Failure::new(Code::Refused, "the extensions do not fit together").why(why);
    document::check(config).map_err(|error| refused(error.to_string()))?;
    let order = extensions::order(&config.extensions).map_err(refused)?;
    Ok(order.into_iter().filter(|id| named.contains_key(*id)).cloned().collect())
}

fn installed(config: &Config, id: &ExtensionId) -> Result<()> {
    if config.extensions.contains_key(id) {
        return Ok(());
    }
    let failure = Failure::new(Code::Usage, format!("there is no extension `{id}`"));
    let known = config.extensions.keys().map(ExtensionId::as_str);
    Err(match did_you_mean(id.as_str(), known) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`ctx extension list` names them"),
    })
}

fn listed(ids: &[ExtensionId], of: &Named) -> String {
    let one = |id: &ExtensionId| {
        let version = of.get(id).map_or("?", |extension| extension.version.as_str());
        format!("{id} {version}")
    };
    ids.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn change(context: &Context, client: &Client, rollout: &Rollout, question: &str) -> Result<Code> {
    document::check(&rollout.config).map_err(|error| {
        Failure::new(Code::Refused, format!("cannot {} that", rollout.what)).because(&error)
    })?;
    free(&rollout.now)?;
    confirm(context, question)?;
    let ids: Vec<&str> = rollout.order.iter().map(ExtensionId::as_str).collect();
    let what = rollout.what;
    let default = format!("ctx extension {what} {}", ids.join(" "));
    let reason = context.reason.clone().unwrap_or(default);
    let rev = block_on(rollout.run(client, reason))?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.extension-change/1", "change": what,
            "extensions": ids, "rev": rev }));
    } else {
        context.ui.say(format!("{what} of {}: done as of revision {rev}", ids.join(", ")));
    }
    Ok(Code::Done)
}

fn list(context: &Context, client: &Client) -> Result<Code> {
    let list =
        block_on(async { client.extensions().await.map_err(|error| control_failure(&error)) })?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.extensions/1", "extensions": list.extensions }));
        return Ok(Code::Done);
    }
    if list.extensions.is_empty() {
        context.ui.note("no extension is installed");
        return Ok(Code::Done);
    }
    let row = |view: &ExtensionView| {
        let run = view.wanted > 0;
        let of = |n: u32, all: u32| if run { format!("{n} of {all}") } else { "-".to_owned() };
        let cells = vec![
            view.id.as_str().into(),
            view.version.as_str().into(),
            word(view.state).into(),
            of(view.replicas, view.wanted).into(),
            of(view.busy, view.capacity).into(),
            view.restarts.to_string().into(),
        ];
        let note = (!view.detail.is_empty()).then(|| Cell::from(view.detail.as_str()));
        Row { cells, note }
    };
    let rows: Vec<Row> = list.extensions.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.noted_table(&["extension", "version", "state", "replicas", "busy", "restarts"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}

fn word(state: ExtensionState) -> &'static str {
    match state {
        ExtensionState::Starting => "starting",
        ExtensionState::Running => "running",
        ExtensionState::Waiting => "waiting",
        ExtensionState::Failed => "failed",
    }
}
