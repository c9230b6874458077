//! What is done to the service itself: flags, extensions, events, load.

use ctx::control::config::{InboxMode, Mode, flag};
use ctx::units::Percent;

use super::act::{Act, act};
use super::scene::Scene;
use crate::support::markdown::root;
use crate::support::scripted::Scripted;
use crate::support::{block_on, peer, until};

/// A flag with variants and a rule, of another tool.
const DEFINITION: &str = r##"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "header": {
      "state": "ENABLED",
      "variants": { "red": "#f00", "gold": "#fd0" },
      "defaultVariant": "red",
      "targeting": { "if": [{ "==": [{ "var": "plan" }, "gold"] }, "gold"] }
    }
  }
}"##;

pub(super) const FLAGS: &[Act] = &[
    act("ctx flags list", "connection_pooling"),
    act("ctx flags list --json", "connection_pooling"),
    act("ctx flags eval connection_pooling --user ada", "off"),
    act("ctx flags explain connection_pooling --user ada", "bucket"),
    act("ctx flags set connection_pooling --on --percentage 25%", "connection_pooling").confirmed(),
    act("ctx flags set caching_layer --off --yes --reason \"stale prices\"", "caching_layer"),
    act("ctx flags import flags.json", "header")
        .after(|scene| scene.test.write("flags.json", DEFINITION))
        .confirmed(),
    act("ctx flags import flags.json --yes --reason \"change 4711\"", "header")
        .after(|scene| scene.test.write("flags.json", &DEFINITION.replace("#f00", "#e00"))),
    act("ctx flags eval header --user ada --context plan=gold --json", "#fd0"),
    act("ctx flags explain header --user ada --context plan=gold", "gold"),
    act("ctx flags export --orchestrator http://127.0.0.1:7700", "header").verbatim(),
    act("ctx flags export > flags.json", "").leaves("flags.json"),
];

#[test]
fn what_changes_flags() {
    Scene::served().plays(FLAGS);
}

pub(super) const EXTENSIONS: &[Act] = &[
    act("ctx extension validate examples/extensions/greeter.toml", "no faults").verbatim(),
    act(
        "ctx extension validate plans/extensions/linear.toml plans/extensions/github.toml",
        "no faults",
    ),
    act("ctx extension install examples/extensions/greeter.toml", "done as of").confirmed(),
    act("ctx extension list", "greeter"),
    act("ctx extension list --json", "\"greeter\""),
    act("ctx extension remove greeter", "done as of").confirmed(),
    act(
        "ctx extension install plans/extensions/linear.toml plans/extensions/github.toml --yes",
        "done as of",
    ),
    act("ctx extension swap examples/extensions/linear.toml", "done as of").confirmed(),
    act(
        "ctx extension swap examples/extensions/linear.toml --yes --reason \"change 4711\"",
        "done as of",
    )
    .after(|scene| {
        let file = "examples/extensions/linear.toml";
        let manifest = std::fs::read_to_string(scene.test.path(file)).unwrap();
        scene.test.write(file, &manifest.replace("2.0.0", "2.0.1"));
    }),
    act("ctx extension remove greeter github-integration --yes", "done as of").after(|scene| {
        // Both would handle Linear's events.
        scene.ctx(&["extension", "remove", "linear-integration", "--yes"]);
        scene.ctx(&["extension", "install", "examples/extensions/greeter.toml", "--yes"]);
    }),
];

#[test]
fn what_changes_extensions() {
    if peer::require("python").is_none() {
        return;
    }
    let mut scene = Scene::new();
    for folder in ["examples/extensions", "plans/extensions"] {
        for file in std::fs::read_dir(root().join(folder)).unwrap() {
            let file = file.unwrap();
            let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
            scene.test.write(&format!("{folder}/{}", file.file_name().display()), &text);
        }
    }
    let url = scene.legacy.url();
    scene.serves(&url, &["--programs", "examples/extensions"]);
    scene.plays(EXTENSIONS);
}

/// Two events of which the app says that it does not want them are dead letters; the examples'.
fn dead(scene: &mut Scene) {
    let client = scene.serve().client();
    let letters = || block_on(client.dead_letters(0)).unwrap();
    // What was put back is tried first.
    until("nothing waits", || (block_on(client.inbox()).unwrap().pending == 0).then_some(()));
    let push = |delivery: &str| {
        let url = format!("http://{}/github/events", scene.serve().data);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = http.post(url).header("x-github-delivery", delivery).body("{}");
        let answer = block_on(call.send()).unwrap();
        assert_eq!(answer.status(), 200);
    };
    for n in letters().len()..2 {
        push(&format!("72d3162e-cc78-11e3-81ab-4c9367dc095{n}-{}", ctx::ids::random_hex::<4>()));
    }
    let letters = until("two dead letters", || Some(letters()).filter(|dead| dead.len() == 2));
    scene.is("41 42", format!("{} {}", letters[0].id, letters[1].id));
    scene.is(" 41", format!(" {}", letters[0].id));
}

pub(super) const EVENTS: &[Act] = &[
    act("ctx events status", "2 dead").after(dead),
    act("ctx events status --json", "\"dead\":2"),
    act("ctx events dead", "does not want it"),
    act("ctx events dead --json", "does not want it"),
    act("ctx events show 41", "x-github-delivery"),
    act("ctx events show 41 --json", "x-github-delivery"),
    act("ctx events replay 41 42", "2 dead letters").after(dead),
    act("ctx events replay 41 42 --reason \"the app is back\"", "2 dead letters").after(dead),
    act("ctx events replay --all", "2 dead letters").after(dead),
    act("ctx events discard 41", "1 dead letter").after(dead).confirmed(),
    act("ctx events discard 41 42 --yes --reason \"sent by a test\"", "2 dead letters").after(dead),
];

#[test]
fn what_is_done_about_dead_letters() {
    let mut scene = Scene::new();
    let app = Scripted::start(|_| (400, "{}".to_owned()));
    scene.serves(&app.url(), &[]);
    scene.serve().set(|config| {
        config.mode = Mode::Enhanced;
        config.inbox.mode = InboxMode::Store;
        let flag = config.flags.get_mut(flag::DURABLE_INBOX).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
    });
    scene.plays(EVENTS);
}

pub(super) const SCRIPT: &[Act] = &[
    act("ctx load http://127.0.0.1:7780/ --rate 200 --lasts 1m", "p95"),
    act(
        "ctx load http://127.0.0.1:7780/ --stage 30s:0..500/s --stage 1m:500/s --threshold \"p95<100ms\"",
        "p95",
    ),
    act("ctx load http://127.0.0.1:7780/ --connections 64 --threads 2 --lasts 30s", "p95"),
    act(
        "ctx load http://127.0.0.1:7780 --webhooks github --secret github=env:HOOK --requests 500 --threshold \"errors<1%\"",
        "errors",
    ),
];

#[test]
fn what_sends_load() {
    Scene::served().plays(SCRIPT);
}
