//! A run as GitHub Actions shows it: annotations on the plan's lines, a group of log lines for
//! each run, and a summary of the step.
//!
//! Commands are lines on stderr, beside the ordinary ones. GitHub shows ten annotations of a type
//! for a step and drops the rest without a word, so ctx stops at ten itself, keeps one error for
//! how the command ends, and counts what it left out in the summary. A summary above 1 MiB is
//! dropped whole; ctx stops well below. Texts are escaped as the runner's own toolkit does it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Observer, Tick};
use crate::clock::{from_wall_ms, rfc3339};
use crate::error::{Code, Failure};
use crate::ids::StepId;
use crate::ledger::fact::{Fact, Recorded, RunBegun};
use crate::report::page::clean;
use crate::report::sentence::{Level, level, sentence};
use crate::secret::redacted;
use crate::ui::{Sink, Worth};

/// How many annotations of one type GitHub shows for a step.
const MOST: usize = 10;
/// The most bytes of a summary. GitHub takes 1 MiB; other commands of the step may add theirs.
const SUMMARY: usize = 512 * 1024;
/// The most rows of a summary: the newest count.
const ROWS: usize = 1_000;
/// The most characters of a text.
const TEXT: usize = 1_000;

/// The types of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Error,
    Warning,
    Notice,
}

/// Writes the runner's commands, and at the end the summary.
#[derive(Debug)]
pub struct Github<W> {
    out: W,
    summary: Option<PathBuf>,
    /// The plan's file, the line of the phase, and those of its steps.
    plan: Option<(String, u32, BTreeMap<StepId, u32>)>,
    title: String,
    given: BTreeMap<Kind, usize>,
    left_out: usize,
    rows: VecDeque<String>,
    grouped: bool,
}

impl<W: Sink> Github<W> {
    /// Writes commands to `out`, and the summary to the end of the file that the runner names.
    pub fn new(out: W, summary: Option<PathBuf>) -> Self {
        Self {
            out,
            summary,
            plan: None,
            title: "ctx".to_owned(),
            given: BTreeMap::new(),
            left_out: 0,
            rows: VecDeque::new(),
            grouped: false,
        }
    }

    fn command(&mut self, line: &str) {
        self.out.put(Worth::Record, &format!("{line}\n"));
    }

    fn begun(&mut self, begun: &RunBegun) {
        let phase = &begun.phase;
        let lines = phase.steps.iter().map(|step| (step.id.clone(), step.line));
        self.plan = Some((begun.plan_file.clone(), phase.line, lines.collect()));
        self.title = format!("{}, phase {} `{}`", begun.plan, phase.number, phase.id);
    }

    fn open_group(&mut self) {
        if !self.grouped {
            self.grouped = true;
            let line = format!("::group::{}", data(&self.title));
            self.command(&line);
        }
    }

    fn close_group(&mut self) {
        if std::mem::take(&mut self.grouped) {
            self.command("::endgroup::");
        }
    }

    fn annotate(&mut self, kind: Kind, step: Option<&StepId>, title: &str, text: &str) {
        // The last error is for how the command ends.
        let most = if kind == Kind::Error { MOST - 1 } else { MOST };
        let given = self.given.entry(kind).or_default();
        if *given >= most {
            self.left_out += 1;
            return;
        }
        *given += 1;
        let place = self.plan.as_ref().map(|(file, phase, steps)| {
            let line = step.and_then(|step| steps.get(step)).unwrap_or(phase);
            (file.as_str(), *line as usize, None)
        });
        let line = annotation(kind, place, title, text);
        self.command(&line);
    }

    fn row(&mut self, recorded: &Recorded) {
        let (at, what) = (rfc3339(from_wall_ms(recorded.at_ms)), sentence(&recorded.fact));
        let mark = match level(&recorded.fact) {
            Level::Debug => return,
            Level::Info => "",
            Level::Warning => "warning: ",
            Level::Error => "**error**: ",
        };
        if self.rows.len() == ROWS {
            self.rows.pop_front();
        }
        self.rows.push_back(format!("| {at} | {mark}{} |\n", cell(&what)));
    }

    /// The summary as Markdown.
    fn text(&self, ended: &str, why: &[String]) -> String {
        let mut text = format!("## {}: {}\n\n", cell(&self.title), cell(ended));
        for why in why {
            let _ = writeln!(text, "- {}", cell(why));
        }
        if self.left_out > 0 {
            let left_out = self.left_out;
            let _ = writeln!(
                text,
                "\n{left_out} annotations are not shown: GitHub takes ten of a type."
            );
        }
        text.push_str("\n| when | what |\n|---|---|\n");
        let mut room = SUMMARY.saturating_sub(text.len());
        let mut first = self.rows.len();
        // The newest rows are kept, in the order in which they came.
        while first > 0 && self.rows[first - 1].len() <= room {
            first -= 1;
            room -= self.rows[first].len();
        }
        self.rows.range(first..).for_each(|row| text.push_str(row));
        text.push('\n');
        text
    }
}

impl<W: Sink> Observer for Github<W> {
    fn resumed(&mut self, facts: &[Recorded]) {
        let begun = facts.iter().find_map(|recorded| match &recorded.fact {
            Fact::RunBegun(begun) => Some(begun),
            _ => None,
        });
        if let Some(begun) = begun {
            self.begun(begun);
            self.open_group();
        }
    }

