//! Everything that ctx prints goes through here.
//!
//! stdout is the result, stderr is everything else. A reader that went away (`| head`) ends the
//! output quietly, and one that does not read holds up nothing but the output: the ledger is the
//! record, the terminal is a view.

mod outlet;
mod view;
mod window;

use std::io::IsTerminal;
use std::time::Duration;

pub use outlet::{Outlet, Sink, Worth};
use view::{Stream, View};
pub use window::{Key, Window};

use crate::error::Failure;
use crate::secret::redacted;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// How to print.
#[derive(Clone, Debug)]
pub struct Ui {
    /// Machine-readable output on stdout.
    pub json: bool,
    pub quiet: bool,
    /// Colour on stdout, and on stderr.
    pub color_out: bool,
    pub color_err: bool,
    /// Whether somebody watches stderr, so that bars may move.
    pub live: bool,
    /// Whether somebody watches stdout, so that sentences are broken to fit.
    pub live_out: bool,
    /// Columns to fit into.
    pub width: usize,
    view: View,
}

/// How long the end of a command waits for the reader of its last lines.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same after a second signal.
const IMPATIENCE: Duration = Duration::from_millis(200);

impl Ui {
    /// Decides from the flags, the environment and the terminal.
    pub fn new(json: bool, quiet: bool, color: Color) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the terminal's own conventions, not settings"
        )]
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let dumb = env("TERM") == "dumb" || !env("NO_COLOR").is_empty();
        let forced = !env("CLICOLOR_FORCE").is_empty() || !env("FORCE_COLOR").is_empty();
        let colored = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !json && !dumb && (terminal || forced),
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let columns = env("COLUMNS").parse().ok().filter(|n| *n >= 40);
        Self {
            json,
            quiet,
            color_out: colored(out),
            color_err: colored(err),
            live: err && !json && env("TERM") != "dumb" && env("CI").is_empty(),
            live_out: out && !json && env("TERM") != "dumb",
            width: columns.unwrap_or_else(terminal_width),
            view: View::default(),
        }
    }

    /// From now on nothing waits for whoever reads: a run is driven. Holds for every clone.
    pub fn detach(&self) {
        self.view.begin();
    }

    /// Waits a little until the last lines are read.
    pub fn finish(&self) {
        self.view.finish(PATIENCE);
    }

    /// Waits until the last lines are read, for somebody who does not want to wait.
    pub fn finish_soon(&self) {
        self.view.finish(IMPATIENCE);
    }

    /// Stdout, for an observer.
    pub fn outlet(&self) -> Outlet {
        Outlet::new(&self.view, Stream::Out)
    }

    /// Stderr, for an observer.
    pub fn outlet_err(&self) -> Outlet {
        Outlet::new(&self.view, Stream::Err)
    }

    fn put(&self, stream: Stream, worth: Worth, text: &str) {
        self.view.put(stream, worth, redacted(text).as_bytes());
    }

    /// Prints a line of the result to stdout.
    pub fn out(&self, line: impl AsRef<str>) {
        self.put(Stream::Out, Worth::Result, &format!("{}\n", line.as_ref()));
    }

    /// Prints sentences of the result to stdout: broken at spaces where somebody watches, and whole
    /// in a pipe.
    pub fn say(&self, sentences: impl AsRef<str>) {
        self.out(hang(sentences.as_ref(), self.live_out.then_some(self.width)));
    }

    /// Prints text of the result to stdout as it is.
    pub fn out_raw(&self, text: impl AsRef<str>) {
        self.put(Stream::Out, Worth::Result, text.as_ref());
    }

    /// Prints one JSON document, or one record of a stream, to stdout.
    pub fn json(&self, value: &impl serde::Serialize) {
        self.out(serde_json::to_string(value).expect("output is plain data"));
    }

    /// Prints a line of progress or advice to stderr, unless quiet.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            let text = hang(line.as_ref(), self.live.then_some(self.width));
            self.put(Stream::Err, Worth::Record, &format!("{text}\n"));
        }
    }

    /// Prints what casts doubt on a result to stderr, unless quiet.
    pub fn warn(&self, text: &str) {
        const LABEL: &str = "warning:";
        let text = indent(&self.wrap(&format!("{LABEL} {text}")));
        self.note(text.replacen(LABEL, &self.paint(Paint::Warn, LABEL), 1));
    }

    /// Prints a question to stderr, leaving the cursor behind it.
    pub fn ask(&self, question: &str) {
        // One column is left for the answer.
        let text = hang(question, self.live.then(|| self.width.saturating_sub(2)));
        self.put(Stream::Err, Worth::Result, &format!("{text} "));
    }

    /// Prints a failure to stderr: what, why, what next.
    pub fn fail(&self, failure: &Failure) {
        self.put(Stream::Err, Worth::Result, &self.render(failure));
    }

    /// A failure as text.
    pub fn render(&self, failure: &Failure) -> String {
        let line = |paint, label: &str, text: &str| {
            format!("{} {}\n", self.paint(paint, label), indent(&self.wrap(text)))
        };
        let what = line(Paint::Bad, "error:", &failure.what);
        let whys = failure.why.iter().map(|why| line(Paint::Strong, "why:  ", why));
        let hints = failure.hints.iter().map(|hint| line(Paint::Good, "hint: ", hint));
        std::iter::once(what).chain(whys).chain(hints).collect()
    }

    /// Breaks long lines at spaces where somebody watches; a pipe gets them whole.
    ///
    /// Lines that begin with white space are laid out already, as source lines with carets are.
    fn wrap(&self, text: &str) -> String {
        let room = self.width.saturating_sub(INDENT);
        let wrap = |line: &str| {
            let whole = !self.live || line.starts_with(' ');
            if whole { line.to_owned() } else { break_line(line, room) }
        };
        text.trim_end().split('\n').map(wrap).collect::<Vec<_>>().join("\n")
    }

    /// Colours text for stderr, where colour is on.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        paint.apply(self.color_err, text)
    }

    /// Colours text for stdout, where colour is on.
    pub fn paint_out(&self, paint: Paint, text: &str) -> String {
        paint.apply(self.color_out, text)
    }
}

