//! `ctx pause`, `ctx abort`, `ctx confirm`: from another terminal, and from another machine that
//! has neither plan nor ledger.

use ctx::error::Code;

use crate::resume::{HEALTH, POOLING, Scene};
use crate::support::serve::TOKEN;
use crate::support::{Ran, Test};

/// A machine that knows the address and has the token, and nothing else.
fn elsewhere() -> Test {
    Test::new().env("CTX_TOKEN", TOKEN)
}

impl Scene {
    #[track_caller]
    fn ask_from(&self, test: &Test, what: &str) -> Ran {
        let url = format!("http://{}", self.serve.control);
        test.run(&[what, "--yes", "--orchestrator", &url, "--reason", "a release freeze"])
    }
}

#[test]
fn a_run_is_paused_from_elsewhere_and_goes_on_later() {
    let long = POOLING.replace("1500ms", "60s");
    let scene = Scene::new(&[&long]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    scene.ask_from(&elsewhere(), "pause").exits(Code::Done);
    running.ends().exits(Code::Awaiting).warns(&["paused at a safe point", "ctx rollback"]);
    let state = scene.serve.state();
    assert_eq!((state.config_hash, state.provisional, state.lease), (before, None, None));
    assert_eq!(scene.test.count("heeded"), 1);
    // It was heard once: the next process does not pause again.
    let running = scene.begin("1");
    scene.test.until_recorded(2, "soak_begun");
    scene.ask_from(&scene.test, "confirm").exits(Code::Done);
    scene.test.until_recorded(1, "change_confirmed");
    scene.test.until_recorded(3, "soak_begun");
    assert_eq!(scene.test.count("change_confirmed"), 1, "one ask ends one soak");
    running.kill();
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    scene.ends_undisturbed();
}

#[test]
fn a_run_is_aborted_from_elsewhere_at_once() {
    let long = POOLING.replace("1500ms", "60s");
    let scene = Scene::new(&[&long]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    scene.ask_from(&elsewhere(), "abort").exits(Code::Done).warns(&["ctx resume"]);
    assert_eq!(scene.config(), before);
    running.ends().exits(Code::RolledBack).warns(&["abort", "a release freeze"]);
    scene.test.run(&["report"]).exits(Code::Done).says(&["a release freeze"]);
    scene.ask_from(&elsewhere(), "abort").exits(Code::Done).warns(&["nothing to abort"]);
    scene.ends_undisturbed();
}

#[test]
fn a_detached_soak_is_confirmed_or_taken_back_where_nobody_drives_the_run() {
    let scene = Scene::new(&[&HEALTH.replace("300ms", "60s")]);
    let before = scene.config();
    scene.detach(&[]);
    scene.ask_from(&elsewhere(), "pause").exits(Code::Done);
    assert_eq!(scene.config(), before);
    scene.test.run(&["resume"]).exits(Code::Awaiting);
    assert_ne!(scene.config(), before);
    scene.ask_from(&elsewhere(), "confirm").exits(Code::Done);
    assert_eq!(scene.serve.state().provisional, None);
    scene.test.run(&["resume"]).exits(Code::Done);
    assert_eq!(scene.test.count("change_confirmed"), 1);
    scene.ask_from(&elsewhere(), "confirm").exits(Code::Done).warns(&["nothing to confirm"]);
    scene.ends_undisturbed();
}

#[test]
fn a_question_that_nobody_answers_is_refused() {
    let scene = Scene::new(&[&HEALTH.replace("300ms", "60s")]);
    scene.detach(&[]);
    let during = scene.config();
    for what in ["pause", "abort", "confirm"] {
        scene.test.run(&[what, "--no-input"]).exits(Code::NeedsConfirmation);
        assert_eq!(scene.config(), during, "{what}");
    }
    let nowhere = elsewhere();
    nowhere.run(&["abort", "--yes"]).exits(Code::Usage).warns(&["--orchestrator"]);
}
