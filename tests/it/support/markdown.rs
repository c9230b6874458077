//! The documents of the repository, and what of them can be checked.

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
use ctx::cli::Cli;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Markdown file of the repository.
#[derive(Debug)]
pub(crate) struct Document {
    /// Relative to the root.
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// What the fence says it is: `sh`, `toml`, `text`.
    pub kind: String,
    pub text: String,
}

impl Document {
    /// Reads one document.
    #[track_caller]
    pub(crate) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// Every document: those at the root, and those in `docs/`.
    pub(crate) fn all() -> Vec<Self> {
        let folders = [PathBuf::new(), PathBuf::from("docs")];
        let files = folders.iter().flat_map(|folder| {
            let entries = std::fs::read_dir(root().join(folder)).unwrap();
            entries.map(|entry| folder.join(entry.unwrap().file_name()))
        });
        let mut markdown: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
        markdown.sort();
        markdown.into_iter().map(Self::read).collect()
    }

    /// The part under a heading of the second level.
    #[track_caller]
    pub(crate) fn section(&self, heading: &str) -> Self {
        let begin = self.text.split_once(&format!("\n## {heading}\n")).expect("it has the heading");
        let text = begin.1.split("\n## ").next().unwrap_or_default().to_owned();
        Self { path: self.path.clone(), text }
    }

    /// The fenced blocks, in order.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else { continue };
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { kind: kind.to_owned(), text: body.join("\n") });
        }
        blocks
    }

    /// The text between backticks, outside of fenced blocks.
    pub(crate) fn code_spans(&self) -> Vec<String> {
        let mut inside = false;
        let outside = self.text.lines().filter(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        });
        let text = outside.collect::<Vec<_>>().join("\n");
        let odd = text.split('`').skip(1).step_by(2);
        let spans = odd.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
        spans.collect()
    }

    /// Where the links of the document lead, as far as they stay in the repository.
    pub(crate) fn links(&self) -> Vec<PathBuf> {
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets.filter(|to| !to.contains("://") && !to.starts_with('#'));
        let folder = self.path.parent().unwrap_or(Path::new(""));
        local.map(|to| folder.join(to.split('#').next().unwrap_or(to))).collect()
    }
}

/// The words of a command line: split at spaces outside of quotes, up to a comment, a redirection
/// or a pipe.
pub(crate) fn words(line: &str) -> Vec<String> {
    let ends = [" #", " > ", " < ", " | "];
    let line = ends.iter().fold(line, |line, end| line.split(end).next().unwrap_or(line));
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whether `ctx` accepts a command line; asking for help is accepted too.
///
/// # Errors
/// As clap says it.
pub(crate) fn accepted(words: &[String]) -> Result<(), clap::Error> {
    match Cli::try_parse_from(words) {
        Err(error) if ![DisplayHelp, DisplayVersion].contains(&error.kind()) => Err(error),
        _ => Ok(()),
    }
}

/// Checks that each line of a sample, but `...`, is printed, in the same order. Numbers, times and
/// ids may differ.
#[track_caller]
pub(crate) fn prints(printed: &str, sample: &str) {
    let mut lines = printed.lines().map(redacted);
    for line in sample.lines().filter(|line| *line != "...") {
        let found = lines.any(|printed| printed == redacted(line));
        assert!(found, "`{line}` is not printed, or not in this place, by:\n{printed}");
    }
}

/// A line with `#` for everything that has a digit in it.
fn redacted(line: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
    let mut text = String::new();
    let mut rest = line.trim_end();
    while !rest.is_empty() {
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let digits = word.contains(|c: char| c.is_ascii_digit());
        text.push_str(if digits { "#" } else { word });
        let mut chars = after.chars();
        text.extend(chars.next());
        rest = chars.as_str();
    }
    text
}
