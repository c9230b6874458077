//! What a shell gets: completions with the phases and runs that are there, manual pages, a prompt.

use std::process::Output;

use crate::desk::Desk;

/// What a shell is offered for the last of these words.
fn offered(desk: &Desk, words: &[&str]) -> String {
    let args = [&["--", "ctx"], words].concat();
    let last = words.len().to_string();
    let mut command = desk.command(&args);
    command.env("CTX_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", last).env("_CLAP_IFS", "\n");
    let Output { stdout, stderr, status } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn phases_and_runs_are_offered_where_they_are_wanted() {
    let desk = Desk::with_history();
    let all = offered(&desk, &["migrate", "phase", ""]);
    assert!(all.starts_with("pooling\ncaching\n--dry-run\n"), "{all}");
    assert_eq!(offered(&desk, &["migrate", "phase", "ca"]), "caching");
    assert_eq!(offered(&desk, &["validate", "--phase", "p"]), "pooling");
    assert_eq!(offered(&desk, &["rollback", "--to", "s"]), "start");
    let runs = offered(&desk, &["show", "2"]);
    assert_eq!(runs, "2".repeat(32));
    assert!(offered(&desk, &["help", "2"]).contains("22"));
    let commands = offered(&desk, &["mil"]);
    assert_eq!(commands, "milestone");
}

#[test]
fn a_folder_without_plan_or_ledger_offers_nothing_and_says_nothing() {
    let desk = Desk::new();
    std::fs::write(desk.path().join(crate::desk::PLAN_FILE), "schema = 2").unwrap();
    let phases = offered(&desk, &["migrate", "phase", ""]);
    assert!(!phases.contains("pooling"), "{phases}");
    assert!(!desk.path().join(".ctx").exists());
}

#[test]
fn every_command_has_a_manual_page() {
    let desk = Desk::new();
    let output = desk.ctx(&["man", "--write", "man"]);
    assert!(output.status.success(), "{output:?}");
    let page = |name: &str| std::fs::read_to_string(desk.path().join("man").join(name)).unwrap();
    assert!(page("ctx.1").contains(".TH CTX 1"), "{}", page("ctx.1"));
    assert!(page("ctx-plan-check.1").contains("Find every fault of a plan"));
    let printed = desk.told(&["man", "plan", "check"]);
    assert_eq!(printed, page("ctx-plan-check.1"));
    let wrong = desk.ctx(&["man", "rolback"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean `rollback`?"));
}

#[test]
fn a_prompt_says_what_is_in_flight_and_else_nothing() {
    assert_eq!(Desk::new().told(&["status", "--prompt"]), "");
    assert_eq!(Desk::with_history().told(&["status", "--prompt"]), "");
    let flying = Desk::in_flight().told(&["status", "--prompt"]);
    assert_eq!(flying, "ctx 1/2 pool-ramp 1/2 soaking\n");
}
