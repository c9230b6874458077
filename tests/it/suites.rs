//! A plan's test suites, run by hand: `ctx test`.

use ctx::control::config::Mode;
use ctx::error::Code;
use insta::assert_snapshot;

use crate::shop::{PLAN_FILE, Shop, redact};
use crate::support::serve::{Serve, TOKEN};
use crate::support::uvicorn::Uvicorn;
use crate::support::{Test, block_on, junit, peer, plans};

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

/// The suite `smoke` of [`SUITES`], in a file of its own.
const SMOKE: &str = r#"
id   = "smoke"
kind = "functional"

[[case]]
name = "the service answers"
path = "/"
"#;

#[test]
fn a_suite_in_a_file_is_a_part_of_the_plan() {
    let shop = shop();
    let path = shop.test.path(PLAN_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("[[suite]]").unwrap();
    std::fs::write(&path, format!("{before}[[suite]]\nfile = \"suites/smoke.toml\"\n")).unwrap();
    let file = "plans/suites/smoke.toml";
    shop.refuses(&["plan", "check"], Code::PlanInvalid);
    shop.test.write(file, &SMOKE.replace("path =", "paht ="));
    let ran = shop.ctx(&["plan", "check"]).exits(Code::PlanInvalid);
    ran.says(&["plans/suites/smoke.toml:7:1", "unknown key `paht`"]);
    shop.refuses(&["test", "suite", "smoke"], Code::PlanInvalid);

    shop.test.write(file, SMOKE);
    shop.ctx(&["test", "suite", "smoke"]).exits(Code::Done).says(&["smoke (1 case)"]);
    shop.ctx(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    // What is applied is applied: a comment is no edit, another expectation is one.
    shop.test.write(file, &format!("# As it was.\n{SMOKE}"));
    shop.ctx(&["migrate", "phase", "2", "--dry-run"]).exits(Code::Done);
    shop.test
        .write(file, &SMOKE.replace("path = \"/\"", "path = \"/\"\nexpect = { status = 204 }"));
    let before = shop.standing();
    let said = shop.refuses(&["migrate", "phase", "2", "--yes"], Code::PlanEdited);
    assert!(said.contains("phase 1 `caching` was edited after it was applied"), "{said}");
    assert_eq!(shop.standing(), before);
}

#[test]
fn every_platform_is_taken_when_it_signed_and_refused_when_it_did_not() {
    let Some(app) = Uvicorn::start() else { return };
    let test = Test::new().env("CTX_TOKEN", TOKEN).env("HUSH", "hush-hush");
    plans::relaxed_strategy(&test);
    let plan = test.path("plans/contexten.toml");
    let aim = |serve: &Serve| {
        let text = std::fs::read_to_string(&plan).unwrap();
        let line = text.lines().find(|line| line.starts_with("url ")).unwrap().to_owned();
        std::fs::write(&plan, text.replace(&line, &format!("url = \"http://{}\"", serve.control)))
            .unwrap();
    };
    let signed = ["--linear-secret", "--github-secret", "--slack-secret"];
    let signed = signed.map(|flag| [flag, "env:HUSH"]).concat();
    let serve = Serve::with(&test, app.url(), &signed);
    aim(&serve);
    // Every platform's events are handled, whoever is in charge.
    let handled = || block_on(app.handled());
    test.run(&["test", "suite", "integration"]).exits(Code::Done);
    assert_eq!(handled().len(), 3, "{:?}", handled());
    serve.set(|config| config.mode = Mode::Enhanced);
    test.run(&["test", "suite", "integration"])
        .exits(Code::Done)
        .says(&["Linear: an issue is created"]);
    assert_eq!(handled().len(), 6, "{:?}", handled());
    // And of eleven imitations none.
    let junit_file = ["--junit", "tests.xml"];
    test.run(&[&["test", "suite", "forged"], &junit_file[..]].concat())
        .exits(Code::Done)
        .says(&["Slack: a signature of yesterday is refused"]);
    assert_eq!(handled().len(), 6, "{:?}", handled());
    assert!(handled().values().all(|times| *times == 1), "{:?}", handled());
    drop(serve);

    // Where no secret is known, nobody can be refused, and the suite says so.
    let open = Test::new().env("CTX_TOKEN", TOKEN);
    plans::relaxed_strategy(&open);
    let serve = Serve::start(&open, app.url());
    let url = format!("http://{}", serve.control);
    open.run(&[
        "test",
        "suite",
        "forged",
        "--orchestrator",
        &url,
        "--plan",
        "plans/contexten.toml",
    ])
    .exits(Code::CriteriaNotMet)
    .says(&["no secret of `github` is known here"]);
    assert_eq!(handled().len(), 6, "{:?}", handled());
    if peer::require("junitparser").is_none() {
        return;
    }
    let suites = junit::read(&test.path("tests.xml"));
    assert_eq!((&suites[0]["name"], &suites[0]["tests"]), (&"forged".into(), &11.into()));
    assert_eq!(suites[0]["failures"], 0, "{suites:#}");
}

#[test]
fn a_performance_suite_bounds_what_the_machine_uses() {
    let shop = shop();
    let suite = |cpu: &str, expect: u16| {
        format!(
            "\n[[suite]]\nid = \"busy\"\nkind = \"performance\"\ncase = [{{ name = \"home\", path = \
             \"/\", expect = {{ status = {expect} }} }}]\nload = {{ rate = 50, lasts = \"300ms\", \
             thresholds = {{ cpu = {{ max = \"{cpu}\" }}, memory = {{ max = \"100%\" }}, error_rate = \
             {{ max = \"1%\" }} }} }}\n"
        )
    };
    let path = shop.test.path(PLAN_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let with = |suite: &str| std::fs::write(&path, format!("{text}{suite}")).unwrap();
    // The orchestrator reads the machine once a second.
    let client = shop.client();
    crate::support::until("the machine is read", || block_on(client.metrics(None)).ok()?.host.cpu);
    with(&suite("100%", 200));
    let ran = shop.ctx(&["test", "suite", "busy"]).exits(Code::Done);
    ran.says(&["cpu ", "limit at most 100%", "memory "]);
    with(&suite("0%", 201));
    let junit_file = ["--junit", "busy.xml"];
    let ran = shop.ctx(&[&["test", "suite", "busy"], &junit_file[..]].concat());
    let ran = ran.exits(Code::CriteriaNotMet);
    ran.says(&[
        "limit at most 0%",
        "error_rate 100% (n=15), limit at most 1%",
        "request   GET / (`home`)",
        "expected  status 201",
        "got       status 200, 15 times",
    ]);
    if peer::require("junitparser").is_none() {
        return;
    }
    let suites = junit::read(&shop.test.path("busy.xml"));
    let cases = &suites[0]["cases"];
    assert_eq!(cases["load"][0], "passed", "{suites:#}");
    assert_eq!(cases["load: error_rate"][0], "failed", "{suites:#}");
    assert_eq!(cases["load: memory"][0], "passed", "{suites:#}");
    assert_eq!(cases["home"][0], "failed", "{suites:#}");
    let said = cases["home"][1].as_str().unwrap();
    assert!(said.starts_with("expected status 201, got 200"), "{said}");
}
