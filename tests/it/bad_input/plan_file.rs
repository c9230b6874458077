//! Files that are no plans.

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{LEDGER, PLAN_FILE};
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
    assert_snapshot!(refused(b"phases:\n  - caching\n", Code::PlanInvalid), @"
    error: plan `plans/shop.toml` has 3 faults
    why:   invalid unquoted key, expected letters, numbers, `-`, `_`
            --> plans/shop.toml:1:7
             |
           1 | phases:
             |       ^
    why:   key with no value, expected `=`
            --> plans/shop.toml:1:8
             |
           1 | phases:
             |        ^
    why:   key with no value, expected `=`
            --> plans/shop.toml:2:5
             |
           2 |   - caching
             |     ^
    hint:  `ctx help 40`
    ");
}

#[test]
fn an_empty_file() {
    assert_snapshot!(refused(b"", Code::PlanInvalid), @"
    error: plan `plans/shop.toml` has 4 faults
    why:   a plan needs `schema`
           --> plans/shop.toml:1:1
            = hint: `schema`: the version of this format: `1`
    why:   a plan needs `plan`
           --> plans/shop.toml:1:1
            = hint: `plan`: what the plan is called
    why:   a plan needs `orchestrator`
           --> plans/shop.toml:1:1
            = hint: `orchestrator`: the service that the plan changes
    why:   a plan needs `phase`
           --> plans/shop.toml:1:1
            = hint: `phase`: the phases, in the order in which they are migrated
    hint:  `ctx help 40`
    ");
}

#[test]
fn a_binary_file() {
    let bytes = b"\x7fELF\x02\x01\x01\x00\xff\xfe\x00\x00";
    assert_snapshot!(refused(bytes, Code::PlanInvalid), @"
    error: plan `plans/shop.toml` is not UTF-8 text
    why:   the first bytes that are none stand on line 1
    hint:  save it as UTF-8
    hint:  `ctx help 40`
    ");
}

#[test]
fn a_file_of_two_megabytes() {
    let bytes = "# as agreed\n".repeat(2 * 1024 * 1024 / 12);
    assert_snapshot!(refused(bytes.as_bytes(), Code::PlanInvalid), @"
    error: plan `plans/shop.toml` has 1 fault
    why:   the plan is larger than 1 MiB
           --> plans/shop.toml:1:1
            = hint: split it into plans that are run in turn
    hint:  `ctx help 40`
    ");
}

#[test]
fn a_folder() {
    let test = Test::new().file(PLAN_FILE, "");
    let ran = test.run(&["plan", "check", "plans"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"
    error: `plans` is a directory, not a plan file
    hint:  name a file in it: `--plan FILE`
    ");
}

#[test]
fn a_file_that_is_not_there() {
    let test = Test::new();
    let ran = test.run(&["plan", "check", "plans/shop.toml"]).exits(Code::Usage);
    assert_snapshot!(ran.stderr, @"
    error: there is no plan file `plans/shop.toml`
    hint:  name one with `--plan FILE`, or make one with `ctx init`
    ");
}

#[test]
fn a_pipe_that_never_ends() {
    let ran = Test::new().run(&["plan", "check", "/dev/zero"]).exits(Code::PlanInvalid);
    assert_snapshot!(ran.stderr, @"");
}
