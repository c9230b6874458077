//! What is wrong with a plan, and where.
//!
//! Readers and rules put what they find into [`Faults`] and go on, so that one look at a plan
//! finds everything. A fault keeps the line it is about, so that it can be shown without the
//! file. What may be a secret is covered before it gets here: see [`Faults::covered`].

use std::cell::RefCell;
use std::fmt;

use toml::Spanned;

use super::source::{Excerpt, Source, Span};
use crate::error::did_you_mean;

/// What stands for a value that is not shown.
const COVER: &str = "\"...\"";

/// The most names that a hint lists.
const LISTED: usize = 24;

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The source line and what of it is meant.
    pub(super) excerpt: String,
    pub(super) mark: Span,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl Fault {
    /// A fault of a file as a whole, such as one that cannot be read.
    pub(super) fn of_file(file: &str, message: String, hint: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message,
            hint: Some(hint.to_owned()),
            excerpt: String::new(),
            mark: 0..0,
        }
    }
}

/// The faults found in one file so far.
///
/// A `RefCell`, because readers of disjoint tables all report here and none of them keeps a
/// borrow.
#[derive(Debug)]
pub(super) struct Faults<'s> {
    source: &'s Source<'s>,
    found: RefCell<Vec<(usize, Fault)>>,
    /// Whether the text is broken, so that what is missing may be what could not be recovered.
    broken: bool,
}

impl<'s> Faults<'s> {
    pub(super) fn new(source: &'s Source<'s>) -> Self {
        Self { source, found: RefCell::default(), broken: false }
    }

    /// Reports what is no TOML.
    pub(super) fn syntax(&mut self, errors: &[toml::de::Error]) {
        for error in errors {
            let message = error.message().trim_end_matches('.').replace('\n', ", ");
            self.push(error.span().unwrap_or(0..0), message);
        }
        self.broken = !errors.is_empty();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The line that `span` begins on, from 1.
    pub(super) fn line(&self, span: &Span) -> u32 {
        u32::try_from(self.source.line(span.start)).unwrap_or(u32::MAX)
    }

    /// The name of the file, as the user knows it.
    pub(super) fn file(&self) -> &'s str {
        self.source.name
    }

    pub(super) fn push(&self, at: Span, message: impl Into<String>) {
        self.add(&at, &message.into(), None);
    }

    pub(super) fn hinted(&self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(&at, &message.into(), Some(&hint.into()));
    }

    /// A name that is none of `known`; suggests the nearest, or lists them after `lead`.
    pub(super) fn unknown(&self, at: Span, what: &str, given: &str, known: &[&str], lead: &str) {
        let hint = match did_you_mean(given, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there is none".to_owned(),
            None => {
                let more = if known.len() > LISTED { ", ..." } else { "" };
                format!("{lead}: {}{more}", listed(&known[..known.len().min(LISTED)]))
            }
        };
        self.hinted(at, format!("unknown {what} `{given}`"), hint);
    }

    /// As [`Faults::hinted`], for a value that may be a secret put there by mistake: shows the
    /// line without it.
    pub(super) fn covered(&self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.hinted(at, message, hint);
        if let Some((_, fault)) = self.found.borrow_mut().last_mut() {
            fault.excerpt.truncate(fault.mark.start);
            fault.excerpt.push_str(COVER);
            fault.mark.end = fault.excerpt.len();
        }
    }

    /// An unknown key of a table. Its value is covered: the key may be a misspelt `token`.
    pub(super) fn unknown_key(&self, at: Span, key: &str, known: &[&str]) {
        self.unknown(at, "key", key, known, "known keys");
        if let Some((_, fault)) = self.found.borrow_mut().last_mut() {
            fault.excerpt.truncate(fault.mark.end);
            fault.excerpt.push_str(" = ");
            fault.excerpt.push_str(COVER);
        }
    }

    /// Takes over faults of another file that this one names at `at`.
    pub(super) fn adopt(&self, at: &Span, faults: Vec<Fault>) {
        self.found.borrow_mut().extend(faults.into_iter().map(|fault| (at.start, fault)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// All of them, in the order of the text, each once.
    pub(super) fn into_sorted(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, fault)| (*at, fault.line, fault.column));
        let mut faults: Vec<Fault> = found.into_iter().map(|(_, fault)| fault).collect();
        faults.dedup();
        faults
    }

    fn add(&self, at: &Span, message: &str, hint: Option<&str>) {
        let Excerpt { line, column, text, mark } = self.source.excerpt(at);
        let (excerpt, mark) = cover(text, mark);
        let fault = Fault {
            file: self.source.name.to_owned(),
            line,
            column,
            message: printable(message),
            hint: hint.map(printable),
            excerpt,
            mark,
        };
        self.found.borrow_mut().push((at.start, fault));
    }
}

/// Covers what follows a key that sounds like a secret, unless it is a reference to one: a line
/// may be shown for any fault on it.
fn cover(text: String, mark: Span) -> (String, Span) {
    let lower = text.to_ascii_lowercase();
    let words =
        ["token", "secret", "passw", "authorization", "cookie", "api-key", "webhook", "pagerduty"];
    let key = words.iter().filter_map(|word| lower.find(word)).min();
    let Some(equals) = key.and_then(|key| lower[key..].find('=').map(|at| key + at + 1)) else {
        return match credentials(&text) {
            Some(at) => {
                let covered = format!("{}...", &text[..at]);
                let end = mark.end.min(covered.len());
                (covered, mark.start.min(end)..end)
            }
            None => (text, mark),
        };
    };
    let value = text[equals..].trim_start().trim_start_matches(['"', '\'']);
    if value.starts_with("env:") || value.starts_with("file:") {
        return (text, mark);
    }
    let covered = format!("{} {COVER}", &text[..equals]);
    let end = mark.end.min(covered.len());
    (covered, mark.start.min(end)..end)
}

/// Where the credentials of a URL begin.
fn credentials(text: &str) -> Option<usize> {
    text.match_indices("://").map(|(at, colon)| at + colon.len()).find(|at| {
        let authority = text[*at..].split(['/', '?', '#', '"', '\'', ' ']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    })
}

/// Control characters, spelt out: a message goes to a terminal.
fn printable(text: &str) -> String {
    let spell = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(spell).collect()
}

/// `a`, `b`, `c`, in backticks.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

/// A value where it was read.
pub(super) trait At<T> {
    /// The same place with another value.
    fn with<U>(&self, value: U) -> Spanned<U>;
}

impl<T> At<T> for Spanned<T> {
    fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned::new(self.span(), value)
    }
}
