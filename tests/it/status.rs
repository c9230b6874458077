//! Where the migration stands: `ctx status`.

use insta::assert_snapshot;
use serde_json::Value;

use crate::desk::{Desk, PLAN_FILE};

#[test]
fn a_desk_where_nothing_was_done_is_told_how_to_begin() {
    let desk = Desk::new();
    let output = desk.ctx(&["status"]);
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    note: there is no ledger at `.ctx/ledger.sqlite3` yet; the first run makes it
    ");
    assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @"
    plan      shop: The shop behind the gateway
    target    http://127.0.0.1:1, not read: `--live` asks it
    progress  0%: 0 of 2 phases confirmed, 0 of 2 steps and 0 of 3 parts done
    last run  none yet
    next      `ctx plan show --phase 1`: shows what the first phase would do
    or        `ctx migrate phase 1`: begins
    ");
    assert!(!desk.path().join(".ctx").exists(), "asking makes no ledger");
}

#[test]
fn after_a_rollback_the_next_command_is_named() {
    assert_snapshot!(Desk::with_history().told(&["status"]), @"
    plan      shop: The shop behind the gateway
    target    http://127.0.0.1:1, not read: `--live` asks it
    progress  50%: 1 of 2 phases confirmed, 1 of 2 steps and 2 of 3 parts done
    last run  22222222 migrate of caching rolled back 2026-01-06 00:00Z: guard
              `error-rate` breached: error_rate 6.2% (n=124), limit at most 5%,…
    issue     2026-01-06 00:00Z caching: guard breached, error-rate: error_rate 6.2%
              (n=124), limit at most 5%, breach 3 of 3
    next      `ctx show 22222222`: shows why it was rolled back
    or        `ctx migrate phase 2`: tries again, once that is mended
    ");
}

#[test]
fn a_run_that_nobody_drives_says_what_becomes_of_it() {
    let told = Desk::in_flight().told(&["status"]);
    let has = |text: &str| assert!(told.contains(text), "{text} in\n{told}");
    has("phase     1 of 2 pooling: running, Pooled connections");
    has("step      1 of 1 pool-ramp, part 1/2 at 25%, for ");
    has("soak over");
    has("at the earliest: 30m of soaks left");
    has("revision  revision 42 reverts to revision 41 unless confirmed, as recorded");
    has("next      `ctx migrate phase 1`: resumes the run at step pool-ramp 1/2");
}

#[test]
fn a_broken_plan_does_not_hide_what_the_ledger_knows() {
    let desk = Desk::with_history();
    std::fs::write(desk.path().join(PLAN_FILE), "schema = 2").unwrap();
    let output = desk.ctx(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["schema"], &status["plan"]), (&"ctx.status/1".into(), &"shop".into()));
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("`plans/shop.toml` is left out"), "{notes}");
    // A plan that is named on the command line must be one.
    assert_eq!(desk.ctx(&["status", "--plan", PLAN_FILE]).status.code(), Some(40));
}

#[test]
fn watching_needs_somebody_who_watches() {
    assert_eq!(Desk::in_flight().ctx(&["status", "--watch"]).status.code(), Some(2));
}
