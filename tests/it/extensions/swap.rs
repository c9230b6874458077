//! Hot swaps: one version follows another under load, and one that does not come up never does.

use std::collections::BTreeSet;

use ctx::control::observe::ExtensionState;
use serde_json::json;

use super::world::{ID, World, is_alive};
use crate::support::until;

#[test]
fn versions_follow_each_other_under_load_without_a_failed_request() {
    let Some(world) = World::new() else { return };
    let two = json!({ "replicas": { "min": 2, "max": 2 }, "config": { "pause_ms": 3 } });
    world.install("1.0.0", two.clone());
    let load = world.load(12);
    load.more(50);
    world.install("2.0.0", two.clone());
    load.more(50);
    let old = world.send(&json!({})).json()["pid"].as_u64().unwrap();
    let broken = json!({ "replicas": { "min": 2, "max": 2 }, "config": { "start": "exit" } });
    world.put("3.0.0", broken);
    let failed = world.until("the swap has failed", |view| view.state == ExtensionState::Failed);
    assert_eq!((failed.version.as_str(), failed.replicas), ("3.0.0", 2));
    assert!(failed.detail.contains("version 3.0.0 did not come up"), "{failed:?}");
    assert!(failed.detail.ends_with("version 2.0.0 serves"), "{failed:?}");
    load.more(50);
    // Back: nothing is started for it, what served goes on.
    world.install("2.0.0", two);
    assert!(is_alive(old));
    load.more(50);
    let answers = load.stop();
    let odd = answers.iter().find(|answer| answer.status != 200);
    assert!(odd.is_none(), "{odd:?} of {}", answers.len());
    let said: BTreeSet<&str> = answers.iter().map(|answer| answer.says.as_str()).collect();
    assert_eq!(said, BTreeSet::from(["1.0.0", "2.0.0"]));
    let turn = answers.iter().rposition(|answer| answer.says == "1.0.0").unwrap();
    assert!(answers[turn + 1..].iter().all(|answer| answer.says == "2.0.0"));
    assert_eq!(world.view().unwrap().restarts, 0, "a swap restarts nothing");
}

#[test]
fn an_extension_comes_and_goes_under_load_without_a_failed_request() {
    let Some(world) = World::new() else { return };
    let load = world.load(8);
    for version in ["1.0.0", "1.0.1"] {
        world.install(version, json!({}));
        load.more(30);
        let pid = world.send(&json!({})).json()["pid"].as_u64().unwrap();
        world.serve.set(|config| config.extensions.clear());
        load.more(30);
        until("it has ended", || (!is_alive(pid)).then_some(()));
    }
    let answers = load.stop();
    let odd = answers.iter().find(|answer| answer.status != 200);
    assert!(odd.is_none(), "{odd:?} of {}", answers.len());
    let said: BTreeSet<&str> = answers.iter().map(|answer| answer.says.as_str()).collect();
    assert_eq!(said, BTreeSet::from(["", "1.0.0", "1.0.1"]));
}

#[test]
fn a_swap_waits_for_what_is_under_way() {
    let Some(world) = World::new() else { return };
    world.install("1.0.0", json!({ "limits": { "timeout": "30s" } }));
    let slow = std::thread::scope(|scope| {
        let slow = scope.spawn(|| world.send(&json!({ "do": "sleep", "seconds": 3 })));
        world.until("it is busy", |view| view.busy == 1);
        world.install("2.0.0", json!({}));
        assert_eq!(world.send(&json!({})).says, "2.0.0");
        assert!(!slow.is_finished(), "the old version is still at it");
        slow.join().unwrap()
    });
    assert_eq!((slow.status, slow.says.as_str()), (200, "1.0.0"));
}

#[test]
fn an_upstream_s_extension_becomes_a_program_under_load_and_back() {
    let Some(world) = World::new() else { return };
    let http = json!({ "name": "Probe", "version": "0.9.0", "category": "event_processor",
        "platform": "linear", "upstream": "legacy", "path": "/linear/events" });
    let http = || serde_json::from_value(http.clone()).unwrap();
    world.serve.set(|config| drop(config.extensions.insert(ID.parse().unwrap(), http())));
    let load = world.load(8);
    load.more(30);
    world.put("1.0.0", json!({ "config": { "start": "exit" } }));
    world.until("it fails", |view| view.restarts > 1);
    load.more(30);
    world.install("1.0.1", json!({}));
    load.more(30);
    world.serve.set(|config| drop(config.extensions.insert(ID.parse().unwrap(), http())));
    load.more(30);
    let answers = load.stop();
    let odd = answers.iter().find(|answer| answer.status != 200);
    assert!(odd.is_none(), "{odd:?} of {}", answers.len());
    let mut said: Vec<&str> = answers.iter().map(|answer| answer.says.as_str()).collect();
    said.dedup();
    assert_eq!((said.first(), said.last()), (Some(&""), Some(&"")));
    assert!(said.contains(&"1.0.1"), "{said:?}");
    assert_eq!(world.metrics().counts.fallback, 0, "it was never given up for the app");
}
