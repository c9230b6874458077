//! The end of a run finds room on a full disk.

use ctx::error::Code;
use ctx::ledger::fact::Fact;

use super::{Fault, shim};
use crate::shop::Shop;

#[test]
fn a_run_on_a_disk_that_is_full_for_a_moment_records_that_it_was_interrupted() {
    let Some(shim) = shim() else { return };
    let shop = Shop::with_first_phase();
    let (folder, log) = (shop.test.path(".ctx"), shop.test.path("struck.log"));
    let reserve = shop.test.path(".ctx/ledger.sqlite3.reserve");
    assert!(reserve.exists(), "the reserve is kept beside the ledger");
    // The operation that fails is one in the middle of the run: a write to the ledger's log. Up to
    // about the twentieth the ledger is opened, and nothing has begun.
    for at in 26.. {
        let _ = std::fs::remove_file(&log);
        let fault = Fault { kind: "enospc", sticky: false, at };
        let environment = fault.environment(shim, &folder, &log);
        let ran = shop.test.run_with(&["migrate", "phase", "2", "--yes"], &environment);
        let interrupted =
            |fact: &Fact| matches!(fact, Fact::Interrupted { by } if by == "a full disk");
        if shop.test.facts().iter().any(interrupted) {
            ran.exits(Code::Failure).warns(&["no space is left for the ledger"]);
            assert!(!reserve.exists(), "it was given up");
            break;
        }
        assert!(!ran.is(Code::Done), "no fault struck an append, up to the {at}th operation");
    }
    shop.ctx(&["migrate", "phase", "2", "--yes"]).exits(Code::Done);
    assert!(reserve.exists(), "it is made again where there is room");
    shop.ctx(&["ledger", "verify"]).exits(Code::Done);
}
