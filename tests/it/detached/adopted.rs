//! `ctx init --adopt`: the ledger is gone, the run goes on.

use ctx::error::Code;

use crate::resume::{HEALTH, POOLING, Scene};
use crate::support::Test;
use crate::support::serve::TOKEN;

impl Scene {
    /// Another machine, with the plan but without the ledger.
    #[track_caller]
    pub(super) fn other_machine(&self) -> Test {
        let test = Test::new().env("CTX_TOKEN", TOKEN);
        let plan = std::fs::read_to_string(self.test.path("plans/small.toml")).unwrap();
        test.write("plans/small.toml", &plan);
        test
    }
}

#[test]
fn a_detached_run_is_adopted_and_finished_without_its_ledger() {
    let scene = Scene::new(&[POOLING]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    running.kill();
    scene.test.run(&["resume", "--detach"]).exits(Code::Awaiting);
    let other = scene.other_machine();
    other
        .run(&["init", "--adopt", "--yes"])
        .exits(Code::Done)
        .warns(&["of phase 1 `pooling` adopted"]);
    other.run(&["ledger", "verify"]).exits(Code::Done);
    other.run(&["status"]).exits(Code::Done).says(&["pooling"]);
    other.run(&["init", "--adopt", "--yes"]).exits(Code::Refused).warns(&["has runs in it"]);
    // Nothing is done twice: the part that was confirmed before stays confirmed.
    other.run(&["resume", "--attend"]).exits(Code::Done);
    let confirmed = other.facts().iter().filter(|f| f.kind() == "change_confirmed").count();
    assert_eq!(confirmed, 3);
    let state = scene.serve.state();
    assert_eq!((state.armed, state.provisional), (None, None));
    assert_eq!(state.config.flags["connection_pooling"].percentage.to_string(), "100%");
    scene.traffic.stop().is_undisturbed();
}

#[test]
fn an_adopted_run_can_be_rolled_back() {
    let scene = Scene::new(&[POOLING]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    running.kill();
    let other = scene.other_machine();
    other.run(&["init", "--adopt", "--yes"]).exits(Code::Done);
    other.run(&["rollback", "--yes"]).exits(Code::Done);
    let state = scene.serve.state();
    assert_eq!((state.config_hash, state.armed), (before, None));
    scene.traffic.stop().is_undisturbed();
}

#[test]
fn without_a_run_the_orchestrator_is_the_baseline() {
    let scene = Scene::new(&[HEALTH]);
    let other = scene.other_machine();
    other
        .run(&["init", "--adopt", "--yes"])
        .exits(Code::Done)
        .warns(&["revision 1 is the baseline"]);
    other.run(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    scene.traffic.stop().is_undisturbed();
}
