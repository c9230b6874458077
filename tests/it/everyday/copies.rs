//! `ctx ledger import`: a copy of the evidence, or nothing.

use std::io::Write;
use std::process::Stdio;

use ctx::error::Code;

use crate::desk::Desk;

/// The export of a ledger with a history.
fn export(desk: &Desk) -> String {
    desk.told(&["ledger", "export"])
}

/// Imports `text` into `copy.sqlite3`; the exit code, and what was said about it.
fn import(desk: &Desk, text: &str) -> (i32, String) {
    std::fs::write(desk.path().join("export.jsonl"), text).unwrap();
    let output = desk.ctx(&["ledger", "import", "export.jsonl", "--ledger", "copy.sqlite3"]);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_copy_is_the_same_evidence() {
    let desk = Desk::with_history();
    let text = export(&desk);
    let (code, said) = import(&desk, &text);
    assert_eq!(code, 0, "{said}");
    let of = |path: &str| desk.told(&["ledger", "export", "--ledger", path]);
    // The size of the file is not evidence.
    let entries = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(entries(&of("copy.sqlite3")), entries(&text));
    let verified = desk.told(&["ledger", "verify", "--ledger", "copy.sqlite3"]);
    assert_eq!(verified, desk.told(&["ledger", "verify"]));
    let told = |path: &str| desk.told(&["status", "--ledger", path]);
    assert_eq!(told("copy.sqlite3"), told(".ctx/ledger.sqlite3"));
}

#[test]
fn a_pipe_will_do() {
    let desk = Desk::with_history();
    let text = export(&desk);
    let mut command = desk.command(&["ledger", "import", "-", "--ledger", "copy.sqlite3"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(desk.path().join("copy.sqlite3").exists());
}

#[test]
fn an_export_that_was_tampered_with_makes_no_ledger() {
    let desk = Desk::with_history();
    let text = export(&desk);
    let lines: Vec<&str> = text.lines().collect();
    let joined = |lines: &[&str]| format!("{}\n", lines.join("\n"));
    let edited = text.replacen("mara", "nora", 1);
    assert_ne!(edited, text);
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let cases = [
        (edited, "its hash does not follow"),
        (joined(&[&lines[..4], &lines[5..]].concat()), "entry 5 follows entry 3"),
        (joined(&swapped), "entry 4 follows entry 2"),
        (joined(&lines[..lines.len() - 1]), "and should end with entry"),
        (joined(&lines[1..]), "it does not say which ledger it is"),
        ("{}\n".to_owned(), "line 1 of the export: it is no line of an export"),
        (text.replacen("\"uuid\":\"", "\"uuid\":\"zz", 1), "its uuid is not 32 hex digits"),
    ];
    for (text, why) in cases {
        let (code, said) = import(&desk, &text);
        assert_eq!(code, i32::from(Code::LedgerDamaged.number()), "{why}: {said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why), "`{why}` in {said}");
        assert!(!desk.path().join("copy.sqlite3").exists(), "{why}");
    }
}

#[test]
fn a_ledger_that_is_there_is_left_alone() {
    let desk = Desk::with_history();
    std::fs::write(desk.path().join("copy.sqlite3"), "mine").unwrap();
    let (code, said) = import(&desk, &export(&desk));
    assert_eq!(code, i32::from(Code::Refused.number()), "{said}");
    assert_eq!(std::fs::read(desk.path().join("copy.sqlite3")).unwrap(), b"mine");
}
