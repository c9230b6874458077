//! What was done, asked after the fact: `ctx report`, `ctx history`, `ctx show`.

use std::io::Read;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use crate::desk::{Desk, PLAN_FILE};

#[test]
fn history_tells_every_run_newest_first() {
    assert_snapshot!(Desk::with_history().told(&["history"]), @"
    time               run       kind     phase    outcome      lasted  user
    2026-01-06 00:00Z  22222222  migrate  caching  rolled back  10s     mara
      guard `error-rate` breached: error_rate 6.2% (n=124), limit at most 5%, breach
      3 of 3; reason: go live
    2026-01-05 00:00Z  11111111  migrate  pooling  done         14s     mara
      phase confirmed at revision 43; reason: go live
    ");
    let told = Desk::with_history().told(&["history", "-n", "1"]);
    assert!(told.contains("22222222") && !told.contains("11111111"), "{told}");
}

#[test]
fn show_tells_a_run_line_by_line() {
    assert_snapshot!(Desk::with_history().told(&["show", "2222"]), @"
    2026-01-06 00:00:00Z     16  migration of phase 2 `caching` begun by mara@ops-1 on revision 41: go live
    2026-01-06 00:00:01Z     17  lease taken by process 42, fence 7
    2026-01-06 00:00:02Z     18  step cache-reads sent, on top of revision 43
    2026-01-06 00:00:03Z     19  step cache-reads applied as revision 44, provisional
    2026-01-06 00:00:04Z     20  step cache-reads soaks for 30m
    2026-01-06 00:00:05Z     21  guard `error-rate` breached at step cache-reads: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
    2026-01-06 00:00:06Z     22  rollback begun: guard `error-rate` breached: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
    2026-01-06 00:00:07Z     23  revert of revision 44 sent
    2026-01-06 00:00:08Z     24  revision 44 reverted, revision 45 is in force
    2026-01-06 00:00:09Z     25  read back: revision 45 equals the configuration from before
    2026-01-06 00:00:10Z     26  run ended, rolled back: guard `error-rate` breached: error_rate 6.2% (n=124), limit at most 5%, breach 3 of 3
    ");
}

#[test]
fn a_report_tells_the_same_with_and_without_the_plan_file() {
    let desk = Desk::with_history();
    let with: Value = serde_json::from_str(&desk.told(&["report", "--json"])).unwrap();
    std::fs::remove_file(desk.path().join(PLAN_FILE)).unwrap();
    let without: Value = serde_json::from_str(&desk.told(&["report", "--json"])).unwrap();
    assert_eq!(with["schema"], "ctx.report/1");
    for field in ["plan", "title", "progress", "phases", "issues", "runs", "ledger", "next_steps"] {
        assert_eq!(with[field], without[field], "{field}");
    }
    assert_eq!(with["progress"]["percent"], 50);
    assert_eq!(with["phases"][1]["status"], "rolled_back");
    assert_eq!(with["next_steps"][1]["command"], "ctx migrate phase 2");
}

#[test]
fn a_report_of_one_phase_is_about_that_phase() {
    let desk = Desk::with_history();
    let told = desk.told(&["report", "--phase", "caching"]);
    assert!(told.contains("cache-reads") && !told.contains("pool-ramp"), "{told}");
    let output = desk.ctx(&["report", "--phase", "cachign"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    let (_note, errors) = errors.split_once('\n').unwrap();
    assert_snapshot!(errors, @"
    error: there is no phase `cachign`
    hint:  did you mean `caching`?
    ");
}

#[test]
fn a_report_is_written_whole_and_in_the_form_of_its_ending() {
    let desk = Desk::with_history();
    let page = desk.path().join("report.md");
    std::fs::write(&page, "an older report").unwrap();
    let output = desk.ctx(&["report", "-o", "report.md"]);
    assert!(output.stdout.is_empty());
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.ends_with("report written to report.md\n"), "{notes}");
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.starts_with("# The shop behind the gateway\n"), "{text}");
    let left = desk.files().into_iter().find(|(path, ..)| path.extension() == Some("tmp".as_ref()));
    assert_eq!(left, None);
    let output = desk.ctx(&["report", "-o", "nowhere/report.md"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn asking_changes_nothing() {
    let desk = Desk::with_history();
    let before = desk.files();
    for args in [
        &["report"][..],
        &["report", "--format", "md"],
        &["report", "--json", "--phase", "1"],
        &["status"],
        &["history", "--json"],
        &["show", "1111", "--json"],
    ] {
        desk.told(args);
        assert_eq!(desk.files(), before, "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let desk = Desk::with_history();
    for args in [&["show", "1111"][..], &["history"], &["report"], &["status"]] {
        let mut child =
            desk.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The pipe is closed before anything is read from it.
        drop(child.stdout.take());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {errors}");
        assert!(!errors.contains("panicked"), "{args:?}: {errors}");
    }
}

#[test]
fn every_line_of_json_parses_and_holds_no_half_of_a_fence() {
    let told = Desk::with_history().told(&["show", "1111", "--json"]);
    for line in told.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["message"].is_string(), "{line}");
    }
    assert!(!told.contains("00ff00ff"), "{told}");
}

#[test]
fn a_run_that_is_not_there_is_named() {
    let desk = Desk::with_history();
    assert_eq!(desk.ctx(&["show", "9999"]).status.code(), Some(2));
    assert_eq!(Desk::new().ctx(&["show", "9999"]).status.code(), Some(1));
}
