//! `ctx ledger`: proves, describes, exports and mends the ledger.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use crate::clock::{from_wall_ms, rfc3339};
use crate::error::{Code, Failure, Result, count};
use crate::ledger::error::ANEW;
use crate::ledger::verify::Verification;
use crate::ledger::view::{Entry, Info};
use crate::ledger::{Ledger, import};
use crate::report::words;
use crate::ui::Paint;

/// How many faults are shown to a person.
const SHOWN: usize = 10;

/// How many entries are read at a time.
const PAGE: u32 = 1000;

/// Verify, describe, export or import the ledger
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx ledger verify\n  ctx ledger export > ledger.jsonl")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove that no entry was edited, removed, moved or inserted
    ///
    /// Exits with 42 and the number of the entry when one was. The head that it prints is worth
    /// keeping elsewhere: only a copy of it stops somebody who rewrites the whole ledger.
    #[command(
        after_help = "Examples:\n  ctx ledger verify\n  ctx ledger verify --ledger .ctx/copy.sqlite3"
    )]
    Verify,
    /// Show who the ledger is and how far it goes
    #[command(after_help = "Examples:\n  ctx ledger info\n  ctx ledger info --json")]
    Info,
    /// Print the ledger as JSON lines: first the ledger itself, then each entry
    #[command(
        after_help = "Examples:\n  ctx ledger export > ledger.jsonl\n  ctx ledger export | gzip > ledger.jsonl.gz"
    )]
    Export,
    /// Make a ledger of an export, once every entry of it is proven
    ///
    /// The ledger has the uuid, the entries and the head of the one that was exported, and is made
    /// whole or not at all. It never replaces one that is there: name a new file with `--ledger`.
    #[command(
        after_help = "Examples:\n  ctx ledger import ledger.jsonl --ledger .ctx/copy.sqlite3\n  ctx ledger import - --ledger .ctx/copy-2.sqlite3 < ledger.jsonl"
    )]
    Import {
        /// The export; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Derive the tables that `status`, `history` and `report` show again from the entries
    ///
    /// With `--from-orchestrator`, make a new ledger of what the orchestrator knows, with the run
    /// that is in flight: for a ledger that is damaged. The damaged file is left as it is.
    Rebuild(Rebuild),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx ledger rebuild\n  ctx ledger rebuild --from-orchestrator -o .ctx/new.sqlite3"
)]
struct Rebuild {
    /// Make a new ledger of what the orchestrator knows
    #[arg(long)]
    from_orchestrator: bool,
    /// Where the new ledger goes [default: beside the old one, `ledger-rebuilt.sqlite3`]
    #[arg(short, long, value_name = "FILE", requires = "from_orchestrator")]
    output: Option<PathBuf>,
}

/// One line of an export.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Ledger(&'a Info),
    Entry(&'a Entry),
}

/// A JSON document that says what it is.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

/// Runs `ctx ledger`.
///
/// # Errors
/// When there is no ledger, it cannot be read, or it is damaged.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    match &args.command {
        Command::Verify => verify(context),
        Command::Info => info(context),
        Command::Export => export(context),
        Command::Import { file } => import_from(file, context),
        Command::Rebuild(Rebuild { from_orchestrator: true, output }) => {
            super::init::anew(context, &output.clone().unwrap_or_else(|| beside(context)))
        }
        Command::Rebuild(_) => rebuild(context),
    }
}

fn verify(context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    let found = Ledger::read(path)?.verify()?;
    if context.ui.json {
        context.ui.json(&Document { schema: "ctx.ledger-verify/1", content: &found });
        return Ok(if found.intact() { Code::Done } else { Code::LedgerDamaged });
    }
    if !found.intact() {
        return Err(damaged(context, &found));
    }
    let (entries, head) = (number(found.entries, "entry"), found.head);
    let intact = context.ui.paint_out(Paint::Good, "intact");
    context.ui.say(format!("the ledger is {intact}: {entries}, head {head}"));
    Ok(Code::Done)
}

