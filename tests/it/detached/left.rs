//! `--detach`: the process leaves, the orchestrator watches, and `ctx resume` comes back.

use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::{HEALTH, POOLING, Scene};

#[test]
fn a_phase_runs_to_its_end_without_anybody_waiting() {
    let scene = Scene::new(&[POOLING]);
    scene.detach(&[]).warns(&[
        "step pool-ramp 1/2 soaks until ",
        "without this process",
        "reverts to revision 1 at ",
        "unless confirmed",
        "`ctx resume` goes on when it is over",
    ]);
    let state = scene.serve.state();
    assert_eq!(state.lease, None, "nobody holds it");
    let provisional = state.provisional.expect("it outlives the lease");
    assert!(provisional.deadline_in_ms.is_some_and(|ms| ms > 3_000_000), "an hour to confirm");
    let status = scene.test.run(&["status"]).exits(Code::Done).stdout;
    let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["without a process", "revision 2 reverts to revision 1 at ", "ctx confirm"] {
        assert!(status.contains(said), "{status}");
    }
    // The soak is not over yet, so nothing happens.
    scene.test.run(&["resume"]).exits(Code::Awaiting).warns(&["soaks until "]);

    scene.come_back().exits(Code::Done);
    assert_eq!(scene.test.count("change_confirmed"), 3);
    assert_eq!(scene.test.count("soak_left"), 3, "one for each soak, however often resumed");
    let state = scene.serve.state();
    assert_eq!((state.armed, state.lease, state.provisional), (None, None, None));
    scene.ends_undisturbed();
}

#[test]
fn a_change_that_nobody_comes_back_for_reverts_and_is_tried_again() {
    let scene = Scene::new(&[HEALTH]);
    let before = scene.config();
    scene.detach(&["--confirm-within", "200ms"]);
    let state = scene.serve.until("the revert", |state| state.provisional.is_none());
    assert_eq!(state.config_hash, before);
    assert_eq!(state.armed.and_then(|armed| armed.tripped), None, "the phase goes on");
    scene.test.run(&["resume", "--attend"]).exits(Code::Done).warns(&["confirmed as revision 4"]);
    let void = scene.test.facts().into_iter().find_map(|fact| match fact {
        Fact::ChangeVoid { why, .. } => Some(why),
        _ => None,
    });
    assert_eq!(void.as_deref(), Some("revision 2 was reverted by the orchestrator"));
    scene.ends_undisturbed();
}

#[test]
fn a_breach_that_nobody_watches_takes_the_phase_back() {
    let scene = Scene::new(&[POOLING]);
    let before = scene.config();
    // Two parts are confirmed before anything goes wrong: they are taken back as well.
    let attended = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    attended.kill();
    scene.test.run(&["resume", "--detach"]).exits(Code::Awaiting);
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let state = scene.serve.until("the trip", |state| {
        state.armed.as_ref().is_some_and(|armed| armed.tripped.is_some())
    });
    assert_eq!((state.config_hash, state.provisional), (before.clone(), None));
    scene.legacy.inject(Faults::default());

    scene.test.run(&["resume"]).exits(Code::RolledBack).warns(&[
        "the phase failed and was rolled back",
        "guard `error-rate`",
        "limit at most 5%, breach 2 of 2",
    ]);
    assert_eq!(scene.config(), before);
    assert_eq!(scene.serve.state().armed, None);
    scene.test.run(&["report"]).exits(Code::Done).says(&["error-rate"]);
    scene.ends();
}

#[test]
fn a_breach_is_found_by_a_process_that_was_stopped_meanwhile() {
    let scene = Scene::new(&[POOLING]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    running.stop();
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    scene.serve.until("the trip", |state| {
        state.armed.as_ref().is_some_and(|armed| armed.tripped.is_some())
    });
    assert_eq!(scene.config(), before, "with ctx stopped, the orchestrator acts alone");
    scene.legacy.inject(Faults::default());
    running.go_on();
    running.ends().exits(Code::RolledBack).warns(&["guard `error-rate`"]);
    assert_eq!(scene.config(), before);
    scene.ends();
}

#[test]
fn what_cannot_be_kept_so_long_is_refused_before_anything_begins() {
    let scene = Scene::new(&[&HEALTH.replace("300ms", "6d")]);
    let args = ["migrate", "phase", "1", "--yes", "--detach", "--confirm-within", "2d"];
    scene.test.run(&args).exits(Code::Refused).warns(&["soaks too long", "7d"]);
    let alone = ["migrate", "phase", "1", "--yes", "--confirm-within", "2d"];
    scene.test.run(&alone).exits(Code::Usage).warns(&["--detach"]);
    assert!(scene.test.facts().is_empty());
}
