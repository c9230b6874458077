//! `ctx history`

use serde_json::json;

use super::Context;
use super::known::reader;
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Result};
use crate::report::build::run as entry;
use crate::report::model::RunEntry;
use crate::report::page::Page;
use crate::report::text;

/// The most columns on a terminal.
const WIDEST: usize = 120;

/// List the runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctx history\n  ctx history -n 1 --json")]
pub struct Args {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N", value_parser = some)]
    pub limit: u32,
}

/// How many.
fn some(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number such as `20`"))
}

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let rows = match reader(context)? {
        Some(reader) => reader.runs(args.limit)?,
        None => Vec::new(),
    };
    let now_ms = SystemClock.wall().timestamp_millis();
    let runs: Vec<RunEntry> = rows.into_iter().map(|row| entry(row, now_ms)).collect();
    if context.ui.json {
        context.ui.json(&json!({"schema": "ctx.history/1", "runs": runs}));
        return Ok(Code::Done);
    }
    if runs.is_empty() {
        let path = context.settings.ledger.value.display();
        context.ui.note(format!("nothing was run yet, as the ledger `{path}` would tell"));
        return Ok(Code::Done);
    }
    let mut page = Page::new(context.ui.width.min(WIDEST));
    text::runs(&mut page, &runs);
    context.ui.out_raw(page.render(context.ui.color_out));
    Ok(Code::Done)
}
