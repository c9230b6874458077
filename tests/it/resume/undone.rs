//! `ctx rollback`: of a run in flight, of what is confirmed, and of nothing.

use ctx::error::Code;

use super::{HEALTH, POOLING, Scene};

#[test]
fn nothing_to_roll_back_is_no_error() {
    let scene = Scene::new(&[HEALTH]);
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done).warns(&["nothing to roll back"]);
    scene.migrate("1").exits(Code::Done);
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done).warns(&["nothing to roll back"]);
    scene.ends_undisturbed();
}

#[test]
fn a_run_that_was_killed_is_undone_without_the_plan_file() {
    let scene = Scene::new(&[HEALTH, POOLING]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Done);
    let after_first = scene.config();
    let running = scene.begin("2");
    scene.test.until_recorded(3, "soak_begun");
    running.kill();
    std::fs::remove_file(scene.test.path("plans/small.toml")).unwrap();
    scene.test.run(&["rollback", "--no-input"]).exits(Code::NeedsConfirmation);
    scene.test.run(&["rollback", "--yes", "--reason", "customers complain"]).exits(Code::Done);
    assert_eq!(scene.config(), after_first, "the phase in flight is undone");
    scene.test.run(&["history"]).exits(Code::Done).says(&["customers complain"]);
    scene.test.run(&["rollback", "--to", "start", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), before);
    let state = scene.serve.state();
    assert_eq!((state.provisional, state.lease), (None, None));
    scene.ends_undisturbed();
}

#[test]
fn a_rollback_that_is_killed_is_finished_by_the_next_one() {
    // Its undo is still at work when the last of the kills comes.
    let slow = r#"
  [[phase.step]]
  id  = "slow"
  run = { do = ["true"], undo = ["sleep", "1"], timeout = "20s" }
"#;
    let scene = Scene::new(&[HEALTH, slow, &POOLING.replace("1500ms", "0s")]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Done);
    scene.migrate("2").exits(Code::Done);
    for kind in ["restore_intended", "restore_applied", "undo_intended"] {
        let running = scene.test.spawn(&["rollback", "--to", "start", "--yes"]);
        scene.test.until_recorded(1, kind);
        running.kill();
        scene.migrate("1").exits(Code::Refused).warns(&["finish it with `ctx rollback`"]);
    }
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), before);
    let report = scene.test.run(&["report", "--json"]).exits(Code::Done).json();
    for phase in report["phases"].as_array().unwrap() {
        assert_eq!(phase["status"], "rolled_back", "{report}");
    }
    scene.ends_undisturbed();
}

#[test]
fn all_phases_run_one_after_the_other_and_only_once() {
    let scene = Scene::new(&[HEALTH, &POOLING.replace("1500ms", "0s")]);
    let before = scene.config();
    scene.test.run(&["migrate", "next", "--yes"]).exits(Code::Done);
    scene.test.run(&["migrate", "all", "--yes"]).exits(Code::Done);
    assert_eq!(scene.test.count("run_begun"), 2);
    let next = scene.test.run(&["migrate", "next", "--yes"]).exits(Code::Done);
    next.warns(&["nothing to do: every phase is confirmed"]);
    scene.test.run(&["rollback", "--to", "start", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), before);
    scene.migrate("2").exits(Code::Refused).warns(&["comes first and is not confirmed"]);
    scene.ends_undisturbed();
}

#[test]
fn a_rollback_keeps_what_it_is_told_to_keep() {
    let scene = Scene::new(&[HEALTH, &POOLING.replace("1500ms", "0s")]);
    scene.migrate("1").exits(Code::Done);
    let after_first = scene.config();
    scene.migrate("2").exits(Code::Done);
    scene.test.run(&["rollback", "--to", "nowhere", "--yes"]).exits(Code::Usage);
    scene.test.run(&["rollback", "--to", "health", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), after_first);
    scene.migrate("2").exits(Code::Done);
    scene.ends_undisturbed();
}
