//! `kill -9`: of `ctx migrate`, and of the orchestrator.

use std::collections::BTreeMap;

use ctx::error::Code;
use ctx::ledger::fact::Fact;

use super::{HEALTH, POOLING, Scene};

/// How often each part of a step was confirmed.
fn confirmations(scene: &Scene) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for fact in scene.test.facts() {
        if let Fact::ChangeConfirmed { at, .. } = fact {
            *times.entry(at.to_string()).or_insert(0) += 1;
        }
    }
    times
}

fn once_each() -> BTreeMap<String, usize> {
    ["pool-limits", "pool-ramp 1/2", "pool-ramp 2/2"].map(|at| (at.to_owned(), 1)).into()
}

#[test]
fn a_run_that_is_killed_again_and_again_finishes_and_does_nothing_twice() {
    let scene = Scene::new(&[POOLING]);
    // Each instant is later in the phase than the one before.
    for (n, kind) in [
        (1, "run_begun"),
        (1, "backup_intended"),
        (1, "change_intended"),
        (1, "soak_begun"),
        (1, "confirm_intended"),
        (2, "change_applied"),
        (2, "soak_ended"),
        (2, "change_confirmed"),
    ] {
        let running = scene.begin("1");
        scene.test.until_recorded(n, kind);
        running.kill();
        assert_eq!(scene.test.count("run_ended"), 0, "killed too late for {n} `{kind}`");
    }
    scene.migrate("1").exits(Code::Done);
    assert_eq!(confirmations(&scene), once_each());
    assert_eq!(scene.test.count("run_begun"), 1);
    let state = scene.serve.state();
    assert_eq!((state.head, state.provisional), (state.confirmed, None));
    scene.migrate("1").exits(Code::Done).warns(&["already complete"]);
    scene.ends_undisturbed();
}

#[test]
fn an_orchestrator_that_is_killed_in_a_soak_reverts_and_the_run_goes_on() {
    let mut scene = Scene::new(&[POOLING]);
    let first = scene.serve.state();
    let running = scene.begin("1");
    scene.test.until_recorded(2, "soak_begun");
    let provisional = scene.serve.state().provisional.unwrap();
    let confirmed = scene.serve.state().confirmed;
    scene.serve.restart(&scene.test);
    let after = scene.serve.until("the orchestrator again", |_| true);
    assert_eq!(after.state_uuid, first.state_uuid);
    assert!(after.provisional.as_ref().is_none_or(|p| p.rev > provisional.rev), "{after:?}");
    assert!(after.confirmed > confirmed, "the revert is a revision of its own");
    running.ends().exits(Code::Done);
    assert_eq!(confirmations(&scene), once_each());
    assert!(scene.test.count("change_void") >= 1);
    scene.ends();
}

#[test]
fn a_run_resumes_after_both_were_killed() {
    let mut scene = Scene::new(&[HEALTH, POOLING]);
    scene.migrate("1").exits(Code::Done);
    let before = scene.config();
    let running = scene.begin("2");
    scene.test.until_recorded(2, "soak_begun");
    running.kill();
    scene.serve.restart(&scene.test);
    assert_eq!(scene.config(), before, "what was provisional is reverted at the start");
    scene.migrate("2").exits(Code::Done);
    assert_eq!(scene.test.count("change_confirmed"), 4);
    scene.ends();
}
