//! `ctx drift`: what somebody changed behind ctx's back, and what is still to do.

use ctx::control::config::CacheMode;
use ctx::error::Code;

use crate::shop::Shop;

#[test]
fn a_change_behind_the_ledger_is_found_with_both_values() {
    let shop = Shop::with_first_phase();
    let ran = shop.ctx(&["drift", "--detailed-exitcode"]).exits(Code::ChangesPending);
    ran.says(&[
        "is the configuration that the last run left",
        "phase `pooling`: not confirmed yet",
    ]);
    shop.serve.set(|config| config.cache.mode = CacheMode::Write);
    let before = shop.standing();
    let ran = shop.ctx(&["drift", "--detailed-exitcode"]).exits(Code::Drift);
    let ran = ran.says(&["cache.mode", "\"read\"", "\"write\"", "1 value"]);
    let ran = ran.warns(&["--accept-drift"]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{ran:?}");
    // Without the flag, having looked is success.
    let json = shop.ctx(&["drift", "--json"]).exits(Code::Done).json();
    let found = &json["configuration"]["differences"][0];
    assert_eq!((&json["drifted"], &found["path"]), (&true.into(), &"cache.mode".into()));
    assert_eq!((&found["ledger"], &found["orchestrator"]), (&"read".into(), &"write".into()));
    assert_eq!(shop.standing(), before);
}

#[test]
fn a_phase_that_was_edited_after_it_was_applied_is_named() {
    let shop = Shop::with_first_phase();
    shop.edit("soak = \"10ms\"\n", "soak = \"20ms\"\n");
    let ran = shop.ctx(&["drift", "--detailed-exitcode"]).exits(Code::Drift);
    ran.says(&["phase `caching`: edited since it was applied"]);
}

#[test]
fn a_change_of_the_run_in_flight_is_no_drift() {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", "soak = \"60s\"\n");
    let running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
    shop.test.until_recorded(1, "soak_begun");
    let ran = shop.ctx(&["drift", "--detailed-exitcode"]).exits(Code::ChangesPending);
    ran.says(&["is a change of the run in flight"]);
    running.kill();
}

#[test]
fn when_all_is_done_as_planned_nothing_differs() {
    let shop = Shop::open();
    shop.ctx(&["drift"]).exits(Code::Done).says(&["nothing was run yet"]);
    shop.ctx(&["migrate", "all", "--yes"]).exits(Code::Done);
    let ran = shop.ctx(&["drift", "--detailed-exitcode"]).exits(Code::Done);
    ran.says(&["every phase of `plans/shop.toml` is confirmed as it stands there"]);
}
