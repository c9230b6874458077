//! Canary steps from outside: a plan on real sockets, a second app beside the first, and traffic.

use std::time::Duration;

use ctx::control::wire::State;
use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::rehearsal::legacy::{Faults, Legacy};
use ctx::units::Percent;

use crate::resume::Scene;

/// The second app takes a growing share. Both answer within a few milliseconds on a machine that
/// is busy with other tests, so that only what is four times as slow counts, or thirty times the
/// slowest.
const CANARY: &str = r#"
[[phase]]
id    = "next"
title = "The next app"

  [[phase.step]]
  id     = "canary"
  canary = { upstream = "next", url = "NEXT", to = ["20%", "50%", "100%"], soak = "SOAK", min_samples = 30, max_error_increase = "10%", max_latency_ratio = 4.0, max_tail_ratio = 30.0 }
"#;

/// Another change, after the canary's.
const AFTER: &str = r#"
  [[phase.step]]
  id   = "cache-reads"
  set  = { "cache.mode" = "read" }
  soak = "10m"
"#;

/// A scene with a second app, and a plan that gives it traffic.
fn scene(soak: &str, min_samples: &str) -> (Scene, Legacy) {
    let scene = Scene::new(&[]);
    let next = scene.legacy.start_beside().unwrap();
    let phase = CANARY.replace("NEXT", &next.url()).replace("SOAK", soak);
    scene.plan(&[&phase.replace("min_samples = 30", min_samples)]);
    // The guard is not what is shown here.
    let plan = std::fs::read_to_string(scene.test.path("plans/small.toml")).unwrap();
    let plan = plan.replace("max         = \"5%\"", "max         = \"90%\"");
    scene.test.write("plans/small.toml", &plan);
    (scene, next)
}

/// What was decided, in order.
fn decisions(scene: &Scene) -> Vec<String> {
    let facts = scene.test.facts();
    let judged = facts.iter().filter_map(|fact| match fact {
        Fact::CanaryJudged { judgement, .. } => Some(judgement.why().to_owned()),
        _ => None,
    });
    judged.collect()
}

#[test]
fn a_good_canary_is_promoted_weight_by_weight() {
    let (scene, _next) = scene("1s", "min_samples = 30");
    scene.migrate("1").exits(Code::Done);
    let decided = decisions(&scene);
    let promoted: Vec<_> = decided.iter().filter(|why| why.starts_with("promote: ")).collect();
    assert_eq!(promoted.len(), 2, "at 20% and at 50%: {decided:?}");
    assert!(promoted[0].contains("error_rate canary 0% (n="), "{promoted:?}");
    let canary = scene.serve.state().config.canary.unwrap();
    assert_eq!((canary.upstream.as_str(), canary.weight), ("next", Percent::ALL));
    scene.ends_undisturbed();
}

#[test]
fn a_canary_with_errors_is_aborted_before_its_soak_is_over() {
    let (scene, next) = scene("10m", "min_samples = 30");
    let before = scene.config();
    next.inject(Faults { errors: Percent::whole(30), ..Faults::default() });
    scene.migrate("1").exits(Code::RolledBack).warns(&["abort: error_rate canary ", "-> worse"]);
    assert_eq!(scene.config(), before);
    assert_eq!(scene.test.count("change_confirmed"), 0);
    // The orchestrator is the one that judges.
    assert_eq!((scene.test.count("taken_back"), scene.test.count("step_failed")), (1, 0));
    scene.ends();
}

#[test]
fn a_worse_canary_that_nobody_watches_is_taken_out_by_the_orchestrator() {
    let (scene, next) = scene("10m", "min_samples = 30");
    let before = scene.config();
    let detach = ["migrate", "phase", "1", "--yes", "--detach"];
    scene.test.run(&detach).exits(Code::Awaiting);
    assert_eq!(scene.serve.state().lease, None, "nobody drives the run");
    next.inject(Faults { errors: Percent::whole(30), ..Faults::default() });
    let tripped = |state: &State| state.armed.as_ref().and_then(|armed| armed.tripped.clone());
    let state = scene.serve.until("the trip", |state| tripped(state).is_some());
    assert_eq!((&state.config_hash, &state.provisional), (&before, &None));
    let tripped = tripped(&state).unwrap();
    assert!(tripped.guard.is_none() && tripped.why.starts_with("abort: error_rate canary "));
    let resumed = scene.test.run(&["resume"]).exits(Code::RolledBack);
    resumed.warns(&["taken back by the orchestrator", "abort: error_rate canary ", "-> worse"]);
    assert_eq!(scene.config(), before);
    scene.ends();
}

