//! `ctx events`: what waits in the orchestrator's inbox, and what became a dead letter.

use clap::Subcommand;
use serde_json::json;

use super::Context;
use super::asks::there;
use super::known::known;
use super::session::{block_on, confirm, connect};
use crate::control::client::Client;
use crate::control::failure::control_failure;
use crate::control::inbox::{DeadLetter, DeadLetterContent, Letters, LettersMoved};
use crate::error::{Code, Failure, Result, count};
use crate::report::page::{Field, Page, Row};
use crate::report::words;
use crate::settings::{host, user};

/// The widest that a table gets.
const WIDEST: usize = 110;

/// Show stored events and dead letters, and have dead letters tried again
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx events dead\n  ctx events show 41\n  ctx events replay 41 42\n  ctx events replay --all"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how many events wait for their handler, and how many are dead letters
    #[command(after_help = "Examples:\n  ctx events status\n  ctx events status --json")]
    Status,
    /// List the dead letters: acknowledged events that no handler would or could handle
    #[command(after_help = "Examples:\n  ctx events dead\n  ctx events dead --json")]
    Dead,
    /// Show one dead letter with its headers and its body
    #[command(after_help = "Examples:\n  ctx events show 41\n  ctx events show 41 --json")]
    Show {
        /// Its number, from `ctx events dead`
        #[arg(value_parser = super::number)]
        id: u64,
    },
    /// Put dead letters back, so that their handlers are asked again at once
    ///
    /// The handler may have seen such an event before; it carries the same delivery id again. Who
    /// asked, and why (`--reason`), stands in the orchestrator's audit chain.
    #[command(
        after_help = "Examples:\n  ctx events replay 41 42 --reason \"the app is back\"\n  ctx events replay --all"
    )]
    Replay {
        /// Their numbers, from `ctx events dead`
        #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = super::number)]
        ids: Vec<u64>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Take dead letters away for good
    #[command(
        after_help = "Examples:\n  ctx events discard 41\n  ctx events discard 41 42 --yes --reason \"sent by a test\""
    )]
    Discard {
        /// Their numbers, from `ctx events dead`
        #[arg(required = true, value_parser = super::number)]
        ids: Vec<u64>,
    },
}

/// Runs the command.
///
/// # Errors
/// When the orchestrator does not answer or refuses, or a letter does not exist.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let client = connect(context, &there(context, &known(context)?)?)?;
    match &args.command {
        Command::Status => block_on(status(context, &client)),
        Command::Dead => block_on(dead(context, &client)),
        Command::Show { id } => block_on(show(context, &client, *id)),
        Command::Replay { ids, .. } => block_on(replay(context, &client, ids)),
        Command::Discard { ids } => {
            let what = if ids.len() == 1 { "this event" } else { "these events" };
            confirm(context, &format!("Nobody will ever handle {what}. Discard?"))?;
            block_on(discard(context, &client, ids))
        }
    }
}

async fn status(context: &Context, client: &Client) -> Result<Code> {
    let view = client.inbox().await.map_err(|error| control_failure(&error))?;
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.events/1", "inbox": view }));
        return Ok(Code::Done);
    }
    let oldest = view.oldest_ms.map(std::time::Duration::from_millis);
    let waits =
        oldest.map_or(String::new(), |age| format!(", the oldest for {}", words::span(age)));
    context.ui.say(format!("{} pending{waits}, {} dead", view.pending, view.dead));
    Ok(Code::Done)
}

