//! Phases: which there are, in which order, and what became of the plan since.

use ctx::error::Code;
use insta::assert_snapshot;

use super::{Shop, redact};

#[test]
fn an_unknown_phase_names_the_near_one() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["migrate", "phase", "cachin", "--yes"], Code::Usage), @"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "7", "--yes"], Code::Usage), @"");
}

#[test]
fn a_phase_out_of_order_waits_for_those_before_it() {
    let shop = Shop::open();
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::Refused), @"");
}

#[test]
fn a_plan_that_was_edited_after_it_was_applied_is_refused() {
    let shop = Shop::with_first_phase();
    shop.edit("\"read\"", "\"write\"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"");
    assert_eq!(
        shop.refuses(&["migrate", "phase", "1", "--yes"], Code::PlanEdited),
        shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited),
    );
}

#[test]
fn a_phase_that_was_applied_and_taken_out_of_the_plan_is_refused() {
    let shop = Shop::with_first_phase();
    shop.edit("id    = \"caching\"", "id    = \"reading\"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"");
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
    assert_snapshot!(interrupted, @"");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "1", "--yes"], Code::Refused), @"");
    shop.edit("100%", "90%");
    assert_snapshot!(shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited), @"");
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
    assert!(!shop.standing().provisional, "what was provisional was taken back");
    redact(&shop.test, &ran.stderr)
}
