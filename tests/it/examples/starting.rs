//! What comes first: a project, a rehearsal, and an orchestrator.

use super::act::{Act, act};
use super::scene::{PLAN_FILE, Scene};

pub(super) const INIT: &[Act] = &[
    act("ctx init --adopt --orchestrator http://127.0.0.1:7700 --yes", "baseline"),
    act("ctx init", "written:")
        .after(|scene| std::fs::remove_file(scene.test.path(PLAN_FILE)).unwrap())
        .typing(&[("called [", "billing\n"), ("few words [", "\n"), ("file:PATH) [", "\n")]),
    act("ctx init shop --title \"The shop behind the orchestrator\" --no-input", "plans/shop.toml"),
];

#[test]
fn what_begins_a_project() {
    Scene::served().plays(INIT);
}

pub(super) const REHEARSE: &[Act] = &[
    act("ctx rehearse", "every phase is confirmed"),
    act("ctx rehearse plans/contexten.toml", "every phase is confirmed"),
    act("ctx rehearse plans/contexten.toml --soaks 20s", "every phase is confirmed"),
    act("ctx rehearse --drill --phase 2 --fault errors --junit drill.xml", "errors")
        .after(|scene| scene.edits("\"100%\"], soak = \"50ms\"", "\"100%\"], soak = \"1s\""))
        .leaves("drill.xml"),
];

#[test]
fn what_rehearses() {
    Scene::new().plays(REHEARSE);
}

/// Anywhere, since other tests serve too, and for the first time.
fn on_free_ports(scene: &mut Scene) {
    let state = ctx::ids::random_hex::<4>();
    let serve = format!("ctx serve --state {state} --listen 127.0.0.1:0 --control 127.0.0.1:0");
    scene.is("ctx serve", serve);
}

/// In front of the app there is one that runs.
fn served(scene: &mut Scene) {
    let url = scene.legacy.url();
    scene.serves(&url, &[]);
    let (data, control) = (&scene.serve().data, &scene.serve().control);
    let serve = format!("ctx serve --state state --listen {data} --control {control}");
    scene.is("ctx serve", serve);
}

const SERVING: &[(&str, &str)] = &[("control=http://", "\x03")];

pub(super) const SERVE: &[Act] = &[
    act("ctx serve --legacy http://127.0.0.1:8000", "data=http://")
        .after(on_free_ports)
        .verbatim()
        .typing(SERVING),
    act(
        "ctx serve --legacy http://127.0.0.1:8000 --github-secret env:GITHUB_SECRET",
        "data=http://",
    )
    .after(on_free_ports)
    .verbatim()
    .typing(SERVING),
    act("ctx serve --legacy http://127.0.0.1:8000 --take-over", "data=http://")
        .after(served)
        .verbatim()
        .typing(SERVING),
];

#[test]
fn what_serves() {
    let mut scene = Scene::new();
    scene.plays(SERVE);
    // The one before let the last one take its place.
    let mut before = scene.serve.take().unwrap();
    assert_eq!(crate::support::until("the one before ends", || before.ended()), 0);
}
