//! A guard that is breached, and a criterion that is not met.

use ctx::error::Code;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use super::{HEALTH, POOLING, Scene};

/// Nothing on this machine answers so much.
const IMPOSSIBLE: &str = r#"
  [[phase.criterion]]
  id     = "impossible"
  metric = "throughput"
  min    = 1000000000
"#;

#[test]
fn errors_in_a_soak_roll_the_phase_back_and_name_the_guard_and_both_numbers() {
    let scene = Scene::new(&[HEALTH, POOLING]);
    scene.migrate("1").exits(Code::Done);
    let before = scene.config();
    let running = scene.begin("2");
    scene.test.until_recorded(3, "soak_begun");
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    running.ends().exits(Code::RolledBack).warns(&[
        "the phase failed and was rolled back",
        "guard `error-rate`",
        "limit at most 5%, breach 2 of 2",
        "error_rate ",
        "read back and compared",
    ]);
    let state = scene.serve.state();
    assert_eq!((state.config_hash.as_str(), state.provisional), (before.as_str(), None));
    let report = scene.test.run(&["report", "--json"]).exits(Code::Done).json();
    let issue = report["issues"][0].to_string();
    assert!(issue.contains("error-rate") && issue.contains("limit at most 5%"), "{report}");
    assert_eq!(report["phases"][0]["status"], "confirmed", "{report}");
    assert_eq!(report["phases"][1]["status"], "rolled_back", "{report}");
    scene.test.run(&["history"]).exits(Code::Done).says(&["rolled back", "error-rate"]);

    scene.legacy.inject(Faults::default());
    scene.migrate("2").exits(Code::Done);
    scene.ends();
}

#[test]
fn a_criterion_that_is_not_met_rolls_the_phase_back() {
    let scene = Scene::new(&[HEALTH, IMPOSSIBLE]);
    let before = scene.config();
    scene
        .migrate("1")
        .exits(Code::RolledBack)
        .warns(&["criterion `impossible`: throughput ", "limit at least 1000000000"]);
    assert_eq!(scene.config(), before);
    scene.test.run(&["validate"]).exits(Code::CriteriaNotMet).says(&["NOT MET"]);
}

#[test]
fn a_plan_may_hold_instead_of_rolling_back() {
    let hold = HEALTH.replace("[[phase]]", "[[phase]]\non_failure = \"hold\"");
    let scene = Scene::new(&[&hold, IMPOSSIBLE]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Failed).warns(&[
        "the phase failed and was not rolled back",
        "criterion `impossible`",
        "undo it with `ctx rollback`",
    ]);
    assert_ne!(scene.config(), before, "what was confirmed stays");
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), before);
    scene.ends_undisturbed();
}

#[test]
fn a_phase_that_was_held_and_then_finished_is_undone_to_before_both() {
    let hold = HEALTH.replace("[[phase]]", "[[phase]]\non_failure = \"hold\"");
    let scene = Scene::new(&[&hold, IMPOSSIBLE]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Failed);
    scene.plan(&[&hold]);
    scene.migrate("1").exits(Code::Done);
    scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    assert_eq!(scene.config(), before);
    scene.ends_undisturbed();
}

#[test]
fn a_plan_may_roll_everything_back() {
    let all = HEALTH.replace("[[phase]]", "[[phase]]\non_failure = \"rollback-all\"");
    let scene = Scene::new(&[&POOLING.replace("1500ms", "0s"), &all, IMPOSSIBLE]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Done);
    assert_ne!(scene.config(), before);
    scene.migrate("2").exits(Code::RolledBack).warns(&["criterion `impossible`"]);
    assert_eq!(scene.config(), before, "the phase before is undone too");
    let report = scene.test.run(&["report", "--json"]).exits(Code::Done).json();
    for phase in report["phases"].as_array().unwrap() {
        assert_eq!(phase["status"], "rolled_back", "{report}");
    }
    scene.ends_undisturbed();
}
