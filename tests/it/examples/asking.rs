//! A run in flight: what it shows, and what is asked of it from another terminal.

use super::act::{Act, act};
use super::scene::Scene;

/// A run of phase 2 is in flight, and soaks for a minute.
fn soaking(scene: &mut Scene) {
    let begun = scene.test.count("soak_begun");
    scene.begins(&["migrate", "phase", "2", "--yes"]);
    scene.test.until_recorded(begun + 1, "soak_begun");
}

/// What was in flight is taken back, and begins again.
fn anew(scene: &mut Scene) {
    if let Some(running) = scene.running.take() {
        running.ends();
    }
    soaking(scene);
}

pub(super) const SCRIPT: &[Act] = &[
    act("ctx status --watch", "pool-ramp").after(soaking).typing(&[("pool-ramp", "q")]),
    act("ctx status --prompt", "2/2 pool-ramp 1/2 soaking"),
    act("ctx pause --yes", "ctx resume"),
    act("ctx pause --reason \"release freeze\"", "ctx resume").after(anew).confirmed(),
    act("ctx confirm", "kept").after(anew).confirmed(),
    act("ctx confirm --yes --orchestrator http://127.0.0.1:7700", "kept").after(|scene| {
        let begun = scene.test.count("soak_begun");
        scene.test.until_recorded(begun.max(4), "soak_begun");
    }),
    act("ctx abort", "ctx resume")
        .after(|scene| {
            if let Some(running) = scene.running.take() {
                running.ends();
            }
            scene.ctx(&["rollback", "--yes"]);
            soaking(scene);
        })
        .confirmed(),
    act("ctx abort --yes --reason \"customers complain\"", "ctx resume").after(anew),
];

#[test]
fn what_asks_a_run_in_flight() {
    let mut scene = Scene::busy();
    scene.ctx(&["migrate", "phase", "1", "--yes"]);
    scene.edits("\"100%\"], soak = \"50ms\"", "\"100%\"], soak = \"60s\"");
    scene.plays(SCRIPT);
}
