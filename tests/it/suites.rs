//! A plan's test suites, run by hand: `ctx test`.

use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{PLAN_FILE, Shop, redact};

const SUITES: &str = r#"
[[suite]]
id   = "smoke"
kind = "functional"

  [[suite.case]]
  name = "the service answers"
  path = "/"

  [[suite.case]]
  name = "a pull request is acknowledged"
  path = "/github/events"
  body = { action = "opened" }
  headers = { x-github-event = "pull_request" }

[[suite]]
id   = "checkout"
kind = "functional"

  [[suite.case]]
  name   = "a basket can be paid for"
  path   = "/checkout"

[[suite]]
id   = "orchestrator"
kind = "functional"

  [[suite.case]]
  name   = "the orchestrator says where it stands"
  path   = "control:/v1/state"
  expect = { status = 200, contains = ["state_uuid"] }
"#;

/// A shop whose first phase runs the suite `smoke`.
fn shop() -> Shop {
    let shop = Shop::open();
    let path = shop.test.path(PLAN_FILE);
    let step = "  [[phase.step]]\n  id   = \"smoke\"\n  test = [\"smoke\"]\n\n[[phase]]\nid    = \"pooling\"";
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[[phase]]\nid    = \"pooling\"", step) + SUITES).unwrap();
    shop
}

#[test]
fn the_suites_of_a_phase_are_run_and_change_nothing() {
    let shop = shop();
    let before = shop.standing();
    let ran = shop.ctx(&["test", "phase", "caching"]).exits(Code::Done);
    assert_snapshot!(ran.stdout, @"
    smoke (2 cases)
      the service answers ....................................................... ok
      a pull request is acknowledged ............................................ ok
    ");
    let json = shop.ctx(&["test", "phase", "1", "--json"]).exits(Code::Done).json();
    assert_eq!((&json["passed"], &json["exit_code"]), (&true.into(), &0.into()), "{json}");
    assert_eq!(json["suites"][0]["suite"], "smoke");
    assert_eq!(json["suites"][0]["cases"][1]["passed"], true);
    let ran = shop.ctx(&["test", "phase", "2"]).exits(Code::Done);
    assert_snapshot!(ran.stderr, @"nothing to test: no step of the phase names a suite");
    assert_eq!(shop.standing(), before);
    // The same suites, as the step of the phase runs them.
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
}

#[test]
fn a_case_may_ask_the_control_api_with_its_token() {
    shop().ctx(&["test", "suite", "orchestrator"]).exits(Code::Done);
}

#[test]
fn a_suite_that_fails_says_which_case_and_why() {
    let shop = shop();
    let ran = shop.ctx(&["test", "suite", "checkout"]).exits(Code::CriteriaNotMet);
    assert_snapshot!(redact(&shop.test, &ran.stdout), @r#"
    checkout (1 case)
      a basket can be paid for ................................................ FAIL
          sent      GET http://127.0.0.1:PORT/checkout
          expected  status 200
          got       404 with `{"detail":"Not Found"}`
    "#);
    assert_snapshot!(ran.stderr, @r#"
    error: 1 suite failed
    why:   checkout: 0 of 1 case passed; `a basket can be paid for`: expected status 200, got 404 with `{"detail":"Not Found"}`
    hint:  `ctx help 23`
    "#);
    let json = shop.ctx(&["test", "suite", "checkout", "--json"]).exits(Code::CriteriaNotMet);
    assert_eq!(json.json()["exit_code"], 23, "{json:?}");
}

#[test]
fn an_unknown_suite_names_the_near_one() {
    let shop = shop();
    assert_snapshot!(shop.refuses(&["test", "suite", "smok"], Code::Usage), @"
    error: plan `shop` has no suite `smok`
    hint:  did you mean `smoke`?
    ");
    assert_snapshot!(shop.refuses(&["test", "suite", "zebra"], Code::Usage), @"
    error: plan `shop` has no suite `zebra`
    why:   its suites are: smoke, checkout, orchestrator
    ");
    assert_snapshot!(shop.refuses(&["test", "phase", "cachin"], Code::Usage), @"
    error: plan `shop` has no phase `cachin`
    why:   its phases are: 1 caching, 2 pooling
    hint:  did you mean `caching`?
    ");
}

#[test]
fn a_dead_orchestrator_fails_no_suite() {
    let mut shop = shop();
    shop.serve.kill();
    let ran = shop.ctx(&["test", "phase", "1"]).exits(Code::Unreachable);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: the orchestrator at http://127.0.0.1:PORT does not answer
    why:   Connection refused (os error 111)
    hint:  start it with `ctx serve`, or name another with `--orchestrator URL`
    hint:  `ctx help 32`
    ");
}
