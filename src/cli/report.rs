//! `ctx report`

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Context;
use super::known::{Known, known, live, reader};
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ids::PhaseId;
use crate::ledger::{Ledger, Reader};
use crate::plan::Plan;
use crate::report::model::PhaseEntry;
use crate::report::{Inputs, Live, Records, Report, Timeline, html, junit, markdown, text};

/// The columns of a report in a file, and the most on a terminal.
const PAGE: usize = 80;
const WIDEST: usize = 120;

/// Tell what was done, what came of it, and what is next
///
/// Works from the ledger; the plan adds phases that never ran, milestones to come, and risks.
/// Changes nothing but the file that `-o` names.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctx report\n  ctx report -o report.html\n  ctx report --phase 2 --format junit -o phase-2.xml"
)]
pub struct Args {
    /// The form [default: by the ending of FILE, else text]
    #[arg(long, value_enum, value_name = "FORM")]
    pub format: Option<Format>,
    /// Write to FILE, which is replaced whole or not at all
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Tell about one phase, by number or id
    #[arg(long, value_name = "N|ID")]
    pub phase: Option<String>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// GitHub Markdown
    Md,
    /// One page for a browser, with charts; needs nothing else
    Html,
    /// The whole model, as one document
    Json,
    /// For a pipeline: a suite is a phase, a case is a criterion
    Junit,
}

/// Runs the command.
///
/// # Errors
/// When the ledger cannot be read, the phase is unknown, or the file cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Code> {
    let known = known(context)?;
    let live = if known.ledger { live(context, &known) } else { None };
    let timeline = match reader(context)? {
        Some(reader) => timeline(&reader, &known.records)?,
        None => Timeline::default(),
    };
    tell(args, context, &known, live.as_ref(), timeline)
}

/// Reports on a rehearsal, whose ledger and orchestrator are its own.
pub(super) fn of_rehearsal(
    context: &Context,
    plan: Plan,
    ledger: &Path,
    live: Option<&Live>,
) -> Result<Code> {
    let reader = Ledger::read(ledger)?;
    let records = Records::read(&reader, Some(&plan.name))?;
    let timeline = timeline(&reader, &records)?;
    let known = Known { plan: Some(plan), records, ledger: true };
    let args = Args { format: None, output: None, phase: None };
    tell(&args, context, &known, live, timeline)
}

/// What happened when, of the runs that the report names.
fn timeline(reader: &Reader, records: &Records) -> Result<Timeline> {
    let facts = records.runs.iter().rev().map(|row| reader.facts(&row.run));
    let facts = facts.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Timeline::of(facts.iter().map(Vec::as_slice)))
}

fn tell(
    args: &Args,
    context: &Context,
    known: &Known,
    live: Option<&Live>,
    timeline: Timeline,
) -> Result<Code> {
    let mut report = Report::build(&Inputs {
        now_ms: SystemClock.wall().timestamp_millis(),
        records: &known.records,
        plan: known.plan.as_ref(),
        live,
    });
    report.timeline = timeline;
    if let Some(phase) = &args.phase {
        let unknown = no_such_phase(phase, &report.phases);
        report = report.only(phase).ok_or(unknown)?;
    }
    let format = format(args, context);
    let width = if args.output.is_some() { PAGE } else { context.ui.width.min(WIDEST) };
    let text = match format {
        Format::Text => text::render(&report, width, context.ui.color_out && args.output.is_none()),
        Format::Md => markdown::render(&report),
        Format::Html => html::render(&report),
        Format::Junit => junit::render(&report),
        Format::Json => {
            let json = serde_json::to_string(&report).expect("a report is plain data");
            format!("{json}\n")
        }
    };
    match &args.output {
        None => context.ui.out_raw(text),
        Some(path) => {
            replace(path, text.as_bytes()).map_err(|error| {
                let what = format!("failed to write the report to `{}`", path.display());
                Failure::new(Code::Failure, what).because(&error)
            })?;
            context.ui.note(format!("report written to {}", path.display()));
        }
    }
    Ok(Code::Done)
}

fn format(args: &Args, context: &Context) -> Format {
    let ending = args.output.as_ref().and_then(|path| path.extension());
    let by_ending = match ending.and_then(|ending| ending.to_str()) {
        Some("md") => Format::Md,
        Some("html" | "htm") => Format::Html,
        Some("xml") => Format::Junit,
        Some("json") => Format::Json,
        _ => Format::Text,
    };
    let default = if context.ui.json { Format::Json } else { by_ending };
    args.format.unwrap_or(default)
}

fn no_such_phase(given: &str, phases: &[PhaseEntry]) -> Failure {
    let ids: Vec<&str> = phases.iter().filter_map(|p| p.id.as_ref()).map(PhaseId::as_str).collect();
    let failure = Failure::new(Code::Usage, format!("there is no phase `{given}`"));
    match did_you_mean(given, ids.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if phases.is_empty() => failure.hint("name the plan with `--plan FILE`"),
        None => failure.hint(format!("the phases are 1 to {}: {}", phases.len(), ids.join(", "))),
    }
}

/// Writes a file beside its place, then moves it there: a reader sees the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().inspect_err(|_| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&beside);
    })
}
