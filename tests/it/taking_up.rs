//! The run in flight, taken up without naming it: `ctx resume`.

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{LEDGER, Shop, plan};

const MIGRATE: &[&str] = &["migrate", "phase", "1", "--yes", "--quiet"];

/// A shop whose first phase is in flight, and soaks for `soak` when it is taken up.
fn interrupted(soak: &str) -> Shop {
    let shop = Shop::open();
    shop.edit("soak = \"10ms\"\n", &format!("soak = \"{soak}\"\n"));
    let running = shop.test.spawn(MIGRATE);
    shop.serve.until("the change is in force", |state| state.provisional.is_some());
    running.interrupt();
    running.ends().exits(Code::Interrupted);
    shop
}

#[test]
fn with_no_run_in_flight_there_is_nothing_to_do() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["resume"], Code::Done), @"nothing to resume: no run is in flight");
    assert!(!shop.test.path(LEDGER).exists(), "asking makes no ledger");
    shop.ctx(MIGRATE).exits(Code::Done);
    assert_snapshot!(shop.refuses(&["resume"], Code::Done), @"nothing to resume: no run is in flight");
}

#[test]
fn the_run_in_flight_goes_on_where_it_was() {
    let shop = interrupted("2s");
    shop.ctx(&["resume"]).exits(Code::Done);
    assert_eq!(shop.serve.state().config.cache.mode, ctx::control::config::CacheMode::Read);
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
}

#[test]
fn the_plan_need_not_be_named_again() {
    let shop = interrupted("2s");
    // A second plan in the folder: now none is the only one.
    let other = plan(&shop.url()).replace("\"shop\"", "\"other\"");
    std::fs::write(shop.test.path("plans/other.toml"), other).unwrap();
    let other = shop.refuses(&["resume", "--plan", "plans/other.toml"], Code::Refused);
    assert_snapshot!(other, @"
    error: phase 1 `caching` of plan `shop` is in flight
    why:   `plans/other.toml` is plan `other`
    hint:  name the file of its plan: `--plan plans/shop.toml`
    hint:  `ctx help 43`
    ");
    shop.ctx(&["resume"]).exits(Code::Done);
}

#[test]
fn a_plan_that_was_edited_meanwhile_is_refused() {
    let shop = interrupted("2s");
    shop.edit("\"read\"", "\"write\"");
    assert_snapshot!(shop.refuses(&["resume"], Code::PlanEdited), @"
    error: phase 1 `caching` was edited while its run is in flight
    why:   what the ledger records was done under another plan; comments and white space do not count
    hint:  put the plan back as it was, or undo the phase with `ctx rollback`
    hint:  `ctx help 41`
    ");
    shop.edit("id    = \"caching\"", "id    = \"reading\"");
    assert_snapshot!(shop.refuses(&["resume"], Code::PlanEdited), @"
    error: phase `caching` is in flight and is no longer in the plan
    hint:  put it back, or undo it with `ctx rollback`
    hint:  `ctx help 41`
    ");
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
}