/// What a damaged ledger means, place by place.
fn damaged(context: &Context, found: &Verification) -> Failure {
    let path = context.settings.ledger.value.display();
    let faults = count(found.fault_count, "fault");
    let what = format!("the ledger `{path}` is damaged: {faults}");
    let mut failure = Failure::new(Code::LedgerDamaged, what);
    for fault in found.faults.iter().take(SHOWN) {
        failure = failure.why(fault.to_string());
    }
    if found.fault_count > SHOWN {
        failure = failure.why(format!("and {} more", found.fault_count - SHOWN));
    }
    if found.only_derived() {
        return failure
            .hint("every entry is intact; `ctx ledger rebuild` derives the tables again");
    }
    failure
        .hint("keep the file as it is: it is evidence; compare it with a copy or an export")
        .hint("entries before the first fault are proven; what follows it is not")
        .hint(ANEW)
}

fn info(context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    let info = Ledger::read(path)?.info()?;
    if context.ui.json {
        context.ui.json(&Document { schema: "ctx.ledger-info/1", content: &info });
        return Ok(Code::Done);
    }
    let time = |ms| rfc3339(from_wall_ms(ms));
    let span = match (info.first_ms, info.last_ms) {
        (Some(first), Some(last)) => format!(", {} to {}", time(first), time(last)),
        _ => String::new(),
    };
    context.ui.say(format!("ledger   {}", path.display()));
    context.ui.out(format!("uuid     {}", info.uuid));
    context.ui.out(format!("format   {}", info.format));
    context.ui.out(format!("entries  {}{span}", info.entries));
    context.ui.out(format!("head     {}", info.head));
    context.ui.out(format!("size     {}", words::bytes(info.bytes)));
    Ok(Code::Done)
}

fn export(context: &Context) -> Result<Code> {
    let reader = Ledger::read(&context.settings.ledger.value)?;
    context.ui.json(&Line::Ledger(&reader.info()?));
    let mut after = 0;
    loop {
        let page = reader.entries(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(Code::Done) };
        after = last.seq;
        for entry in &page {
            context.ui.json(&Line::Entry(entry));
        }
    }
}

fn import_from(file: &Path, context: &Context) -> Result<Code> {
    let path = &context.settings.ledger.value;
    let info = if file == Path::new("-") {
        import::import(path, std::io::stdin().lock())?
    } else {
        let open = std::fs::File::open(file).map_err(|error| {
            Failure::new(Code::Usage, format!("failed to read `{}`", file.display()))
                .because(&error)
                .hint("name what `ctx ledger export` has printed, or `-` for stdin")
        })?;
        import::import(path, std::io::BufReader::new(open))?
    };
    if context.ui.json {
        context.ui.json(&Document { schema: "ctx.ledger-info/1", content: &info });
        return Ok(Code::Done);
    }
    let entries = number(info.entries, "entry");
    context.ui.note(format!("`{}` made of {entries}, head {}", path.display(), info.head));
    Ok(Code::Done)
}

/// Where a new ledger goes: `ledger-rebuilt.sqlite3` for `ledger.sqlite3`.
fn beside(context: &Context) -> PathBuf {
    let path = &context.settings.ledger.value;
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push("-rebuilt");
    let new = path.with_file_name(name);
    path.extension().map_or(new.clone(), |extension| {
        let mut name = new.into_os_string();
        name.push(".");
        name.push(extension);
        name.into()
    })
}

fn rebuild(context: &Context) -> Result<Code> {
    let mut ledger = Ledger::open_existing(&context.settings.ledger.value)?;
    ledger.rebuild()?;
    let (seq, _) = ledger.head()?;
    context.ui.note(format!("the tables are derived again from {}", number(seq, "entry")));
    Ok(Code::Done)
}

fn number(n: u64, noun: &str) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), noun)
}
