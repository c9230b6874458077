//! SIGTERM, SIGHUP, and somebody who asks twice.

use std::time::Duration;

use ctx::error::Code;
use ctx::ledger::fact::Fact;
use tokio::time::Instant;

use super::soaking;
use crate::shop::Shop;
use crate::support::{Running, until};

/// How soon after a signal the change is taken back and the process gone.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn sigterm_and_sighup_end_a_run_alike_and_soon() {
    let check = |signal: fn(&Running)| {
        let (shop, running) = soaking();
        let before = shop.serve.state();
        assert!(before.provisional.is_some());
        let began = Instant::now();
        signal(&running);
        running.ends().exits(Code::Terminated).warns(&[
            "SIGTERM received, stopping at the next safe point",
            "what was provisional was taken back",
            "go on with `ctx migrate phase 1`",
        ]);
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        let state = shop.serve.state();
        assert_eq!((state.provisional, state.lease), (None, None), "by ctx, not by time");
        let facts = shop.test.facts();
        let kinds: Vec<_> = facts.iter().rev().take(3).map(Fact::kind).collect();
        assert_eq!(kinds, ["interrupted", "reverted", "revert_intended"]);
        assert_eq!(shop.test.count("confirm_intended"), 0, "nothing was begun after it");
    };
    check(Running::terminate);
    check(Running::hang_up);
}

#[test]
fn who_asks_twice_is_not_kept_waiting() {
    let slow = r#"
[[phase]]
id    = "slow"
title = "A program that takes its time"

  [[phase.step]]
  id  = "sleep"
  run = { do = ["sleep", "60"], undo = ["true"], timeout = "90s" }
"#;
    let check = |signal: fn(&Running), code: Code| {
        let shop = Shop::open();
        let plan = std::fs::read_to_string(shop.test.path(crate::shop::PLAN_FILE)).unwrap();
        let (head, _) = plan.split_once("[[phase]]").unwrap();
        shop.test.write(crate::shop::PLAN_FILE, &format!("{head}{slow}"));
        let mut running = shop.test.spawn(&["migrate", "phase", "1", "--yes"]);
        shop.test.until_recorded(1, "local_intended");
        // The first is waited for; signals of one moment are one, so the next comes a little later.
        let ended = until("it ends", || {
            signal(&running);
            running.ended()
        });
        assert_eq!(ended, i32::from(code.number()));
        let ran = running.ends().exits(code);
        ran.warns(&[
            "stopping at the next safe point",
            "stopped at once; go on with `ctx migrate phase 1`",
        ]);
        assert_eq!(shop.test.count("run_ended") + shop.test.count("interrupted"), 0);
        // That is as safe as being killed: the same run goes on, or is undone.
        shop.ctx(&["ledger", "verify"]).exits(Code::Done);
        shop.ctx(&["rollback", "--yes"]).exits(Code::Done);
    };
    check(Running::interrupt, Code::Interrupted);
    check(Running::terminate, Code::Terminated);
}

#[test]
fn a_rollback_is_not_stopped_half_way_by_one_signal() {
    let (shop, running) = soaking();
    running.kill();
    let before = shop.serve.state();
    let rollback = shop.test.spawn(&["rollback", "--yes"]);
    shop.test.until_recorded(1, "rollback_begun");
    rollback.terminate();
    // Ended before the signal came, or went on to its end in spite of it.
    rollback.ends().exits(Code::Done);
    let state = shop.serve.state();
    assert_eq!(state.provisional, None);
    assert_ne!(state.config_hash, before.config_hash);
    assert_eq!(shop.test.count("run_ended"), 1);
}

#[test]
fn an_orchestrator_that_hangs_does_not_keep_a_run_that_was_asked_to_stop() {
    let (shop, running) = soaking();
    shop.serve.signal(rustix::process::Signal::STOP);
    let began = Instant::now();
    running.terminate();
    let ran = running.ends();
    let took = began.elapsed();
    shop.serve.signal(rustix::process::Signal::CONT);
    let ran = ran.exits(Code::Terminated);
    assert!(!ran.stderr.contains("was taken back;"), "that is not known: {ran:#?}");
    assert!(took < SOON + Duration::from_secs(1), "{took:?}");
}
