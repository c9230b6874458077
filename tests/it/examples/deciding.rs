//! A canary in flight, and a lease whose holder is gone.

use ctx::error::Code;

use super::act::{Act, act};
use super::scene::{PLAN_FILE, Scene};

/// A phase that gives a second app its share of the traffic.
const NEXT: &str = r#"
[[phase]]
id    = "next"
title = "The next app"

  [[phase.step]]
  id     = "canary"
  canary = { upstream = "next", url = "NEXT", to = ["20%", "50%", "100%"], soak = "60s" }
"#;

/// Three in a hundred fail here, and nearly all there.
fn samples() -> String {
    let failed = |one_in: usize| (0..200).map(|n| n % one_in == 0).collect::<Vec<_>>();
    serde_json::json!({ "schema": "ctx.samples/1", "metrics": [
        { "kind": "outcomes", "name": "errors", "baseline": failed(33), "canary": failed(2) },
    ] })
    .to_string()
}

/// The phase of the canary is in flight, at its first weight.
fn canary(scene: &mut Scene) {
    if let Some(running) = scene.running.take() {
        running.ends();
    }
    let begun = scene.test.count("soak_begun");
    scene.begins(&["migrate", "phase", "next", "--yes"]);
    scene.test.until_recorded(begun + 1, "soak_begun");
}

pub(super) const CANARY: &[Act] = &[
    act("ctx canary status", "canary next: 20% wanted, 20% in force").after(canary),
    act("ctx canary status --json", "\"weight\""),
    act("ctx canary promote", "kept").confirmed(),
    act("ctx canary promote --yes --reason \"looks good\"", "kept")
        .after(|scene| scene.test.until_recorded(2, "soak_begun")),
    act("ctx canary abort", "ctx resume")
        .after(|scene| scene.test.until_recorded(3, "soak_begun"))
        .confirmed(),
    act("ctx canary abort --yes", "ctx resume").after(canary),
    act("ctx canary promote --yes --reason \"enough traffic\"", "kept").after(canary),
    act("ctx canary abort --yes --reason \"customers complain\"", "ctx resume")
        .after(|scene| scene.test.until_recorded(6, "soak_begun")),
    act("ctx canary judge samples.json", "errors")
        .after(|scene| scene.test.write("samples.json", &samples()))
        .ends(Code::CriteriaNotMet),
    act("ctx canary judge samples.json --json", "\"fail\"").ends(Code::CriteriaNotMet),
];

#[test]
fn what_decides_on_a_canary() {
    let mut scene = Scene::busy();
    let next = scene.legacy.start_beside().unwrap();
    let plan = std::fs::read_to_string(scene.test.path(PLAN_FILE)).unwrap();
    let plan = plan.replacen("\n[[phase]]", &format!("{NEXT}\n[[phase]]"), 1);
    scene.test.write(PLAN_FILE, &plan.replace("NEXT", &next.url()));
    scene.next = Some(next);
    scene.plays(CANARY);
}

/// Whoever drove the run is gone, and holds the lease.
fn gone(scene: &mut Scene) {
    let begun = scene.test.count("soak_begun");
    scene.begins(&["migrate", "phase", "1", "--yes"]);
    scene.test.until_recorded(begun + 1, "soak_begun");
    let counter = scene.serve().state().lease.unwrap().counter;
    scene.is("--lease 41", format!("--lease {counter}"));
    scene.running.take().unwrap().kill();
}

pub(super) const LOCK: &[Act] = &[
    act("ctx lock show", "held by    ada@").after(gone),
    act("ctx lock show --json", "\"counter\""),
    act("ctx lock release --lease 41 --reason \"her laptop burned\"", "released lease")
        .confirmed(),
    act(
        "ctx lock release --lease 41 --yes --reason \"ops-2 is down\" --orchestrator http://127.0.0.1:7700",
        "released lease",
    )
    .after(gone),
];

#[test]
fn what_releases_a_lock() {
    let mut scene = Scene::busy();
    scene.edits("soak  = \"2s\"", "soak  = \"60s\"");
    scene.plays(LOCK);
}