/// What a colour means. Never the only sign: the words say it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Good,
    Bad,
    Warn,
    Strong,
    Faint,
}

impl Paint {
    /// Wraps `text` in the escape sequence, if `on`.
    pub fn apply(self, on: bool, text: &str) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Strong => "1",
            Self::Faint => "2",
        };
        if on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The columns that `error: `, `why:   ` and `hint:  ` take.
const INDENT: usize = 7;

/// Continuation lines stand under the first one.
fn indent(text: &str) -> String {
    text.replace('\n', &format!("\n{:INDENT$}", ""))
}

/// Breaks a line at spaces so that no part is wider than `room`, where words allow.
fn break_line(line: &str, room: usize) -> String {
    let mut broken = String::new();
    let mut column = 0;
    for word in line.split(' ') {
        let width = columns(word);
        if column > 0 && column + 1 + width > room {
            broken.push('\n');
            column = 0;
        } else if column > 0 {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(word);
        column += width;
    }
    broken
}

/// Breaks each line at spaces, with what follows two columns further in than where the line began.
fn hang(text: &str, width: Option<usize>) -> String {
    const FURTHER: usize = 2;
    let Some(width) = width else { return text.to_owned() };
    let hung = text.split('\n').map(|line| {
        let begins = line.len() - line.trim_start_matches(' ').len();
        let inner = begins + FURTHER;
        if columns(line) <= width || inner >= width {
            return line.to_owned();
        }
        let mut parts = String::new();
        // The first part has the columns that the others are moved in by.
        let first = break_line(&line[begins..], width - begins);
        let (first, rest) = first.split_once('\n').unwrap_or((&first, ""));
        parts.push_str(&line[..begins]);
        parts.push_str(first);
        let rest = break_line(&rest.replace('\n', " "), width - inner);
        for part in rest.split('\n').filter(|part| !part.is_empty()) {
            parts.push('\n');
            parts.push_str(&" ".repeat(inner));
            parts.push_str(part);
        }
        parts
    });
    hung.collect::<Vec<_>>().join("\n")
}

/// The columns that a text takes, whatever its colours.
fn columns(text: &str) -> usize {
    let mut pieces = text.split("\x1b[");
    let plain = pieces.next().map_or(0, |piece| piece.chars().count());
    let painted = pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text));
    plain + painted.map(|text| text.chars().count()).sum::<usize>()
}

/// The width of the terminal on stderr or stdout; 80 where there is none.
pub fn terminal_width() -> usize {
    let sized = |fd: std::os::fd::BorrowedFd<'_>| {
        rustix::termios::tcgetwinsize(fd).ok().map(|size| usize::from(size.ws_col))
    };
    let (out, err) = (std::io::stdout(), std::io::stderr());
    let width = sized(std::os::fd::AsFd::as_fd(&out))
        .or_else(|| sized(std::os::fd::AsFd::as_fd(&err)))
        .filter(|columns| *columns >= 40);
    width.unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn long_lines_are_broken_under_their_label() {
        assert_eq!(break_line("one two three", 7), "one two\nthree");
        assert_eq!(break_line("a-very-long-word b", 5), "a-very-long-word\nb");
        assert_eq!(break_line("\x1b[31mone\x1b[0m two", 7), "\x1b[31mone\x1b[0m two");
    }

    #[test]
    fn sentences_hang_from_where_they_begin() {
        let check = |text: &str, expect: &str| assert_eq!(hang(text, Some(12)), expect);
        check("as it is", "as it is");
        check("two columns further in", "two columns\n  further in");
        check("  it has begun\nnext", "  it has\n    begun\nnext");
        check("a-word-that-is-longer", "a-word-that-is-longer");
        assert_eq!(hang("a pipe gets them whole", None), "a pipe gets them whole");
    }

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let ui = Ui {
            json: false,
            quiet: false,
            color_out: false,
            color_err: false,
            live: false,
            live_out: false,
            width: 80,
            view: View::default(),
        };
        let failure = Failure::new(Code::Unreachable, "the orchestrator does not answer")
            .why("connection refused\n(os error 111)")
            .hint("start it with `ctx serve`");
        assert_eq!(
            ui.render(&failure),
            "error: the orchestrator does not answer\n\
             why:   connection refused\n       (os error 111)\n\
             hint:  start it with `ctx serve`\n"
        );
    }
}
