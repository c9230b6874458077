//! Ctrl-C, and an orchestrator that does not answer.

use ctx::error::Code;

use super::{POOLING, Scene};

#[test]
fn ctrl_c_stops_at_a_safe_point_and_says_how_to_go_on() {
    let scene = Scene::new(&[POOLING]);
    let before = scene.config();
    // In the first soak, nothing is confirmed yet.
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    assert_ne!(scene.config(), before);
    running.interrupt();
    running.ends().exits(Code::Interrupted).warns(&[
        "SIGINT received, stopping at the next safe point",
        "stopped by SIGINT at a safe point",
        "go on with `ctx migrate phase 1`",
        "`ctx rollback`",
    ]);
    let state = scene.serve.state();
    assert_eq!((state.config_hash, state.provisional, state.lease), (before, None, None));
    // In the second soak, the first part stays.
    let running = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    let confirmed = scene.serve.state().confirmed;
    scene.test.until_recorded(3, "soak_begun");
    running.interrupt();
    running.ends().exits(Code::Interrupted);
    let state = scene.serve.state();
    assert_eq!(state.config.flags["connection_pooling"].percentage.to_string(), "25%");
    assert!(state.confirmed > confirmed, "the revert is a revision of its own");
    assert_eq!(state.provisional, None);
    scene.test.run(&["status"]).exits(Code::Done).says(&["ctx migrate phase 1"]);

    scene.migrate("1").exits(Code::Done);
    assert_eq!(scene.test.count("interrupted"), 2);
    assert_eq!(scene.test.count("change_confirmed"), 3);
    scene.is_proven();
}

#[test]
fn a_phase_in_flight_can_be_run_or_undone_and_nothing_else() {
    let scene = Scene::new(&[POOLING, super::HEALTH]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    // One writer at a time.
    scene.migrate("1").exits(Code::Locked);
    scene.test.run(&["status"]).exits(Code::Done).says(&["pool-ramp"]);
    running.kill();
    scene.migrate("2").exits(Code::Refused).warns(&["has not ended", "ctx rollback"]);
    let edited = POOLING.replace("128", "256");
    scene.plan(&[&edited, super::HEALTH]);
    scene.migrate("1").exits(Code::PlanEdited).warns(&["was edited while its run is in flight"]);
    let commented = format!("{POOLING}\n# a comment changes nothing\n");
    scene.plan(&[&commented, super::HEALTH]);
    scene.migrate("1").exits(Code::Done);
}
