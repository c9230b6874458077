//! What is kept: backups, milestones and the ledger, and how they are put back.

use super::act::{Act, act};
use super::scene::{PLAN_FILE, Scene};

/// What a plan promises besides, before its suites.
const MILESTONE: &str = r#"  [[phase.milestone]]
  id    = "performance-validated"
  title = "Performance and rollback validated"

[[suite]]"#;

pub(super) const SCRIPT: &[Act] = &[
    act("ctx milestone reach performance-validated", "reached")
        // In the plan since the phase is confirmed: nobody has said so yet.
        .after(|scene| scene.edits("[[suite]]", MILESTONE))
        .confirmed(),
    act(
        "ctx milestone reach performance-validated --reason \"all three shifts\"",
        "is reached already",
    ),
    act(
        "ctx milestone reach performance-validated --yes --reason \"all three shifts\"",
        "is reached already",
    ),
    act("ctx backup create", "b-"),
    act("ctx backup create --json", "\"id\""),
    act("ctx backup restore b-20300101t120000-4f1d", "restored")
        .after(|scene| {
            let made = scene.test.run(&["backup", "create", "--json"]).json();
            let id = made["backup"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
            scene.is("b-20300101t120000-4f1d", id);
            scene.ctx(&["flags", "set", "caching_layer", "--on", "--yes"]);
        })
        .confirmed(),
    act(
        "ctx backup restore b-20300101t120000-4f1d --part config --yes --reason \"wrong flags\"",
        "config",
    )
    .after(|scene| scene.ctx(&["flags", "set", "caching_layer", "--on", "--yes"])),
    act("ctx backup restore b-20300101t120000-4f1d --to restored", "restored"),
    act("ctx ledger verify", "intact"),
    act("ctx ledger info", "entries"),
    act("ctx ledger info --json", "\"entries\""),
    act("ctx ledger export > ledger.jsonl", "").leaves("ledger.jsonl"),
    act("ctx ledger export | gzip > ledger.jsonl.gz", "").leaves("ledger.jsonl.gz"),
    act("ctx ledger import ledger.jsonl --ledger .ctx/copy.sqlite3", "copy.sqlite3")
        .leaves(".ctx/copy.sqlite3"),
    act("ctx ledger import - --ledger .ctx/copy-2.sqlite3 < ledger.jsonl", "copy-2.sqlite3")
        .leaves(".ctx/copy-2.sqlite3"),
    act("ctx ledger verify --ledger .ctx/copy.sqlite3", "intact"),
    act("ctx ledger rebuild", "are derived again"),
    act("ctx ledger rebuild --from-orchestrator -o .ctx/new.sqlite3", "new.sqlite3")
        .confirmed()
        .leaves(".ctx/new.sqlite3"),
];

#[test]
fn what_is_kept() {
    let mut scene = Scene::busy();
    let plan = std::fs::read_to_string(scene.test.path(PLAN_FILE)).unwrap();
    let (before, rest) = plan.rsplit_once("  [[phase.milestone]]").unwrap();
    let (_, after) = rest.split_once("[[suite]]").unwrap();
    scene.test.write(PLAN_FILE, &format!("{before}[[suite]]{after}"));
    scene.ctx(&["migrate", "all", "--yes"]);
    scene.plays(SCRIPT);
}