#[test]
fn where_a_failed_phase_is_held_the_canary_is_judged_by_whoever_drives_it() {
    let (scene, next) = scene("10m", "min_samples = 30");
    let plan = std::fs::read_to_string(scene.test.path("plans/small.toml")).unwrap();
    let plan =
        plan.replace("title = \"The next app\"", "title = \"The next app\"\non_failure = \"hold\"");
    scene.test.write("plans/small.toml", &plan);
    next.inject(Faults { errors: Percent::whole(30), ..Faults::default() });
    let ran = scene.migrate("1");
    ran.warns(&["abort: error_rate canary ", "-> worse"]);
    assert_eq!((scene.test.count("taken_back"), scene.test.count("step_failed")), (0, 1));
    scene.ends();
}

#[test]
fn a_slow_canary_is_aborted_before_its_soak_is_over() {
    let (scene, next) = scene("10m", "min_samples = 30");
    let before = scene.config();
    next.inject(Faults { latency: Duration::from_millis(300), ..Faults::default() });
    scene.migrate("1").exits(Code::RolledBack).warns(&["abort: latency canary ", "-> worse"]);
    assert_eq!(scene.config(), before);
    scene.ends_undisturbed();
}

#[test]
fn a_canary_without_enough_traffic_is_held_until_a_person_decides() {
    let (scene, _next) = scene("1s", "min_samples = 1000000");
    scene.test.run(&["canary", "status"]).exits(Code::Done).says(&["no canary"]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "canary_judged");
    let held = decisions(&scene);
    assert!(
        held[0].starts_with("hold: ") && held[0].contains("needs 1000000 in each arm"),
        "{held:?}"
    );
    let weight = || scene.serve.state().config.canary.map(|canary| canary.weight);
    assert_eq!(weight(), Some(Percent::whole(20)));
    let told = scene.test.run(&["canary", "status"]).exits(Code::Done);
    told.says(&["canary next: 20% wanted, 20% in force", "control ", "hold: error_rate canary 0%"]);
    let told = scene.test.run(&["canary", "status", "--json"]).exits(Code::Done).json();
    assert_eq!(told["judgement"]["verdict"], "inconclusive", "{told}");
    assert!(told["arms"]["canary"]["requests"].as_u64() > Some(0), "{told}");

    let because = ["--yes", "--reason", "it has run for long enough"];
    let promote = [&["canary", "promote"], &because[..]].concat();
    scene.test.run(&promote).exits(Code::Done);
    scene.test.until_recorded(2, "soak_begun");
    assert_eq!(weight(), Some(Percent::whole(50)));
    let known = decisions(&scene);
    assert!(known.len() == 2 && known[1].starts_with("hold: error_rate canary 0%"), "{known:?}");
    let abort = [&["canary", "abort"], &because[..]].concat();
    scene.test.run(&abort).exits(Code::Done);
    running.ends().exits(Code::RolledBack);
    assert_eq!(scene.config(), before);
    assert_eq!(scene.test.count("heeded"), 1);
    assert_eq!(scene.test.count("taken_back"), 1);
    scene.test.run(&promote).exits(Code::Done).warns(&["no canary"]);
    scene.ends_undisturbed();
}

#[test]
fn promoting_keeps_no_change_but_the_canary_s() {
    let (scene, _next) = scene("1s", "min_samples = 30");
    let plan = std::fs::read_to_string(scene.test.path("plans/small.toml")).unwrap();
    scene.test.write("plans/small.toml", &format!("{plan}{AFTER}"));
    let running = scene.begin("1");
    scene.test.until_recorded(4, "soak_begun");
    let soaks = scene.serve.state().provisional.unwrap().rev;
    let promote = scene.test.run(&["canary", "promote", "--yes"]).exits(Code::Refused);
    promote.warns(&["what soaks is not a weight of the canary", "`ctx confirm` keeps that change"]);
    assert_eq!(scene.serve.state().provisional.unwrap().rev, soaks, "nothing was kept");
    assert_eq!(scene.test.count("heeded"), 0);
    scene.test.run(&["canary", "abort", "--yes"]).exits(Code::Done);
    running.ends().exits(Code::RolledBack);
    scene.ends_undisturbed();
}
