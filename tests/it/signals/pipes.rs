//! Readers that went away: the ledger is the record, what is printed is a view.

use std::process::{Command, Stdio};

use ctx::error::Code;
use ctx::ledger::fact::{Fact, Outcome};

use crate::shop::{PLAN_FILE, Shop};
use crate::support::Test;

/// Runs `ctx` with nobody at the other end of stdout and stderr, and gives its exit code.
fn unread(test: &Test, args: &[&str]) -> Option<i32> {
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let mut command = test.command(args);
    let status = command.stdin(Stdio::null()).stdout(nobody()).stderr(nobody()).status();
    status.unwrap().code()
}

fn outcomes(test: &Test) -> Vec<Outcome> {
    let ended = |fact: &Fact| match fact {
        Fact::RunEnded { outcome, .. } => Some(*outcome),
        _ => None,
    };
    test.facts().iter().filter_map(ended).collect()
}

const DONE: Option<i32> = Some(0);

#[test]
fn a_run_goes_on_to_its_end_without_anybody_watching() {
    for json in [&[][..], &["--json"]] {
        let shop = Shop::open();
        let run = |args: &[&str]| unread(&shop.test, &[args, json].concat());
        assert_eq!(run(&["migrate", "all", "--yes"]), DONE);
        assert_eq!(outcomes(&shop.test), [Outcome::Done, Outcome::Done]);
        assert_eq!(run(&["rollback", "--to", "start", "--yes"]), DONE);
        assert_eq!(outcomes(&shop.test).len(), 3);
        let state = shop.serve.state();
        assert_eq!((state.provisional, state.lease), (None, None));
    }
}

#[test]
fn a_failure_is_rolled_back_and_told_by_the_exit_code_alone() {
    let shop = Shop::open();
    let plan = std::fs::read_to_string(shop.test.path(PLAN_FILE)).unwrap();
    let (first, _) = plan.split_once("[[phase]]\nid    = \"pooling\"").unwrap();
    let failing = r#"
  [[phase.step]]
  id  = "fails"
  run = { do = ["false"], undo = ["true"], timeout = "5s" }
"#;
    shop.test.write(PLAN_FILE, &format!("{first}{failing}"));
    let before = shop.serve.state().config_hash;
    let code = unread(&shop.test, &["migrate", "phase", "1", "--yes"]);
    assert_eq!(code, Some(i32::from(Code::RolledBack.number())));
    assert_eq!(shop.serve.state().config_hash, before);
    assert_eq!(outcomes(&shop.test), [Outcome::RolledBack]);
}

#[test]
fn head_takes_one_line_and_the_run_goes_on() {
    let shop = Shop::open();
    let ctx = env!("CARGO_BIN_EXE_ctx");
    let line = |rest: &str| format!("{{ '{ctx}' {rest}; echo $? > code; }} 2> err | head -n 1");
    let sh = |line: &str| {
        let like = shop.test.command(&[]);
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(shop.test.path("")).env_clear();
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let read = |file: &str| std::fs::read_to_string(shop.test.path(file)).unwrap();
        (String::from_utf8(output.stdout).unwrap(), read("code").trim().to_owned(), read("err"))
    };
    let (shown, code, _) = sh(&line("migrate all --yes --json"));
    assert!(shown.contains("\"version\"") && shown.lines().count() == 1, "{shown}");
    assert_eq!(code, "0");
    assert_eq!(outcomes(&shop.test), [Outcome::Done, Outcome::Done]);
    let (shown, code, said) = sh(&line("history"));
    assert_eq!((shown.lines().count(), code.as_str(), said.as_str()), (1, "0", ""));
    // Neither stdout nor stderr, not even closed ones.
    let (_, code, _) = sh(&format!("'{ctx}' rollback --yes >&- 2>&-; echo $? > code; : 2> err"));
    assert_eq!(code, "0");
    assert_eq!(outcomes(&shop.test).len(), 3);
}

#[test]
fn a_read_ends_quietly_when_nobody_reads() {
    let shop = Shop::with_first_phase();
    let history = shop.ctx(&["history", "--json"]).json();
    let run = history["runs"][0]["run"].as_str().unwrap();
    let reads: [&[&str]; 12] = [
        &["history"],
        &["show", run],
        &["status"],
        &["status", "--json"],
        &["report"],
        &["lock", "show"],
        &["ledger", "export"],
        &["ledger", "info"],
        &["plan", "show"],
        &["plan", "schema"],
        &["completions", "bash"],
        &["--help"],
    ];
    for read in reads {
        assert_eq!(unread(&shop.test, read), DONE, "{read:?}");
    }
    assert_eq!(unread(&shop.test, &["no-such-command"]), Some(2));
    assert_eq!(unread(&shop.test, &["migrate", "phase", "9"]), Some(2));
}
