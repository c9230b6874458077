//! What is typed.

use std::io::Read;
use std::process::Stdio;

use ctx::error::Code;
use insta::assert_snapshot;
use serde_json::Value;

use crate::shop::{LEDGER, Shop, desk, facts, redact};
use crate::support::Test;

/// Nobody listens on port 1.
const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn an_unknown_command_names_the_near_one() {
    let ran = Test::new().run(&["migrat", "phase", "1"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"
    error: unrecognized subcommand 'migrat'

      tip: a similar subcommand exists: 'migrate'

    Usage: ctx [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn an_unknown_flag_names_the_near_one() {
    let ran = Test::new().run(&["migrate", "phase", "1", "--dryrun"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"
    error: unexpected argument '--dryrun' found

      tip: a similar argument exists: '--dry-run'

    Usage: ctx migrate phase --dry-run <N|ID>

    For more information, try '--help'.
    ");
}

#[test]
fn a_wrong_command_line_is_json_too() {
    let ran = Test::new().run(&["migrate", "phase", "1", "--dryrun", "--json"]).exits(Code::Usage);
    assert_eq!(ran.json()["exit_code"], 2, "{ran:?}");
}

#[test]
fn no_command_is_help() {
    let ran = Test::new().run(&[]).exits(Code::Usage);
    assert!(ran.stderr.contains("Usage: ctx [OPTIONS] <COMMAND>"), "{ran:?}");
}

#[test]
fn without_a_plan_it_says_how_to_name_one() {
    let ran = Test::new().run(&["migrate", "phase", "1"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"
    error: no plan is named
    why:   there is not exactly one `.toml` file in `plans/`, and none in `ctx.toml`
    hint:  name it: `--plan plans/NAME.toml`, or set `plan` in `ctx.toml`
    ");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["migrate", "phase", "1"], Code::NeedsConfirmation), @"
    phase 1 of 2, caching: Cached reads
      1 step, soaking 10ms in all, under 0 guards; a failed check rolls this phase back
    error: a confirmation is needed
    why:   Run phase 1 `caching` on http://127.0.0.1:PORT?
    hint:  say `--yes`
    hint:  `ctx help 44`
    ");
}

#[test]
fn settings_with_a_fault_are_refused() {
    let test = desk(NOWHERE).file("ctx.toml", "plan = 7\nlegder = \"x\"\n");
    let ran = test.run(&["status"]).exits(Code::Usage);
    assert_snapshot!(redact(&test, &ran.stderr), @r#"
    error: failed to read settings in `ctx.toml`
    why:   TOML parse error at line 2, column 1
             |
           2 | legder = "x"
             | ^^^^^^
           unknown field `legder`, expected one of `plan`, `ledger`, `orchestrator`, `alerts`
    "#);
}

#[test]
fn an_address_that_is_none_is_not_a_dead_orchestrator() {
    let test = desk(NOWHERE);
    let ran = test
        .run(&["migrate", "phase", "1", "--yes", "--orchestrator", "localhost:7700"])
        .exits(Code::Usage);
    assert_snapshot!(redact(&test, &ran.stderr), @"
    error: `localhost:7700` is not the address of a control API
    why:   it comes from `--orchestrator`
    hint:  write it like `http://127.0.0.1:PORT`
    ");
    assert_eq!(facts(&test, LEDGER), 0, "nothing was begun");
}

#[test]
fn every_failure_is_one_json_document_with_its_exit_code() {
    let shop = Shop::with_first_phase();
    for (args, code) in [
        (&["show", "ffff"][..], Code::Usage),
        (&["test", "phase", "cachin"], Code::Usage),
        (&["plan", "check", "elsewhere.toml"], Code::Usage),
        (&["validate", "--orchestrator", NOWHERE], Code::Unreachable),
    ] {
        let ran = shop.ctx(&[args, &["--json"]].concat()).exits(code);
        assert_eq!(ran.json()["exit_code"], code.number(), "{ran:?}");
        assert_eq!(ran.json()["code"], code.name(), "{ran:?}");
        assert!(ran.json()["what"].is_string(), "{ran:?}");
    }
    // A run is a stream; its last record says the same.
    for (args, code) in [
        (&["migrate", "phase", "cachin"][..], Code::Usage),
        (&["migrate", "phase", "2"], Code::NeedsConfirmation),
        (&["migrate", "all", "--yes", "--orchestrator", NOWHERE], Code::Unreachable),
        (&["rollback", "--yes", "--orchestrator", NOWHERE], Code::Unreachable),
    ] {
        let ran = shop.ctx(&[args, &["--json"]].concat()).exits(code);
        let records: Vec<Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (first, last) = (&records[0], records.last().unwrap());
        assert_eq!((&first["type"], &last["type"]), (&"version".into(), &"run_end".into()));
        assert_eq!(last["exit_code"], code.number(), "{ran:?}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let shop = Shop::with_first_phase();
    for args in [
        &["plan", "schema"][..],
        &["ledger", "export"],
        &["report", "--format", "md"],
        &["history"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let mut child = shop
            .test
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is read, as `| head -0` would.
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}
