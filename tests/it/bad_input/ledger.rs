//! Ledgers that are damaged, or none.

use ctx::error::Code;
use insta::assert_snapshot;
use rusqlite::Connection;

use crate::shop::{LEDGER, Shop, redact};

/// Spoils the ledger of a shop whose first phase is confirmed; then nothing may change, neither
/// at the orchestrator nor in the file. Gives what each command says.
#[track_caller]
fn spoilt(spoil: impl FnOnce(&std::path::Path), commands: &[&[&str]]) -> String {
    let shop = Shop::with_first_phase();
    let path = shop.test.path(LEDGER);
    spoil(&path);
    let (bytes, head) = (std::fs::read(&path).unwrap(), shop.serve.state().head);
    let mut said = Vec::new();
    for command in commands {
        let ran = shop.ctx(command).exits(Code::LedgerDamaged);
        said.push(format!("$ ctx {}\n{}", command.join(" "), redact(&shop.test, &ran.stderr)));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the file is evidence: {command:?}");
    }
    assert_eq!(shop.serve.state().head, head, "nothing was changed");
    said.concat()
}

const MIGRATE: &[&str] = &["migrate", "phase", "2", "--yes"];

#[test]
fn a_file_that_is_no_ledger() {
    let garbage =
        |path: &std::path::Path| std::fs::write(path, "not a ledger\n".repeat(500)).unwrap();
    assert_snapshot!(spoilt(garbage, &[MIGRATE, &["status"], &["rollback", "--yes"]]), @"
    $ ctx migrate phase 2 --yes
    error: `.ctx/ledger.sqlite3` is not a ledger: it is not an SQLite database
    hint:  name the ledger with `--ledger PATH`; this file is left as it is
    hint:  `ctx help 42`
    $ ctx status
    error: `.ctx/ledger.sqlite3` is not a ledger: it is not an SQLite database
    hint:  name the ledger with `--ledger PATH`; this file is left as it is
    hint:  `ctx help 42`
    $ ctx rollback --yes
    error: `.ctx/ledger.sqlite3` is not a ledger: it is not an SQLite database
    hint:  name the ledger with `--ledger PATH`; this file is left as it is
    hint:  `ctx help 42`
    ");
}

#[test]
fn an_empty_file() {
    let empty = |path: &std::path::Path| std::fs::write(path, "").unwrap();
    assert_snapshot!(spoilt(empty, &[MIGRATE]), @"
    $ ctx migrate phase 2 --yes
    error: `.ctx/ledger.sqlite3` is not a ledger: it was not made by ctx
    hint:  name the ledger with `--ledger PATH`; this file is left as it is
    hint:  `ctx help 42`
    ");
}

#[test]
fn one_flipped_byte() {
    let flip = |path: &std::path::Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let word = b"\"step_soaked\"";
        let word: &[u8] =
            if bytes.windows(word.len()).any(|w| w == word) { word } else { b"cache-reads" };
        let at = bytes.windows(word.len()).rposition(|w| w == word).expect("the step is in it");
        bytes[at + 2] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let said = spoilt(flip, &[MIGRATE, &["ledger", "verify"]]);
    // Which entry lies where in the file is SQLite's business.
    let number = |c: char| c.is_ascii_digit();
    let said: Vec<_> = said.split("entry ").map(|part| part.trim_start_matches(number)).collect();
    assert_snapshot!(said.join("entry N"), @"
    $ ctx migrate phase 2 --yes
    error: the ledger `.ctx/ledger.sqlite3` is damaged: entry N is not the one that was written: its time, run, kind, body, hash or place was changed
    hint:  keep the file as it is: it is evidence; nothing is written to it any more; `ctx ledger verify` says more
    hint:  to go on, `ctx ledger rebuild --from-orchestrator` makes a new ledger of what the orchestrator knows; name it with `--ledger PATH` from then on
    hint:  `ctx help 42`
    $ ctx ledger verify
    error: the ledger `.ctx/ledger.sqlite3` is damaged: 1 fault
    why:   entry N is not the one that was written: its time, run, kind, body, hash or place was changed
    hint:  keep the file as it is: it is evidence; compare it with a copy or an export
    hint:  entries before the first fault are proven; what follows it is not
    hint:  to go on, `ctx ledger rebuild --from-orchestrator` makes a new ledger of what the orchestrator knows; name it with `--ledger PATH` from then on
    hint:  `ctx help 42`
    ");
}

#[test]
fn a_file_that_was_cut_off() {
    let cut = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let said = spoilt(cut, &[MIGRATE]);
    assert!(said.contains("is damaged"), "{said}");
    assert!(said.contains("keep the file as it is"), "{said}");
}

#[test]
fn a_ledger_of_a_newer_ctx() {
    let newer = |path: &std::path::Path| {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
    };
    assert_snapshot!(spoilt(newer, &[MIGRATE, &["history"]]), @"
    $ ctx migrate phase 2 --yes
    error: the ledger `.ctx/ledger.sqlite3` has format 99, and this ctx knows formats up to 1
    hint:  use the ctx that wrote it, or a newer one
    hint:  `ctx help 42`
    $ ctx history
    error: the ledger `.ctx/ledger.sqlite3` has format 99, and this ctx knows formats up to 1
    hint:  use the ctx that wrote it, or a newer one
    hint:  `ctx help 42`
    ");
}

#[test]
fn a_folder_in_the_ledgers_place() {
    let folder = |path: &std::path::Path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    };
    let shop = Shop::with_first_phase();
    folder(&shop.test.path(LEDGER));
    let ran = shop.ctx(MIGRATE).exits(Code::LedgerDamaged);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: `.ctx/ledger.sqlite3` is not a ledger: it is not a regular file
    hint:  name the ledger with `--ledger PATH`; this file is left as it is
    hint:  `ctx help 42`
    ");
}
