//! Documents that are made from the code and kept in `docs/`, for those who read without running
//! anything.
//!
//! Law: what is kept is what the code says. Each document has a test that makes it anew and
//! compares; with `CTX_BLESS=1` the test writes it first. What stands above [`MARK`] is written by
//! hand, in the document itself, and stays as it is.
//!
//! A [`Page`] is Markdown that fits: rows of tables cannot be broken, so a row that is too wide is
//! a fault of its text, and what takes more words goes into a list below.

use std::fmt::Write as _;
use std::path::Path;

/// What parts the words of a person from what is made.
const MARK: &str = "<!-- made from the code from here on: CTX_BLESS=1 writes it anew -->\n";

/// The most columns of a line.
const COLUMNS: usize = 120;

/// Compares a kept file with what it should be; writes it first if that is asked for.
#[track_caller]
pub(crate) fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if crate::settings::environment("CTX_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == text, "{path} is stale: run `CTX_BLESS=1 cargo test --lib kept_document`");
}

/// As [`check`], for what stands below [`MARK`].
#[track_caller]
pub(crate) fn check_below_mark(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let (by_hand, _) = kept.split_once(MARK).unwrap_or_else(|| panic!("{path} has the mark"));
    check(path, &format!("{by_hand}{MARK}\n{made}"));
}

/// The anchor that a heading has on GitHub and GitLab.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Markdown that is being written.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// The text, with one new line at its end.
    pub(crate) fn into_text(self) -> String {
        format!("{}\n", self.text.trim_end())
    }

    fn line(&mut self, line: &str) {
        let columns = line.chars().count();
        assert!(columns <= COLUMNS, "{columns} columns are too many: {line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Ends a block: the next one begins after an empty line.
    fn end(&mut self) {
        self.text.push('\n');
    }

    pub(crate) fn heading(&mut self, level: usize, heading: &str) {
        self.line(&format!("{} {heading}", "#".repeat(level)));
        self.end();
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.wrapped(text, "", "");
        self.end();
    }

    pub(crate) fn list<'t>(&mut self, items: impl IntoIterator<Item = &'t String>) {
        let before = self.text.len();
        for item in items {
            self.wrapped(item, "- ", "  ");
        }
        if self.text.len() > before {
            self.end();
        }
    }

    pub(crate) fn block(&mut self, kind: &str, text: &str) {
        self.line(&format!("```{kind}"));
        text.trim_end().lines().for_each(|line| self.line(line));
        self.line("```");
        self.end();
    }

    /// A table, if it has rows.
    pub(crate) fn table<const N: usize>(&mut self, head: [&str; N], rows: &[[String; N]]) {
        if rows.is_empty() {
            return;
        }
        self.line(&row(&head));
        self.line(&format!("|{}", "---|".repeat(N)));
        for cells in rows {
            self.line(&row(cells));
        }
        self.end();
    }

    /// Words on lines that fit, the first after `first`, the others after `others`.
    fn wrapped(&mut self, text: &str, first: &str, others: &str) {
        let (mut line, mut start) = (first.to_owned(), true);
        for word in text.split_whitespace() {
            if !start && line.chars().count() + 1 + word.chars().count() > COLUMNS {
                self.line(&line);
                others.clone_into(&mut line);
                start = true;
            }
            if !start {
                line.push(' ');
            }
            line.push_str(word);
            start = false;
        }
        self.line(&line);
    }
}

/// What of `text` fits at the end of a row after `cells`, in whole sentences or else up to a
/// semicolon, and what is left of it for a list below.
pub(crate) fn divided(cells: &[String], text: &str) -> (String, String) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = |text: &str| {
        let columns = row(cells).chars().count() + row(&[text]).chars().count() - 1;
        columns <= COLUMNS
    };
    let end = |text: &str| text.trim_end_matches('.').to_owned();
    if fits(&end(&text)) {
        return (end(&text), String::new());
    }
    let ends = |mark| text.match_indices(mark).map(|(at, _)| at).filter(|at| fits(&text[..*at]));
    match ends(". ").last().or_else(|| ends("; ").last()) {
        Some(at) => (text[..at].to_owned(), text[at + 2..].to_owned()),
        None => (String::new(), text),
    }
}

fn row<S: AsRef<str>>(cells: &[S]) -> String {
    let mut row = "|".to_owned();
    for cell in cells {
        match cell.as_ref() {
            "" => row.push_str(" |"),
            cell => write!(row, " {} |", cell.replace('|', "\\|")).expect("a string grows"),
        }
    }
    row
}

/// The rows of tables that are written by hand and say `default` in their second column: the first
/// cell of the table's head, the name, and the default. A row may have several of both.
pub(crate) fn defaults(path: &str) -> Vec<(String, String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(file).unwrap();
    let (mut head, mut found) = (None, Vec::new());
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        match cells.as_slice() {
            ["", name, "default", _, ""] => head = Some(plain(name)),
            ["", "---", ..] => {}
            ["", names, values, _, ""] => {
                let Some(head) = &head else { continue };
                let pairs = names.split(", ").zip(values.split(", "));
                found.extend(pairs.map(|(n, v)| (head.clone(), plain(n), plain(v))));
            }
            _ => head = None,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_to_the_next_line_where_they_do_not_fit() {
        let mut page = Page::default();
        page.list([&"word ".repeat(25)]);
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, [format!("- {}", ["word"; 23].join(" ")), "  word word".to_owned()]);
    }

    #[test]
    fn whole_sentences_stay_in_a_row_as_far_as_they_fit() {
        let cells = ["`key`".to_owned()];
        let (short, long) = ("What it is.", "It is longer than a row may be, ".repeat(5));
        assert_eq!(divided(&cells, short), ("What it is".to_owned(), String::new()));
        let (kept, left) = divided(&cells, &format!("{short} {long}"));
        assert_eq!((kept.as_str(), left.as_str()), ("What it is", long.trim_end()));
        assert_eq!(divided(&cells, &long), (String::new(), long.trim_end().to_owned()));
    }

    #[test]
    fn an_anchor_is_what_is_left_of_a_heading() {
        assert_eq!(anchor("`[[phase.step]]`"), "phasestep");
        assert_eq!(anchor("An extension's manifest"), "an-extensions-manifest");
    }
}