    fn fact(&mut self, recorded: &Recorded) {
        let fact = &recorded.fact;
        if let Fact::RunBegun(begun) = fact {
            self.close_group();
            self.begun(begun);
            self.open_group();
        }
        let kind = match level(fact) {
            Level::Error => Some(Kind::Error),
            Level::Warning => Some(Kind::Warning),
            _ if matches!(fact, Fact::MilestoneReached { .. }) => Some(Kind::Notice),
            _ => None,
        };
        if let Some(kind) = kind {
            let title = self.title.clone();
            self.annotate(kind, step_of(fact), &title, &sentence(fact));
        }
        self.row(recorded);
        if matches!(fact, Fact::RunEnded { .. }) {
            self.close_group();
        }
    }

    fn tick(&mut self, _: &Tick) {}

    fn end(&mut self, result: Result<Code, &Failure>) {
        self.close_group();
        let (ended, why) = match result {
            Ok(code) => (code.name().to_owned(), &[][..]),
            Err(failure) => {
                let title = failure.code.name();
                let what = std::slice::from_ref(&failure.what);
                let text = [what, &failure.why[..], &failure.hints[..]].concat();
                let place =
                    self.plan.as_ref().map(|(file, line, _)| (&**file, *line as usize, None));
                let line = annotation(Kind::Error, place, title, &text.join("\n"));
                self.command(&line);
                (format!("{title}: {}", failure.what), &failure.why[..])
            }
        };
        let text = self.text(&ended, why);
        if let Some(path) = &self.summary
            && let Err(error) = append(path, &text)
        {
            let line = format!("::debug::no summary was written: {}", data(&error.to_string()));
            self.command(&line);
        }
    }
}

/// The step that a fact is about, where it is about one.
fn step_of(fact: &Fact) -> Option<&StepId> {
    match fact {
        Fact::GuardBreached { at, .. }
        | Fact::StepFailed { at, .. }
        | Fact::ChangeVoid { at, .. }
        | Fact::ApprovalAsked { at, .. } => Some(&at.step),
        Fact::CriterionJudged(judged) => judged.required_by.as_ref(),
        Fact::NotUndone { step, .. } => Some(step),
        _ => None,
    }
}

/// An error at a place of a file: file, line and column.
pub fn fault(file: &str, line: usize, column: usize, text: &str) -> String {
    annotation(Kind::Error, Some((file, line, Some(column))), "ctx plan", text)
}

fn annotation(
    kind: Kind,
    place: Option<(&str, usize, Option<usize>)>,
    title: &str,
    text: &str,
) -> String {
    let kind = match kind {
        Kind::Error => "error",
        Kind::Warning => "warning",
        Kind::Notice => "notice",
    };
    let mut properties = Vec::new();
    if let Some((file, line, column)) = place {
        properties.push(format!("file={}", property(file)));
        properties.push(format!("line={line}"));
        properties.extend(column.map(|column| format!("col={column}")));
    }
    properties.push(format!("title={}", property(title)));
    format!("::{kind} {}::{}", properties.join(","), data(text))
}

/// The text of a command.
fn data(text: &str) -> String {
    let text: String = redacted(text).chars().take(TEXT).collect();
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A text within Markdown that neither ends a cell nor means anything there.
fn cell(text: &str) -> String {
    let text: String = clean(&redacted(text)).chars().take(TEXT).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace('\n', " ")
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::breached;

    fn said(github: Github<Vec<u8>>) -> String {
        String::from_utf8(github.out).unwrap()
    }

    #[test]
    fn commands_are_escaped_as_the_runner_unescapes_them() {
        let line = annotation(
            Kind::Error,
            Some(("plans/a,b:c.toml", 7, Some(3))),
            "50%: so",
            "5% > 1%,\nat: last",
        );
        assert_eq!(
            line,
            "::error file=plans/a%2Cb%3Ac.toml,line=7,col=3,title=50%25%3A so::5%25 > 1%25,%0Aat: last"
        );
    }

    #[test]
    fn a_breach_is_an_error_at_its_step_within_a_group_that_ends() {
        let mut github = Github::new(Vec::new(), None);
        for recorded in breached() {
            github.fact(&recorded);
        }
        github.end(Ok(Code::RolledBack));
        let said = said(github);
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("::group::contexten-enhanced, phase 2"), "{said}");
        assert!(lines.iter().any(|l| l.starts_with("::error file=") && l.contains("error-rate")));
        assert_eq!(said.matches("::group::").count(), said.matches("::endgroup::").count());
    }

    #[test]
    fn no_more_than_ten_of_a_type_and_one_of_them_is_the_end() {
        let mut github = Github::new(Vec::new(), None);
        let facts = breached();
        github.fact(&facts[0]);
        let breach = facts.iter().find(|f| matches!(f.fact, Fact::GuardBreached { .. })).unwrap();
        for _ in 0..30 {
            github.fact(breach);
        }
        let failure = Failure::new(Code::RolledBack, "the phase failed and was rolled back");
        github.end(Err(&failure));
        assert_eq!(github.left_out, 21);
        let said = said(github);
        assert_eq!(said.matches("::error ").count(), MOST);
        assert!(said.trim_end().ends_with("::the phase failed and was rolled back"), "{said}");
    }

    #[test]
    fn a_summary_keeps_the_newest_rows_and_is_never_too_large() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut github = Github::new(Vec::new(), Some(file.path().to_path_buf()));
        for n in 0..3_000 {
            let fact = Fact::GuardBreached {
                guard: "a".parse().unwrap(),
                at: crate::report::fixture::at("step", 1, 1),
                why: format!("{n} {}", "|".repeat(2_000)),
            };
            github.fact(&Recorded { seq: n, at_ms: 0, run: None, fact });
        }
        github.end(Ok(Code::RolledBack));
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.len() <= SUMMARY + 1, "{}", text.len());
        assert!(text.contains("2999 ") && text.contains("PHASE_ROLLED_BACK"));
    }
}
