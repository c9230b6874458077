//! An orchestrator that is not there, is something else, or does not know the operator.

use ctx::error::Code;
use ctx::rehearsal::legacy::Legacy;
use insta::assert_snapshot;

use crate::shop::{LEDGER, PLAN_FILE, Shop, desk, facts, plan, redact};
use crate::support::Test;
use crate::support::serve::TOKEN;

const MIGRATE: &[&str] = &["migrate", "phase", "1", "--yes"];

#[test]
fn a_dead_orchestrator_is_named() {
    let mut shop = Shop::open();
    shop.serve.kill();
    let ran = shop.ctx(MIGRATE).exits(Code::Unreachable);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    phase 1 of 2, caching: Cached reads
      1 step, soaking 10ms in all, under 0 guards; a failed check rolls this phase back
    error: the orchestrator at http://127.0.0.1:PORT does not answer
    why:   Connection refused (os error 111)
    hint:  start it with `ctx serve`, or name another with `--orchestrator URL`
    hint:  nothing was begun
    hint:  `ctx help 32`
    ");
    assert_eq!(facts(&shop.test, LEDGER), 0, "nothing was recorded");
    let ran = shop.ctx(&["validate"]).exits(Code::Unreachable);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: the orchestrator at http://127.0.0.1:PORT does not answer
    why:   Connection refused (os error 111)
    hint:  start it with `ctx serve`, or name another with `--orchestrator URL`
    hint:  `ctx help 32`
    ");
}

#[test]
fn a_dead_orchestrator_stops_a_rollback_before_it_begins() {
    let mut shop = Shop::with_first_phase();
    let before = facts(&shop.test, LEDGER);
    shop.serve.kill();
    let ran = shop.ctx(&["rollback", "--yes"]).exits(Code::Unreachable);
    assert_snapshot!(redact(&shop.test, &ran.stderr), @"
    error: the orchestrator at http://127.0.0.1:PORT does not answer
    why:   Connection refused (os error 111)
    hint:  start it with `ctx serve`, or name another with `--orchestrator URL`
    hint:  nothing was begun
    hint:  `ctx help 32`
    ");
    assert_eq!(facts(&shop.test, LEDGER), before, "nothing was recorded");
    shop.ctx(&["status", "--live"]).exits(Code::Done);
}

#[test]
fn something_else_that_listens_there_is_not_an_orchestrator() {
    let legacy = Legacy::start().unwrap();
    let test = desk(&legacy.url());
    let ran = test.run(MIGRATE).exits(Code::Unreachable);
    assert_snapshot!(redact(&test, &ran.stderr), @"
    phase 1 of 2, caching: Cached reads
      1 step, soaking 10ms in all, under 0 guards; a failed check rolls this phase back
    error: there is no orchestrator at that address
    why:   http://127.0.0.1:PORT answers with status 404, but not as an orchestrator does
    hint:  name the control address that `ctx serve` printed, not the data address
    hint:  nothing was begun
    hint:  `ctx help 32`
    ");
    assert_eq!(facts(&test, LEDGER), 0, "nothing was recorded");
    let ran = test.run(&["validate"]).exits(Code::Unreachable);
    assert_snapshot!(redact(&test, &ran.stderr), @"
    error: there is no orchestrator at that address
    why:   http://127.0.0.1:PORT answers with status 404, but not as an orchestrator does
    hint:  name the control address that `ctx serve` printed, not the data address
    hint:  `ctx help 32`
    ");
}

#[test]
fn a_wrong_token_is_refused_and_not_repeated() {
    let shop = Shop::open();
    let test = Test::new()
        .env("CTX_TOKEN", "a-token-of-somebody-else")
        .file(PLAN_FILE, &plan(&shop.url()));
    let ran = test.run(MIGRATE).exits(Code::Refused);
    assert_snapshot!(redact(&test, &ran.stderr), @"
    phase 1 of 2, caching: Cached reads
      1 step, soaking 10ms in all, under 0 guards; a failed check rolls this phase back
    error: the orchestrator does not accept the token
    why:   unauthorized: the token is not the right one
    hint:  `ctx serve` says where its token is; the plan's `[orchestrator] token` names it, or without a plan the last run's, or `CTX_TOKEN`
    hint:  nothing was begun
    hint:  `ctx help 43`
    ");
    for said in [&ran.stderr, &ran.stdout] {
        assert!(!said.contains("somebody-else") && !said.contains(TOKEN), "{ran:?}");
    }
    assert_eq!(facts(&test, LEDGER), 0, "nothing was recorded");
}

#[test]
fn a_token_that_is_not_set_is_named() {
    let shop = Shop::open();
    let test = Test::new().file(PLAN_FILE, &plan(&shop.url()));
    let ran = test.run(MIGRATE).exits(Code::Refused);
    assert_snapshot!(redact(&test, &ran.stderr), @"
    error: no token for the orchestrator at http://127.0.0.1:PORT
    why:   the environment variable `CTX_TOKEN` is not set
    hint:  `ctx serve` says where its token is; the plan's `[orchestrator] token` names it
    hint:  `ctx help 43`
    ");
    assert_eq!(facts(&test, LEDGER), 0, "nothing was recorded");
}

#[test]
fn without_a_token_in_plan_and_environment_it_says_where_to_put_one() {
    let shop = Shop::open();
    let plan = plan(&shop.url()).replace("token = \"env:CTX_TOKEN\"\n", "");
    let test = Test::new().file(PLAN_FILE, &plan);
    let ran = test.run(MIGRATE).exits(Code::Refused);
    assert_snapshot!(redact(&test, &ran.stderr), @r#"
    error: no token for the orchestrator at http://127.0.0.1:PORT
    why:   the environment variable `CTX_TOKEN` is not set
    hint:  set `CTX_TOKEN`, or name the file with the token in the plan: `[orchestrator] token = "file:PATH"`; `ctx serve` says where it is
    hint:  `ctx help 43`
    "#);
}
