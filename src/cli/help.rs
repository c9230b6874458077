//! `ctx help`: the help of a command, or what an exit code means and what to do about it.
//!
//! A person who finds `22` in a log at night types it here, and so does one who finds
//! `head_moved` in an answer of the control API.

use clap::CommandFactory;
use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};

use super::{Cli, Context, candidates};
use crate::control::wire::ProblemCode;
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::report::page::{Cell, Field, Page};
use crate::ui::Paint;

/// The most columns of a page of prose.
const WIDEST: usize = 100;

/// The topic that lists every code.
const CODES: &str = "codes";

/// Explain a command, an exit code or an error code
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx help migrate\n  ctx help 22\n  ctx help head_moved\n  ctx help codes"
)]
pub struct Args {
    /// A command, an exit code by number or name, an error code of the control API, or `codes`
    #[arg(value_name = "COMMAND|CODE", add = ArgValueCandidates::new(candidates::topics))]
    topic: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When there is no such command and no such code.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let words: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    match words.as_slice() {
        [CODES] => list(context),
        [word] if Code::find(word).is_some() => {
            exit_code(Code::find(word).unwrap_or(Code::Failure), context);
        }
        [word] if ProblemCode::find(word).is_some() => {
            problem(ProblemCode::find(word).unwrap_or(ProblemCode::NotFound), context);
        }
        path => context.ui.out_raw(of_command(path, context)?),
    }
    Ok(Code::Done)
}

/// The help of the command that `path` leads to.
fn of_command(path: &[&str], context: &Context) -> Result<String> {
    let root = Cli::command();
    let mut at = &root;
    for word in path {
        at = at.find_subcommand(word).ok_or_else(|| {
            let known: Vec<&str> = at.get_subcommands().map(clap::Command::get_name).collect();
            unknown(word, path.len() == 1, &known)
        })?;
    }
    // What `--help` prints, which is long or short as the command has more to say.
    let words = ["ctx"].iter().chain(path).chain(&["--help"]);
    let Err(help) = Cli::command().try_get_matches_from(words) else { return Ok(String::new()) };
    let help = help.render();
    Ok(if context.ui.color_out { help.ansi().to_string() } else { help.to_string() })
}

fn unknown(word: &str, first: bool, commands: &[&str]) -> Failure {
    let failure = Failure::new(Code::Usage, format!("there is no command or code `{word}`"));
    let codes: Vec<String> = if first {
        let exits = Code::ALL.map(|code| code.name().to_lowercase());
        exits.into_iter().chain(ProblemCode::ALL.map(|code| code.name().to_owned())).collect()
    } else {
        Vec::new()
    };
    let list = first.then_some(CODES);
    let known = commands.iter().copied().chain(codes.iter().map(String::as_str)).chain(list);
    let near = did_you_mean(&word.to_lowercase(), known);
    match near {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`ctx help` lists the commands, `ctx help codes` the codes"),
    }
}

fn exit_code(code: Code, context: &Context) {
    if context.ui.json {
        context.ui.json(&record(code));
        return;
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    let title = format!("{} {}: {}", code.number(), code.name(), code.title());
    page.paragraph(Cell::painted(title, Paint::Strong));
    page.blank();
    page.paragraph(code.state());
    if !code.next().is_empty() {
        page.heading("What to do");
        page.fields(code.next().iter().map(|(command, why)| Field::new(command, *why)).collect());
    }
    context.ui.out_raw(page.render(context.ui.color_out));
}

fn record(code: Code) -> Value {
    let next = |(command, why): &(&str, &str)| json!({"command": command, "why": why});
    json!({
        "exit_code": code.number(),
        "code": code.name(),
        "title": code.title(),
        "state": code.state(),
        "next": code.next().iter().map(next).collect::<Vec<_>>(),
    })
}

fn problem(code: ProblemCode, context: &Context) {
    if context.ui.json {
        let (name, title) = (code.name(), code.title());
        let document = json!({
            "code": name, "status": code.status(), "title": title, "meaning": code.meaning(),
        });
        context.ui.json(&document);
        return;
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    let title = format!("{} (status {}): {}", code.name(), code.status(), code.title());
    page.paragraph(Cell::painted(title, Paint::Strong));
    page.blank();
    page.paragraph(code.meaning());
    context.ui.out_raw(page.render(context.ui.color_out));
}

fn list(context: &Context) {
    if context.ui.json {
        let problems = ProblemCode::ALL.map(
            |code| json!({"code": code.name(), "status": code.status(), "meaning": code.meaning()}),
        );
        let document = json!({
            "schema": "ctx.codes/1", "exit_codes": Code::ALL.map(record), "errors": problems,
        });
        context.ui.json(&document);
        return;
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    page.heading("Exit codes of ctx");
    let exits = Code::ALL.map(|code| row(&code.number().to_string(), code.name(), code.title()));
    page.table(&["exit", "name", "meaning"], &exits);
    page.heading("Error codes of the control API");
    let problems =
        ProblemCode::ALL.map(|code| row(&code.status().to_string(), code.name(), code.title()));
    page.table(&["status", "code", "meaning"], &problems);
    context.ui.out_raw(page.render(context.ui.color_out));
}

fn row(number: &str, name: &str, title: &str) -> Vec<Cell> {
    [number, name, title].map(Cell::from).to_vec()
}
