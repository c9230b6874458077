//! A new version of an extension beside the installed one: a sticky share of the events, both
//! measured, and then its place or its end.

use std::collections::BTreeSet;

use ctx::control::config::ExtensionCanary;
use ctx::control::observe::{ExtensionState, ExtensionView};
use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::units::Percent;
use serde_json::{Value, json};

use super::world::{ID, World, extension, insert};
use crate::support::traffic::Traffic;
use crate::support::{block_on, peer, until};

const SENDERS: u32 = 60;
const NEXT: &str = "probe@2.0.0";

/// With the installed version running, and senders that are told apart.
fn world() -> Option<World> {
    let world = World::new()?;
    world.serve.set(|config| {
        config.routes.get_mut("linear").unwrap().sticky = Some("x-sender".to_owned());
    });
    world.install("1.0.0", json!({}));
    Some(world)
}

fn give(world: &World, share: u32, more: Value) {
    let (id, next) = (ID.parse().unwrap(), extension("2.0.0", more));
    let weight = Percent::whole(share);
    world.serve.set(|config| {
        config.extension_canary = Some(ExtensionCanary { id, next, weight });
    });
}

fn next(world: &World) -> Option<ExtensionView> {
    let list = block_on(world.serve.client().extensions()).unwrap();
    list.extensions.into_iter().find(|view| view.id == NEXT)
}

/// The senders whose events the new version answers; the installed one answers all others.
fn beside(world: &World) -> BTreeSet<u32> {
    let url = format!("http://{}/linear/events", world.serve.data);
    let event = json!({ "type": "Issue", "action": "create" }).to_string();
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut beside = BTreeSet::new();
        for sender in 0..SENDERS {
            let request = client.post(&url).header("x-sender", format!("team-{sender}"));
            let answer = request.body(event.clone()).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            match answer.headers()["x-says"].to_str().unwrap() {
                "2.0.0" => assert!(beside.insert(sender)),
                says => assert_eq!(says, "1.0.0"),
            }
        }
        beside
    })
}

#[test]
fn a_new_version_takes_a_sticky_share_and_then_the_place_of_the_installed_one() {
    let Some(world) = world() else { return };
    give(&world, 25, json!({}));
    until("it runs", || next(&world).filter(|view| view.state == ExtensionState::Running));
    let quarter = beside(&world);
    assert!((5..=30).contains(&quarter.len()), "{quarter:?}");
    assert_eq!(beside(&world), quarter, "everybody stays where they are");
    let restarts = next(&world).unwrap().restarts;
    give(&world, 60, json!({}));
    let more = beside(&world);
    assert!(more.is_superset(&quarter) && more.len() > quarter.len(), "{quarter:?} {more:?}");
    assert_eq!(next(&world).unwrap().restarts, restarts, "another share is no other version");
    let metrics = world.metrics();
    let canary = metrics.canary.clone().unwrap();
    assert_eq!((canary.control.as_str(), canary.upstream.as_str()), (ID, NEXT));
    for arm in [ID, NEXT] {
        assert!(metrics.arms[arm].requests > 0 && metrics.latencies.contains_key(arm), "{arm}");
    }
    let told = world.ctx(&["canary", "status"]).exits(Code::Done);
    told.says(&["canary probe@2.0.0: 60% wanted, 60% in force"]);

    world.serve.set(|config| {
        config.extension_canary = None;
        insert(config, "2.0.0", json!({}));
    });
    world.until_running("2.0.0");
    assert_eq!(beside(&world).len(), SENDERS as usize);
    until("it is gone", || next(&world).is_none().then_some(()));
}

#[test]
fn one_that_does_not_come_up_gets_nothing_and_one_that_is_removed_gives_all_back() {
    let Some(world) = world() else { return };
    give(&world, 50, json!({ "config": { "start": "exit" } }));
    until("it has failed", || next(&world).filter(|view| view.state == ExtensionState::Waiting));
    assert_eq!(beside(&world), BTreeSet::new());
    give(&world, 50, json!({}));
    until("it runs", || next(&world).filter(|view| view.state == ExtensionState::Running));
    assert!(!beside(&world).is_empty());
    world.serve.set(|config| config.extension_canary = None);
    assert_eq!(beside(&world), BTreeSet::new());
    until("it is gone", || next(&world).is_none().then_some(()));
}

const PLAN: &str = r#"
schema = 1

[plan]
name  = "versions"
title = "New versions of an extension"

[orchestrator]
url   = "http://CONTROL"
token = "env:CTX_TOKEN"

[[phase]]
id    = "better"
title = "A version that is no worse"

  [[phase.step]]
  id      = "install"
  install = "versions/1.0.0.toml"
  soak    = "300ms"

  [[phase.step]]
  id     = "canary"
  canary = { extension = "versions/2.0.0.toml", to = ["50%", "100%"], soak = "300ms", TERMS }

[[phase]]
id    = "worse"
title = "A version that fails"

  [[phase.step]]
  id     = "canary"
  canary = { extension = "versions/3.0.0.toml", to = ["50%", "100%"], soak = "10m", TERMS }
"#;

/// Only what is far worse counts, on a machine that is busy with other tests.
const TERMS: &str =
    r#"min_samples = 10, max_error_increase = "30%", max_latency_ratio = 20, max_tail_ratio = 50"#;

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
config = {{ say = "{version}", start = "{start}" }}
config_schema = {{ say = {{ type = "string" }}, start = {{ type = "string" }} }}
"#
    )
}

#[test]
fn a_plan_promotes_a_version_that_is_no_worse_and_takes_one_back_that_fails() {
    let Some(world) = World::new() else { return };
    let test = &world.test;
    for (version, start) in [("1.0.0", "ready"), ("2.0.0", "ready"), ("3.0.0", "sick")] {
        test.write(&format!("plans/versions/{version}.toml"), &manifest(version, start));
    }
    test.write("programs/versions/program.py", include_str!("program.py"));
    let plan = PLAN.replace("CONTROL", &world.serve.control).replace("TERMS", TERMS);
    test.write("plans/plan.toml", &plan);
    let address = world.serve.address();
    let _traffic = Traffic::start(address, 60.0, Mix::default(), Secrets::default());
    test.run(&["migrate", "phase", "1", "--yes"]).exits(Code::Done);
    let config = world.serve.state().config;
    let installed = &config.extensions[&ID.parse().unwrap()];
    assert_eq!((installed.version.as_str(), config.extension_canary), ("2.0.0", None));
    let facts = test.facts();
    let judged = facts.iter().rev().find_map(|fact| match fact {
        Fact::CanaryJudged { judgement, .. } => Some(judgement.passed()),
        _ => None,
    });
    assert_eq!(judged, Some(true), "it may be held for a while first, for want of traffic");

    let before = world.serve.state().config_hash;
    let ran = test.run(&["migrate", "phase", "2", "--yes"]).exits(Code::RolledBack);
    ran.warns(&["abort: error_rate canary ", "-> worse"]);
    assert_eq!(world.serve.state().config_hash, before);
    assert_eq!(world.send(&json!({})).says, "2.0.0");
}