async fn dead(context: &Context, client: &Client) -> Result<Code> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.id);
        let more = client.dead_letters(after).await.map_err(|error| control_failure(&error))?;
        if more.is_empty() {
            break;
        }
        letters.extend(more);
    }
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.dead-letters/1", "letters": letters }));
        return Ok(Code::Done);
    }
    if letters.is_empty() {
        context.ui.note("no dead letters");
        return Ok(Code::Done);
    }
    let row = |letter: &DeadLetter| Row {
        cells: vec![
            letter.id.to_string().into(),
            letter.source.as_str().into(),
            letter.delivery.as_deref().unwrap_or("-").into(),
            letter.received.as_str().into(),
            letter.attempts.to_string().into(),
        ],
        note: Some(letter.why.as_str().into()),
    };
    let rows: Vec<Row> = letters.iter().map(row).collect();
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.noted_table(&["id", "from", "delivery", "received", "tries"], &rows);
    context.ui.out_raw(page.render(context.ui.color_out));
    context.ui.note("hint: `ctx events replay ID...` has them tried again");
    Ok(Code::Done)
}

async fn show(context: &Context, client: &Client, id: u64) -> Result<Code> {
    let found = client.dead_letter(id).await.map_err(|error| control_failure(&error))?;
    let Some(content) = found else { return Err(unknown(id)) };
    if context.ui.json {
        context.ui.json(&json!({ "schema": "ctx.dead-letter/1", "letter": content }));
        return Ok(Code::Done);
    }
    let DeadLetterContent { letter, request_id, trace_id, headers, body } = content;
    let mut page = Page::new(context.ui.width.min(WIDEST));
    let delivery = letter.delivery.as_deref().unwrap_or("-");
    let tries = usize::try_from(letter.attempts).unwrap_or(usize::MAX);
    let tries = format!("{}, then: {}", count(tries, "try"), letter.why);
    let mut fields = vec![
        Field::new("event", format!("{} from {}", letter.id, letter.source)),
        Field::new("delivery", delivery),
        Field::new("received", letter.received.as_str()),
        Field::new("path", letter.target.as_str()),
        Field::new("why", tries),
        Field::new("body", words::bytes(letter.bytes)),
    ];
    let names = [("request id", request_id), ("trace id", trace_id)];
    let names = names.into_iter().filter_map(|(what, id)| Some(Field::new(what, id?)));
    fields.extend(names);
    page.fields(fields);
    page.blank();
    context.ui.out_raw(page.render(context.ui.color_out));
    for (name, value) in headers {
        context.ui.out(format!("{name}: {value}"));
    }
    let bytes = hex::decode(&body).unwrap_or_default();
    context.ui.out(format!("\n{}", String::from_utf8_lossy(&bytes)));
    Ok(Code::Done)
}

async fn replay(context: &Context, client: &Client, ids: &[u64]) -> Result<Code> {
    let moved = client.replay_dead(&letters(context, ids)).await;
    told(context, moved.map_err(|error| control_failure(&error))?, ids, "tried again")
}

async fn discard(context: &Context, client: &Client, ids: &[u64]) -> Result<Code> {
    let moved = client.discard_dead(&letters(context, ids)).await;
    told(context, moved.map_err(|error| control_failure(&error))?, ids, "discarded")
}

/// Which letters, and who asks: it stands in the orchestrator's audit chain.
fn letters(context: &Context, ids: &[u64]) -> Letters {
    let reason = context.reason.clone().unwrap_or_default();
    Letters { ids: ids.to_vec(), by: user(), host: host(), reason }
}

fn told(context: &Context, done: LettersMoved, ids: &[u64], what: &str) -> Result<Code> {
    let LettersMoved { moved, audit } = done;
    if context.ui.json {
        context
            .ui
            .json(&json!({ "schema": "ctx.dead-letters-moved/1", "moved": moved, "audit": audit }));
    } else {
        let noun = if moved == 1 { "dead letter" } else { "dead letters" };
        context.ui.say(format!("{moved} {noun} {what}; on record in row {audit} of the audit"));
    }
    if moved < ids.len() as u64 {
        let missing = ids.len() as u64 - moved;
        return Err(Failure::new(Code::Failure, format!("{missing} of them are no dead letters"))
            .hint("`ctx events dead` lists those that are"));
    }
    Ok(Code::Done)
}

fn unknown(id: u64) -> Failure {
    Failure::new(Code::Failure, format!("there is no dead letter {id}"))
        .hint("`ctx events dead` lists those that are")
}
