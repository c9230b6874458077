//! Steps outside the configuration: programs that run, and are undone last first.

use ctx::error::Code;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use super::{HEALTH, Scene};

/// The inner folder can only be made after the outer one, and the outer one only removed after
/// the inner one.
const FOLDERS: &str = r#"
  [[phase.step]]
  id  = "outer"
  run = { do = ["mkdir", "-p", "marks"], undo = ["rmdir", "marks"], timeout = "10s" }

  [[phase.step]]
  id  = "inner"
  run = { do = ["mkdir", "-p", "marks/inner"], undo = ["rmdir", "marks/inner"], timeout = "10s" }
"#;

const FAILS: &str = r#"
  [[phase.step]]
  id  = "fails"
  run = { do = ["ls", "no-such-file"], undo = ["true"], timeout = "10s" }
"#;

#[test]
fn programs_run_and_are_undone_last_first() {
    let scene = Scene::new(&[HEALTH, FOLDERS]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Done);
    assert!(scene.test.path("marks/inner").is_dir());
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    assert!(!scene.test.path("marks").exists(), "the inner one went first");
    assert_eq!(scene.config(), before);
    scene.ends_undisturbed();
}

#[test]
fn a_program_that_fails_undoes_what_came_before_it() {
    let scene = Scene::new(&[HEALTH, FOLDERS, FAILS]);
    let before = scene.config();
    scene.migrate("1").exits(Code::RolledBack).warns(&["step `fails`", "no-such-file"]);
    assert!(!scene.test.path("marks").exists());
    assert_eq!(scene.config(), before);
    scene.ends_undisturbed();
}

#[test]
fn an_undo_that_fails_asks_for_a_person_after_undoing_the_rest() {
    let stuck = r#"
  [[phase.step]]
  id  = "stuck"
  run = { do = ["true"], undo = ["ls", "no-way-back"], timeout = "10s" }
"#;
    let scene = Scene::new(&[HEALTH, FOLDERS, stuck, FAILS]);
    let before = scene.config();
    scene
        .migrate("1")
        .exits(Code::RollbackIncomplete)
        .warns(&["the rollback is incomplete: a person is needed", "could not undo `stuck`"]);
    assert!(!scene.test.path("marks").exists(), "the others are undone all the same");
    assert_eq!(scene.config(), before);
    let report = scene.test.run(&["report", "--json"]).exits(Code::Done).json();
    assert!(report["issues"].to_string().contains("no-way-back"), "{report}");
    scene.ends_undisturbed();
}

#[test]
fn guards_are_watched_while_a_program_runs_and_end_it() {
    let long = r#"
  [[phase.step]]
  id  = "long"
  run = { do = ["sleep", "60"], undo = ["mkdir", "undone"], timeout = "2m" }
"#;
    let scene = Scene::new(&[HEALTH, long]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "local_intended");
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    running.ends().exits(Code::RolledBack).warns(&["guard `error-rate` at step `long`"]);
    assert!(scene.test.path("undone").is_dir(), "what may be half done is undone");
    assert_eq!(scene.config(), before);
    scene.ends();
}

#[test]
fn a_program_that_takes_too_long_fails_its_step() {
    let long = r#"
  [[phase.step]]
  id  = "long"
  run = { do = ["sleep", "60"], undo = ["true"], timeout = "500ms" }
"#;
    let scene = Scene::new(&[HEALTH, long]);
    let running = scene.begin("1");
    running.ends().exits(Code::RolledBack).warns(&["step `long`", "was ended after 500ms"]);
    scene.ends_undisturbed();
}

#[test]
fn a_question_without_anybody_to_answer_waits_for_a_person() {
    let ask = r#"
  [[phase.step]]
  id      = "ask"
  approve = "Are the customers happy?"
"#;
    let scene = Scene::new(&[HEALTH, ask]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    running.kill();
    scene.test.run(&["migrate", "phase", "1"]).exits(Code::Awaiting).warns(&[
        "the phase waits for an approval",
        "Are the customers happy?",
        "ctx migrate phase 1 --yes",
    ]);
    scene.test.run(&["status"]).exits(Code::Done).says(&["ctx migrate phase 1"]);
    scene.migrate("1").exits(Code::Done);
    assert_eq!(scene.test.count("approved"), 1);
    scene.ends_undisturbed();
}
