//! What the documents say is so: commands, plans, exit codes, links, and sample output.

use std::collections::BTreeMap;

use clap::error::ErrorKind;
use ctx::plan;

use crate::support::Test;
use crate::support::markdown::{Document, accepted, root, words};

/// The columns of a document's lines.
const COLUMNS: usize = 120;

/// What a line of a `sh` block may begin with, besides `ctx`.
const PROGRAMS: [&str; 9] = [
    "cargo",
    "curl",
    "export",
    "jq",
    "printf",
    "python3",
    "target/venv/bin/pip",
    "target/venv/bin/uvicorn",
    "umask",
];

/// What is wrong with a command that is only named.
const LACKING: [ErrorKind; 3] = [
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
];

/// The arguments of `ctx` in a line of a `sh` block, if it is one of ctx.
fn of_ctx(line: &str) -> Option<Vec<String>> {
    let through_cargo = line.strip_prefix("cargo run --release -- ");
    let line = through_cargo.map_or_else(|| line.to_owned(), |rest| format!("ctx {rest}"));
    line.starts_with("ctx ").then(|| words(&line))
}

#[test]
fn every_command_is_one() {
    for document in Document::all() {
        let path = document.path.display();
        let shell: Vec<_> = document.blocks().into_iter().filter(|b| b.kind == "sh").collect();
        for line in shell.iter().flat_map(|block| block.text.lines()) {
            if let Some(command) = of_ctx(line) {
                accepted(&command).unwrap_or_else(|error| panic!("{path}: `{line}`: {error}"));
            } else {
                let program = line.split(' ').next().unwrap();
                assert!(PROGRAMS.contains(&program), "{path}: `{line}` is not checked");
            }
            let files = words(line).into_iter().filter(|word| {
                ["plans/", "tests/", "docs/"].iter().any(|folder| word.starts_with(folder))
            });
            for file in files {
                assert!(root().join(&file).exists(), "{path}: `{line}`: there is no {file}");
            }
        }
        for span in document.code_spans() {
            // `ctx ledger verify` is a command, `ctx.toml` and `ctx migrate ...` are not.
            if !span.starts_with("ctx ") || span.contains("...") {
                continue;
            }
            match accepted(&words(&span)) {
                // A name may stand for a command that needs more than its name.
                Err(error) if !LACKING.contains(&error.kind()) => panic!("{path}: {error}"),
                _ => {}
            }
        }
    }
}

#[test]
fn every_plan_is_one_and_real() {
    let contexten = std::fs::read_to_string(root().join("plans/contexten.toml")).unwrap();
    let readme = Document::read("README.md");
    let blocks = readme.blocks();
    let plans: Vec<_> = blocks.iter().filter(|block| block.kind == "toml").collect();
    assert!(!plans.is_empty());
    for block in plans {
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        if let Err(faults) = plan::parse("README.md", &block.text, &none) {
            panic!("{faults:#?}");
        }
        for line in block.text.lines().filter(|line| !line.contains("criteria")) {
            assert!(contexten.lines().any(|real| real == line), "`{line}` is not in the plan");
        }
    }
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    let source = std::fs::read_to_string(root().join("src/error/code.rs")).unwrap();
    let mut codes = BTreeMap::new();
    let mut meaning = "";
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/// ") {
            meaning = comment.trim_end_matches('.');
        } else if let Some((variant, number)) = line.split_once(" = ")
            && let Ok(number) = number.trim_end_matches(',').parse::<u8>()
        {
            codes.insert(number, (variant, meaning));
        }
    }
    assert_eq!(codes.len(), 21, "{codes:?}");
    let readme = Document::read("README.md");
    let mut told = BTreeMap::new();
    for line in readme.text.lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [number, name, meaning] = cells[..]
            && let Ok(number) = number.parse::<u8>()
        {
            told.insert(number, (name.trim_matches('`'), meaning));
        }
    }
    assert_eq!(told.keys().collect::<Vec<_>>(), codes.keys().collect::<Vec<_>>());
    for (number, (variant, meaning)) in codes {
        let (name, told) = told[&number];
        assert_eq!(told, meaning, "{number}");
        let says = format!("Self::{variant} => \"{name}\",");
        assert!(source.contains(&says), "{number} is not named `{name}`");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in Document::all() {
        for to in document.links() {
            let path = document.path.display();
            assert!(root().join(&to).exists(), "{path} links to {}", to.display());
        }
    }
}

#[test]
fn lines_fit() {
    for document in Document::all() {
        for (n, line) in (1..).zip(document.text.lines()) {
            let columns = line.chars().count();
            // A hash in a table cannot be broken.
            if line.starts_with('|') && line.split([' ', '`']).any(|word| word.len() == 64) {
                continue;
            }
            assert!(columns <= COLUMNS, "{}:{n} has {columns} columns", document.path.display());
        }
    }
}

#[test]
fn a_check_of_the_plan_prints_what_is_shown() {
    let plan = root().join("plans/contexten.toml");
    let told = Test::new().run(&["plan", "check", plan.to_str().unwrap()]).stdout;
    let told = told.replace(&format!("{}/", root().display()), "");
    let readme = Document::read("README.md");
    assert!(readme.blocks().iter().any(|block| block.text == told.trim_end()), "{told}");
}

#[test]
fn the_rehearsal_is_of_the_size_that_is_told() {
    let text = Document::read("README.md").text;
    let loaded = plan::load(&root().join("plans/contexten.toml")).unwrap();
    let hours = loaded.plan.soak_total().as_secs() / 3600;
    assert!(text.contains(&format!("{hours} hours of soaking")), "{hours} hours");
    assert_eq!(loaded.plan.phases.len(), 4);
    let budget = ctx::rehearsal::BUDGET.as_secs();
    assert!(text.contains(&format!("into {budget} seconds")), "{budget} seconds");
}
