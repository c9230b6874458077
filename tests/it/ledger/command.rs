//! `ctx ledger`, as an operator and a script meet it.

use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::Value;

use super::reading::files;
use super::with_history;

fn ctx(folder: &Path, args: &str) -> Output {
    let path = folder.join("ledger.sqlite3");
    Command::new(env!("CARGO_BIN_EXE_ctx"))
        .args(args.split(' '))
        .arg("--ledger")
        .arg(path)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8], folder: &Path) -> String {
    String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "DIR")
}

#[test]
fn a_sound_ledger_is_verified_described_and_exported_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let last = with_history(&dir.path().join("ledger.sqlite3"));
    let before = files(dir.path());
    let verify = ctx(dir.path(), "ledger verify");
    assert_eq!(verify.status.code(), Some(0), "{verify:?}");
    let said = text(&verify.stdout, dir.path());
    assert!(said.starts_with(&format!("the ledger is intact: {last} entries, head ")), "{said}");

    let info: Value =
        serde_json::from_slice(&ctx(dir.path(), "ledger info --json").stdout).unwrap();
    assert_eq!(info["entries"], last);
    assert!(said.contains(info["head"].as_str().unwrap()));

    let export = text(&ctx(dir.path(), "ledger export").stdout, dir.path());
    let lines: Vec<Value> =
        export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, last + 1);
    assert_eq!((&lines[0]["type"], &lines[0]["uuid"]), (&"ledger".into(), &info["uuid"]));
    assert_eq!(proven(&lines), info["head"].as_str().unwrap());
    assert_eq!(files(dir.path()), before);
}

/// The head that an export comes to, by the description in docs/ledger-format.md alone.
fn proven(lines: &[Value]) -> String {
    use sha2::{Digest, Sha256};
    let text = |text: &str| [&(text.len() as u64).to_be_bytes(), text.as_bytes()].concat();
    let uuid = lines[0]["uuid"].as_str().unwrap();
    let mut hash = Sha256::digest([b"ctx.ledger.genesis.1\0", &text(uuid)[..]].concat());
    for entry in &lines[1..] {
        let run = entry["run"].as_str().map(|run| [&[1], &text(run)[..]].concat());
        let encoded = [
            b"ctx.ledger.entry.1\0",
            &hash[..],
            &entry["seq"].as_u64().unwrap().to_be_bytes(),
            &entry["at_ms"].as_i64().unwrap().to_be_bytes(),
            &run.unwrap_or(vec![0]),
            &text(entry["kind"].as_str().unwrap()),
            &text(&entry["body"].to_string()),
        ];
        hash = Sha256::digest(encoded.concat());
        assert_eq!(entry["hash"], hex::encode(hash));
    }
    hex::encode(hash)
}

#[test]
fn a_damaged_ledger_exits_with_42_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    with_history(&path);
    let connection = Connection::open(&path).unwrap();
    let sql: String = connection
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'entry_is_never_changed'", [], |r| {
            r.get(0)
        })
        .unwrap();
    connection.execute_batch("DROP TRIGGER entry_is_never_changed").unwrap();
    connection.execute_batch("UPDATE entry SET at_ms = at_ms + 1 WHERE seq = 12").unwrap();
    connection.execute_batch(&sql).unwrap();
    drop(connection);

    let verify = ctx(dir.path(), "ledger verify");
    assert_eq!(verify.status.code(), Some(42));
    assert_eq!(
        text(&verify.stderr, dir.path()),
        "error: the ledger `DIR/ledger.sqlite3` is damaged: 1 fault\n\
         why:   entry 12 is not the one that was written: its time, run, kind, body, hash or place \
         was changed\n\
         hint:  keep the file as it is: it is evidence; compare it with a copy or an export\n\
         hint:  entries before the first fault are proven; what follows it is not\n\
         hint:  to go on, `ctx ledger rebuild --from-orchestrator` makes a new ledger of what the \
         orchestrator knows; name it with `--ledger PATH` from then on\n\
         hint:  `ctx help 42`\n"
    );
    let verify = ctx(dir.path(), "ledger verify --json");
    assert_eq!(verify.status.code(), Some(42));
    let found: Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(found["faults"][0], serde_json::json!({"fault": "changed", "seq": 12}));
}

#[test]
fn no_ledger_is_a_plain_failure() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["verify", "info", "export", "rebuild"] {
        let output = ctx(dir.path(), &format!("ledger {command}"));
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        let said = text(&output.stderr, dir.path());
        assert!(said.starts_with("error: there is no ledger at `DIR/ledger.sqlite3`\n"), "{said}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}
