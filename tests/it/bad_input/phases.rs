//! Phases: which there are, in which order, and what became of the plan since.

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{Shop, redact};

#[test]
fn an_unknown_phase_names_the_near_one() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["migrate", "phase", "cachin", "--yes"], Code::Usage), @"
    error: plan `shop` has no phase `cachin`
    why:   its phases are: 1 caching, 2 pooling
    hint:  did you mean `caching`?
    ");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "7", "--yes"], Code::Usage), @"
    error: plan `shop` has no phase `7`
    why:   its phases are: 1 caching, 2 pooling
    ");
}

#[test]
fn a_phase_out_of_order_waits_for_those_before_it() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::Refused), @"
    error: phase 1 `caching` comes first and is not confirmed
    hint:  run it: `ctx migrate phase 1`
    hint:  `ctx help 43`
    ");
}

#[test]
fn a_plan_that_was_edited_after_it_was_applied_is_refused() {
    let shop = Shop::with_first_phase();
    shop.edit("\"read\"", "\"write\"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"
    error: phase 1 `caching` was edited after it was applied
    why:   what the ledger records was done under another plan; comments and white space do not count
    hint:  put the plan back as it was, or undo the phase with `ctx rollback`
    hint:  `ctx help 41`
    ");
    assert_eq!(
        shop.refuses(&["migrate", "phase", "1", "--yes"], Code::PlanEdited),
        shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited),
    );
}

#[test]
fn a_phase_that_was_applied_and_taken_out_of_the_plan_is_refused() {
    let shop = Shop::with_first_phase();
    shop.edit("id    = \"caching\"", "id    = \"reading\"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"
    error: phase `caching` was applied and is no longer in the plan
    why:   what the ledger records was done under another plan
    hint:  put it back, or undo it with `ctx rollback`
    hint:  `ctx help 41`
    ");
}

#[test]
fn a_comment_is_no_edit() {
    let shop = Shop::with_first_phase();
    shop.edit("[[phase]]", "# as agreed on Tuesday\n\n[[ phase ]]");
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
}

#[test]
fn one_phase_is_in_flight_at_a_time() {
    let shop = Shop::with_first_phase();
    shop.edit("soak = \"10ms\" }", "soak = \"1m\" }");
    let interrupted = interrupt_while_provisional(&shop);
    assert_snapshot!(interrupted, @"
    error: stopped by SIGINT at a safe point
    why:   what was provisional was taken back; confirmed steps stay
    hint:  go on with `ctx migrate phase 2`
    hint:  or undo the phase with `ctx rollback`
    ");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "1", "--yes"], Code::Refused), @"
    error: run RUN of phase 2 `pooling` has not ended
    why:   one phase is in flight at a time
    hint:  finish it with `ctx migrate phase 2`, or undo it with `ctx rollback`
    hint:  `ctx help 43`
    ");
    shop.edit("100%", "90%");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"
    error: phase 2 `pooling` was edited while its run is in flight
    why:   what the ledger records was done under another plan; comments and white space do not count
    hint:  put the plan back as it was, or undo the phase with `ctx rollback`
    hint:  `ctx help 41`
    ");
    shop.edit("90%", "100%");
    shop.edit("soak = \"1m\" }", "soak = \"10ms\" }");
    shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
}

/// Migrates phase 2 until its first part is in force, then interrupts it. Gives the failure.
fn interrupt_while_provisional(shop: &Shop) -> String {
    let running = shop.test.spawn(&["migrate", "phase", "2", "--yes", "--quiet"]);
    shop.serve.until("the first part is in force", |state| state.provisional.is_some());
    running.interrupt();
    let ran = running.ends().exits(Code::Interrupted);
    assert!(shop.serve.state().provisional.is_none(), "what was provisional was taken back");
    redact(&shop.test, &ran.stderr)
}
