//! Files that are no plans.

use ctx::error::Code;
use insta::assert_snapshot;

use super::{LEDGER, PLAN_FILE};
use crate::support::Test;

/// Migrates by a plan file with these bytes; gives stderr.
#[track_caller]
fn refused(bytes: &[u8], code: Code) -> String {
    let test = Test::new().file(PLAN_FILE, "");
    std::fs::write(test.path(PLAN_FILE), bytes).unwrap();
    let ran = test.run(&["migrate", "phase", "1", "--yes"]).exits(code);
    assert!(!test.path(LEDGER).exists(), "no ledger is made for a plan that is none");
    ran.stderr
}

#[test]
fn a_file_that_is_not_toml() {
    assert_snapshot!(refused(b"phases:\n  - caching\n", Code::PlanInvalid), @"");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused(b"", Code::PlanInvalid), @"");
}

#[test]
fn a_binary_file() {
    let bytes = b"\x7fELF\x02\x01\x01\x00\xff\xfe\x00\x00";
    assert_snapshot!(refused(bytes, Code::PlanInvalid), @"");
}

#[test]
fn a_file_of_two_megabytes() {
    let bytes = "# as agreed\n".repeat(2 * 1024 * 1024 / 12);
    assert_snapshot!(refused(bytes.as_bytes(), Code::PlanInvalid), @"");
}

#[test]
fn a_folder() {
    let test = Test::new().file(PLAN_FILE, "");
    let ran = test.run(&["plan", "check", "plans"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"");
}

#[test]
fn a_file_that_is_not_there() {
    let test = Test::new();
    let ran = test.run(&["plan", "check", "plans/shop.toml"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"");
}

#[test]
fn a_pipe_that_never_ends() {
    let ran = Test::new().run(&["plan", "check", "/dev/zero"]).exits(Code::PlanInvalid);
    assert_snapshot!(ran.stderr, @"");
}
