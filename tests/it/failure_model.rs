//! `docs/failure-model.md`: every row is there, and every test that it names is one that runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::markdown::{Document, root};

/// The rows of the failure model: F1 to F32.
const ROWS: usize = 32;

/// Every test that an ordinary run executes, as `module::test`.
fn tests() -> BTreeSet<String> {
    let (mut found, mut files) = (BTreeSet::new(), Vec::new());
    for folder in ["src", "tests/it"] {
        sources(&root().join(folder), &mut files);
        for file in files.drain(..) {
            let module = module(file.strip_prefix(root().join(folder)).unwrap());
            found.extend(of_source(&module, &std::fs::read_to_string(&file).unwrap()));
        }
    }
    found
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// `plan::faults` for `plan/faults.rs`, `plan` for `plan/mod.rs`.
fn module(path: &Path) -> String {
    let words = path.with_extension("");
    let words = words.iter().map(|word| word.to_str().unwrap());
    words.filter(|word| *word != "mod").collect::<Vec<_>>().join("::")
}

/// The tests of one file: a function after its attribute, in the file's own module or in one within.
fn of_source(module: &str, text: &str) -> Vec<String> {
    let (mut within, mut found) = (module.to_owned(), Vec::new());
    let (mut is_test, mut ignored) = (false, false);
    for line in text.lines() {
        let opened = line.strip_suffix(" {").and_then(|line| line.split_once("mod "));
        match opened {
            Some((before, inner)) if before.is_empty() || before.starts_with("pub") => {
                within = format!("{module}::{inner}");
            }
            _ if line == "}" => module.clone_into(&mut within),
            _ => {}
        }
        let line = line.trim_start();
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        ignored |= line.starts_with("#[ignore");
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some((name, _)) = function.and_then(|rest| rest.split_once('(')) {
            if is_test && !ignored {
                found.push(format!("{within}::{name}"));
            }
            (is_test, ignored) = (false, false);
        }
    }
    found
}

/// What is between backticks and looks like `module::test`.
fn named(section: &Document) -> Vec<String> {
    let spans = section.code_spans().into_iter();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    spans.filter(|span| span.contains("::") && span.chars().all(plain)).collect()
}

#[test]
fn every_fault_names_tests_that_exist_or_says_why_there_is_none() {
    let document = Document::read("docs/failure-model.md");
    let headings = document.text.lines().filter_map(|line| line.strip_prefix("## "));
    let headings: Vec<_> = headings.collect();
    let rows: Vec<_> = headings.iter().filter_map(|h| h.split_once(": ")).collect();
    let expected: Vec<_> = (1..=ROWS).map(|n| format!("F{n}")).collect();
    assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), expected);
    let tests = tests();
    assert!(tests.len() > 600, "only {} tests are found", tests.len());
    for heading in headings {
        let section = document.section(heading);
        let named = named(&section);
        let excused = section.text.contains("\nNo test: ");
        assert!(excused == named.is_empty(), "{heading}: tests, or `No test: ` and why");
        for test in named {
            assert!(tests.contains(&test), "{heading}: there is no test `{test}`");
        }
    }
}

#[test]
fn every_limit_names_tests_that_exist() {
    let document = Document::read("docs/transport.md");
    let tests = tests();
    let mut shown = 0;
    // A rule is an item of a list; the tests that show it are its last lines.
    for rule in document.text.split("\n- ").skip(1) {
        let rule = rule.split("\n\n").next().unwrap();
        let names = rule.split('`').filter(|name| name.contains("::") && !name.contains('/'));
        let names: Vec<_> = names.collect();
        assert!(!names.is_empty(), "no test shows {rule}");
        for name in names {
            assert!(tests.contains(name), "there is no test `{name}`");
        }
        shown += 1;
    }
    assert!(shown >= 40, "only {shown} rules are found");
}

#[test]
fn a_test_is_a_function_with_its_attribute_that_runs() {
    let text = "#[test]\nfn one() {}\n\nfn helper() {}\n\n#[tokio::test]\n#[ignore = \"slow\"]\n\
        async fn two() {}\n\n#[cfg(test)]\nmod tests {\n    #[tokio::test(start_paused = true)]\n    \
        async fn three() {\n        fn inner() {}\n    }\n}\n\n#[test]\nfn four() {}\n";
    assert_eq!(of_source("a::b", text), ["a::b::one", "a::b::tests::three", "a::b::four"]);
    assert_eq!(module(Path::new("kills/mod.rs")), "kills");
    assert_eq!(module(Path::new("plan/faults.rs")), "plan::faults");
}
