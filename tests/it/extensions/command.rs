//! `ctx extension`: from a manifest to events that are answered, and back.

use ctx::error::Code;
use serde_json::json;

use super::world::World;
use crate::support::{Test, peer};

/// A manifest of `program.py` in this version.
fn manifest(version: &str, start: &str) -> String {
    let python = peer::python();
    format!(
        r#"id = "probe"
name = "Probe"
version = "{version}"
category = "event_processor"
platform = "linear"
kind = "process"
command = ["{python}", "-B", "./program.py"]

[limits]
memory = "300MiB"
timeout = "5s"

[config]
say = "{version}"
start = "{start}"

[config_schema.say]
type = "string"
required = true

[config_schema.start]
type = "string"
choices = ["ready", "exit"]
default = "ready"
"#
    )
}

#[test]
fn an_extension_is_installed_swapped_and_removed() {
    let Some(world) = World::new() else { return };
    let file = "programs/probe.toml";
    let said = |args: &[&str]| world.ctx(&[&["extension"], args, &["--yes"]].concat());
    said(&["list"]).exits(Code::Done).warns(&["no extension is installed"]);
    world.test.write(file, &manifest("1.0.0", "ready"));
    said(&["install", file]).exits(Code::Done).says(&["install of probe: done as of revision 3"]);
    assert_eq!(world.send(&json!({})).says, "1.0.0");
    said(&["install", file]).exits(Code::Refused).warns(&["`probe` is installed already"]);
    said(&["swap", file]).exits(Code::Done).warns(&["nothing to do"]);
    said(&["list"]).exits(Code::Done).says(&["probe", "1.0.0", "running", "1 of 1", "0 of 8"]);

    world.test.write(file, &manifest("2.0.0", "ready"));
    let load = world.load(4);
    said(&["swap", file]).exits(Code::Done).says(&["swap of probe: done as of revision 4"]);
    load.more(20);
    world.test.write(file, &manifest("3.0.0", "exit"));
    said(&["swap", file]).exits(Code::RolledBack).warns(&[
        "the swap was taken back",
        "version 3.0.0 did not come up",
        "no reason to live",
        "version 2.0.0 serves",
    ]);
    load.more(20);
    let answers = load.stop();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(answers.last().unwrap().says, "2.0.0");
    assert_eq!(world.until_running("2.0.0").restarts, 0);
    let state = world.serve.state();
    assert_eq!(state.config.extensions["probe".parse().as_ref().unwrap()].version, "2.0.0");

    said(&["remove", "prope"]).exits(Code::Usage).warns(&["did you mean `probe`?"]);
    said(&["remove", "probe"]).exits(Code::Done).says(&["remove of probe: done as of revision"]);
    assert_eq!(world.send(&json!({})).says, "", "the legacy app answers again");
}

#[test]
fn one_that_never_comes_up_is_taken_out_again() {
    let Some(world) = World::new() else { return };
    world.test.write("programs/probe.toml", &manifest("1.0.0", "exit"));
    world
        .ctx(&["extension", "install", "programs/probe.toml", "--yes"])
        .exits(Code::RolledBack)
        .warns(&["the install was taken back", "no reason to live"]);
    assert!(world.serve.state().config.extensions.is_empty());
    assert!(world.view().is_none());
}

#[test]
fn manifests_are_checked_all_faults_at_once_and_where_they_stand() {
    let test = Test::new();
    test.write("good.toml", &manifest("1.0.0", "ready"));
    test.run(&["extension", "validate", "good.toml"])
        .exits(Code::Done)
        .says(&["probe 1.0.0: no faults; process ", "/program.py"]);
    let bad = manifest("one", "gone")
        .replace("300MiB", "300MB")
        .replace("timeout = \"5s\"", "timeout = 5")
        .replace("./program.py", "./../program.py")
        .replace("[config]", "[config]\ncolour = \"red\"")
        .replace("platform = \"linear\"", "platform = \"linear\"\npath = \"/x\"");
    test.write("bad.toml", &bad);
    let said = test.run(&["extension", "validate", "bad.toml"]).exits(Code::PlanInvalid);
    said.warns(&[
        "`bad.toml` has 7 faults",
        "`one` is not a version",
        "an extension of kind `process` has no `path`",
        "leads out of the manifest's folder",
        "`300MB` is not an amount of memory",
        "`timeout = 5` has no unit",
        "unknown key of `config` `colour`",
        "must be one of `\"ready\"`, `\"exit\"`",
    ]);
}

#[test]
fn manifests_come_in_the_order_that_their_dependencies_ask_for() {
    let test = Test::new();
    let http = |id: &str, platform: &str, version: &str, needs: &str| {
        format!(
            "id = \"{id}\"\nname = \"X\"\nversion = \"{version}\"\ncategory = \"event_processor\"\n\
             platform = \"{platform}\"\nupstream = \"legacy\"\npath = \"/x\"\ndepends_on = [{needs}]\n"
        )
    };
    test.write("a.toml", &http("a", "linear", "1.0.0", "\"b >= 1.1\""));
    test.write("b.toml", &http("b", "slack", "1.2.0", ""));
    let files = ["extension", "validate", "--json", "a.toml", "b.toml"];
    let order = test.run(&files).exits(Code::Done).json()["order"].clone();
    assert_eq!(order, json!(["b", "a"]));
    test.write("b.toml", &http("b", "slack", "1.0.0", ""));
    test.run(&files[..]).exits(Code::Refused);
    test.write("b.toml", &http("b", "slack", "1.2.0", "\"a\""));
    test.run(&["extension", "validate", "a.toml", "b.toml"])
        .exits(Code::Refused)
        .warns(&["extensions depend on each other: `a` -> `b` -> `a`"]);
}
