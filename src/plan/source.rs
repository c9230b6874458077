//! The text of a plan, and where a byte of it stands.

use std::ops::Range;

/// A range of bytes of a source text.
pub(super) type Span = Range<usize>;

/// The most characters of a line that a message shows.
const EXCERPT: usize = 160;

/// A named text with its line starts.
#[derive(Debug)]
pub(super) struct Source<'s> {
    /// As the user knows the file.
    pub(super) name: &'s str,
    pub(super) text: &'s str,
    /// The byte that each line begins at.
    starts: Vec<usize>,
}

/// The part of a source that a fault is about, small enough to be kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// The line, or the part of a long line around the span.
    pub(super) text: String,
    /// What of `text` is meant, in bytes.
    pub(super) mark: Span,
}

impl<'s> Source<'s> {
    pub(super) fn new(name: &'s str, text: &'s str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { name, text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The line that byte `at` stands on, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The line of `span`'s first byte, with the span marked as far as it stays on that line.
    pub(super) fn excerpt(&self, span: &Span) -> Excerpt {
        let start = self.floor(span.start);
        let line = self.line(start);
        let first = self.starts[line - 1];
        let last = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let whole = self.text[first..last].trim_end_matches('\r');
        let at = (start - first).min(whole.len());
        let end = self.floor(span.end).saturating_sub(first).clamp(at, whole.len());
        let column = whole[..at].chars().count() + 1;
        // A long line is cut around the mark, and never in the middle of a character.
        let long = forth(whole, 0, EXCERPT) < whole.len();
        let from = if long { back(whole, at, EXCERPT / 4) } else { 0 };
        let to = forth(whole, from, EXCERPT);
        let text = whole[from..to].to_owned();
        Excerpt { line, column, mark: at - from..end.min(to) - from, text }
    }

    /// `at`, or the nearest character boundary before it.
    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// The byte `count` characters before `at`, or 0.
fn back(text: &str, at: usize, count: usize) -> usize {
    text[..at].char_indices().rev().take(count).last().map_or(at, |(byte, _)| byte)
}

/// The byte `count` characters after `at`, or the end.
fn forth(text: &str, at: usize, count: usize) -> usize {
    text[at..].char_indices().nth(count).map_or(text.len(), |(byte, _)| at + byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_found_on_its_line() {
        let source = Source::new("a.toml", "ä = 1\r\nbb = [\n 2]\n");
        let seen = source.excerpt(&(13..17));
        assert_eq!((seen.line, seen.column), (2, 6));
        assert_eq!((seen.text.as_str(), seen.mark), ("bb = [", 5..6));
        assert_eq!(source.excerpt(&(0..2)).mark, 0..2);
        assert_eq!(source.excerpt(&(500..900)).line, 4);
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{}X{}", "é".repeat(5000), "ü".repeat(5000));
        let seen = Source::new("a.toml", &text).excerpt(&(10_000..10_001));
        assert_eq!(seen.column, 5001);
        assert_eq!(seen.text.chars().count(), EXCERPT);
        assert_eq!(&seen.text[seen.mark], "X");
    }
}
