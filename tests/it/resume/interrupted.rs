//! Ctrl-C, and an orchestrator that does not answer.

use ctx::error::Code;

use super::{HEALTH, POOLING, Scene};
use crate::support::serve::TOKEN;
use crate::support::{Running, Test};

#[test]
fn ctrl_c_stops_at_a_safe_point_and_says_how_to_go_on() {
    let scene = Scene::new(&[POOLING]);
    let before = scene.config();
    // In the first soak, nothing is confirmed yet.
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    assert_ne!(scene.config(), before);
    // Some senders signal the process and its group: that is one press, not two.
    running.interrupt();
    running.terminate();
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
    scene.ends_undisturbed();
}

#[test]
fn however_a_run_ends_its_records_say_how() {
    let scene = Scene::new(&[POOLING]);
    let ends = |running: Running, code: Code| {
        let records = running.ends().exits(code).records();
        let (first, last) = (&records[0], records.last().unwrap());
        assert_eq!((&first["type"], &last["type"]), (&"version".into(), &"run_end".into()));
        assert_eq!(last["exit_code"], code.number(), "{last}");
        let others = records.iter().filter(|record| record["type"] == "run_end").count();
        assert_eq!(others, 1, "{records:?}");
    };
    let begin = |args: &[&str]| scene.test.spawn(&[args, &["--yes", "--json"]].concat());
    ends(begin(&["migrate", "phase", "nowhere"]), Code::Usage);
    ends(begin(&["rollback"]), Code::Done);
    let running = begin(&["migrate", "phase", "1"]);
    scene.test.until_recorded(1, "soak_begun");
    ends(begin(&["rollback"]), Code::Locked);
    running.terminate();
    ends(running, Code::Terminated);
    ends(begin(&["migrate", "all"]), Code::Done);
    ends(begin(&["migrate", "phase", "1"]), Code::Done);
    ends(begin(&["rollback"]), Code::Done);
    scene.ends_undisturbed();
}

#[test]
fn a_phase_in_flight_can_be_run_or_undone_and_nothing_else() {
    let scene = Scene::new(&[POOLING, HEALTH]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    // One writer at a time.
    scene.migrate("1").exits(Code::Locked);
    scene.test.run(&["status"]).exits(Code::Done).says(&["pool-ramp"]);
    running.kill();
    scene.migrate("2").exits(Code::Refused).warns(&["has not ended", "ctx rollback"]);
    let edited = POOLING.replace("128", "256");
    scene.plan(&[&edited, HEALTH]);
    scene.migrate("1").exits(Code::PlanEdited).warns(&["was edited while its run is in flight"]);
    let commented = format!("{POOLING}\n# a comment changes nothing\n");
    scene.plan(&[&commented, HEALTH]);
    scene.migrate("1").exits(Code::Done);
}

#[test]
fn a_program_is_not_ended_by_the_ctrl_c_that_stops_the_run() {
    let slow = r#"
  [[phase.step]]
  id  = "slow"
  run = { do = ["sleep", "2"], undo = ["true"], timeout = "20s" }

  [[phase.step]]
  id  = "after"
  set = { "pool.max_idle" = 128 }
"#;
    let scene = Scene::new(&[HEALTH, slow]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "local_intended");
    // A terminal sends it to everything that it started.
    running.interrupt_group();
    running.ends().exits(Code::Interrupted).warns(&["go on with `ctx migrate phase 1`"]);
    assert_eq!(scene.test.count("local_done"), 1, "the program has ended by itself");
    assert_eq!(scene.test.count("change_intended"), 1, "nothing is begun after it");
    scene.migrate("1").exits(Code::Done);
    assert_eq!(scene.test.count("local_intended"), 1);
    scene.ends_undisturbed();
}

#[test]
fn two_desks_cannot_change_one_orchestrator_at_the_same_time() {
    let scene = Scene::new(&[POOLING]);
    let other = Test::new().env("CTX_TOKEN", TOKEN);
    scene.plan_for(&other, &[HEALTH]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    other
        .run(&["migrate", "phase", "1", "--yes"])
        .exits(Code::Locked)
        .warns(&["somebody else is changing this orchestrator", "holds the lease until"]);
    running.ends().exits(Code::Done);
    // Then the other one may; and the first one notices.
    other.run(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    scene.plan(&[POOLING, HEALTH]);
    scene.migrate("2").exits(Code::Refused).warns(&["is not the one that the last run left"]);
    let accepted = ["migrate", "phase", "2", "--yes", "--accept-drift"];
    scene.test.run(&accepted).exits(Code::Done);
    scene.ends_undisturbed();
}

#[test]
fn a_run_that_loses_its_orchestrator_leaves_and_goes_on_later() {
    let mut scene = Scene::new(&[POOLING]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    scene.serve.kill();
    scene.test.run(&["status"]).exits(Code::Done).says(&["not read: `--live` asks it"]);
    running.ends().exits(Code::Unreachable).warns(&[
        "does not answer",
        "what is provisional is taken back by the orchestrator itself",
        "go on with `ctx migrate phase 1`",
    ]);
    scene.test.run(&["rollback", "--yes"]).exits(Code::Unreachable);
    scene.serve.restart(&scene.test);
    assert_eq!(scene.config(), before);
    scene.migrate("1").exits(Code::Done);
    scene.ends();
}
